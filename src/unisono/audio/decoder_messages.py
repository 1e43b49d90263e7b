"""Keep what the MP3 decoder, libmpg123, writes to standard error off the console."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

BEGINNINGS = (b"[src/libmpg123/", b"Note: ", b"Warning: ")
"""The beginnings of the lines that libmpg123 writes about odd files, and about every jump into the middle of a file."""


@contextmanager
def hide_decoder_messages() -> Iterator[None]:
    """Drop libmpg123's lines from standard error; everything else that is written there still appears.

    libsndfile has no option to silence its MP3 decoder. Faults of a file are found by decoding it, and reported.
    """
    try:
        is_plain = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):  # replaced by an object that is not a file
        is_plain = False
    if not is_plain:
        yield
        return
    sys.stderr.flush()
    original = sys.stderr
    real = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    forwarder = Thread(target=_forward, args=(reading, os.dup(real)), name="decoder messages", daemon=True)
    forwarder.start()
    # Python's own messages and bars bypass the pipe, so that their order and the terminal's width stay as they are.
    sys.stderr = os.fdopen(real, "w", buffering=1, encoding=original.encoding, errors=original.errors)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(sys.stderr.fileno(), 2)
        sys.stderr.close()
        sys.stderr = original
        forwarder.join(timeout=1)  # a child process that holds the pipe may outlive this


def _forward(reading: int, real: int) -> None:
    """Copy the lines that are not libmpg123's until the last writer is gone."""
    with os.fdopen(reading, "rb") as lines, os.fdopen(real, "wb", buffering=0) as out:
        for line in lines:
            if line.strip() and not line.lstrip().startswith(BEGINNINGS):
                out.write(line)
