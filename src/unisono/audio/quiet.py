"""Keeping the mp3 decoder's remarks off the console."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

REMARKS = (b"[src/libmpg123/", b"Note: ", b"Warning: ")
"""How the lines begin that libmpg123 writes about odd files, and about every jump into the middle of a file."""


@contextmanager
def without_decoder_noise() -> Iterator[None]:
    """Drop libmpg123's lines from standard error; whatever else is written there still appears.

    libsndfile gives no way to silence its mp3 decoder. What is wrong with a file is found by decoding it, and reported.
    """
    try:
        is_plain = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):  # replaced by something that is no file
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
    forwarder = Thread(target=_forward, args=(reading, os.dup(real)), name="decoder noise", daemon=True)
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
    """Copy lines that are not remarks until the last writer is gone."""
    with os.fdopen(reading, "rb") as lines, os.fdopen(real, "wb", buffering=0) as out:
        for line in lines:
            if line.strip() and not line.lstrip().startswith(REMARKS):
                out.write(line)
