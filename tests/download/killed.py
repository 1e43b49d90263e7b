"""As a program: download again and again, each time killed at a random moment, until that has happened often enough.

    python -m tests.download.killed <manifest> <data folder> <times> <seed>

Each download is a process forked from this one, which has loaded everything already, so that the moments fall into the
work and not into its start. One that finishes before it is killed leaves a tree to be compared, and the next one begins with
nothing. Prints how the killed ones and the finished ones were distributed; the trees go to `<data folder>-<number>`.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rich.progress import TaskID

import tests.download.local
import unisono.download.run  # noqa: F401 - loaded before the forks
from unisono.download.fetch import _Fetcher
from unisono.download.ledger import Ledger


def main(manifest: str, data: Path, times: int, seed: int) -> None:
    slow_down()
    begin = time.monotonic()
    assert wait(start(manifest, data), 60) == 0
    longest_s = 1.1 * (time.monotonic() - begin)
    data.rename(f"{data}-0")
    moments = random.Random(seed)
    kills, finished, undone = 0, 1, False
    while kills < times or undone:
        process = start(manifest, data)
        ended = wait(process, moments.uniform(0, longest_s) if kills < times else 60)
        if ended is None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            kills += 1
            undone = True
            continue
        if ended != 0:
            sys.exit(f"a download ended with {ended}")
        data.rename(f"{data}-{finished}")
        finished += 1
        undone = False
    print(kills, finished)


def slow_down() -> None:
    """Make each step take a moment, so that a kill hits any of them, and not only the start."""
    advance, note = _Fetcher._advance, Ledger._append

    def slow_advance(self: _Fetcher, task: TaskID, count: int) -> None:
        time.sleep(0.004)
        advance(self, task, count)

    def slow_note(self: Ledger, record: dict[str, Any]) -> None:
        time.sleep(0.004)
        note(self, record)
        time.sleep(0.004)

    _Fetcher._advance = slow_advance  # type: ignore[method-assign]
    Ledger._append = slow_note  # type: ignore[method-assign]


def start(manifest: str, data: Path) -> int:
    process = os.fork()
    if process == 0:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a child on its way out
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        try:
            tests.download.local.main(manifest, *json.loads(manifest), "--data-root", str(data))
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
        os._exit(99)
    return process


def wait(process: int, seconds: float) -> int | None:
    """Give the exit code of a process that ends in time, else None."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.001)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
