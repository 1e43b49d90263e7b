"""As a program: download again and again, each time killed at a random moment, until that has happened often enough.

    python -m tests.sources.download.killed <manifest> <data folder> <times> <seed>

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

import tests.sources.download.local
import unisono.commands.download  # noqa: F401 - loaded before the forks
from tests.forked import start, wait
from unisono.sources.download.fetch import _Fetcher
from unisono.sources.download.ledger import Ledger


def main(manifest: str, data: Path, times: int, seed: int) -> None:
    slow_down()
    begin = time.monotonic()
    assert wait(start_download(manifest, data), 60) == 0
    longest_s = 1.1 * (time.monotonic() - begin)
    data.rename(f"{data}-0")
    moments = random.Random(seed)
    kills, finished, undone = 0, 1, False
    while kills < times or undone:
        process = start_download(manifest, data)
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


def start_download(manifest: str, data: Path) -> int:
    words = [*json.loads(manifest), "--data-root", str(data)]
    return start(lambda: tests.sources.download.local.main(manifest, *words))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
