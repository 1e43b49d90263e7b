"""Trials with damaged input: the same ones in each run of the tests, and further ones for as long as somebody asks for.

FUZZ_SECONDS=3600 python -m pytest tests/fuzz --timeout 0     # so long for each test
FUZZ_ROUND=1234 python -m pytest tests/fuzz -k audio          # the trial that the note of a failure names
"""

import itertools
import os
import random
import time
from collections.abc import Callable

NUMBERS = [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80"]
PIECES = [b"\0", b"\xff", b"\xed\xa0\x80", b'"', b"'", b"\n", b"\r", b",", b"\\", b"[" * 2000, b"{", b"9" * 5000, b"-1",
          b"1e999", b"NaN", b"null", b"../", b"/etc/passwd", b"\x1b[2J", b"\\ud800", b"\xe2\x80\xae"]  # fmt: skip


def run(trial: Callable[[random.Random], None], rounds: int) -> None:
    """Run a trial with the generators of its rounds."""
    only = os.environ.get("FUZZ_ROUND")
    end_s = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "0"))
    for number in [int(only)] if only else itertools.count():
        if only is None and number >= rounds and time.monotonic() >= end_s:
            return
        try:
            trial(random.Random(number))
        except BaseException as error:
            error.add_note(f"To repeat it: FUZZ_ROUND={number}")
            raise


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return a file with a fault of one kind."""
    changed, most = bytearray(content), chance.choice([min(200, len(content)), len(content)])
    at, size = chance.randrange(most), chance.randrange(1, 5000)
    match chance.choice(["bytes", "cut", "noise", "gap", "number", "zeros", "piece", "copy"]):
        case "bytes":
            for _ in range(chance.randrange(1, 20)):
                changed[chance.randrange(most)] = chance.randrange(256)
        case "cut":
            del changed[at:]
        case "noise":
            changed[at : at + size] = chance.randbytes(size)
        case "gap":
            del changed[at : at + size]
        case "number":
            changed[at : at + 4] = chance.choice(NUMBERS)
        case "zeros":
            changed[at:at] = bytes(size)
        case "piece":
            changed[at:at] = chance.choice(PIECES)
        case "copy":
            start = chance.randrange(len(content))
            changed[at:at] = content[start : start + size]
    return bytes(changed)
