"""Run a command until it has been killed at so many random moments, then let it finish. A program:

    python -m tests.killed <output> <kills> <seed> <words of the command>

The command runs in processes forked from this one, which has loaded everything already, so that the kills hit the work and
not the start. After each kill the output must be absent or the same as that of an undisturbed run; only where it is absent
has a kill counted, and where it is not, the next ones come sooner. In the end the output must be whole, and no partial file
may be left.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pyarrow.parquet  # noqa: F401 - so that the children need not
import soundfile  # noqa: F401

from tests.forked import start, wait
from unisono import cli


def main(output: Path, kills: int, seed: int, words: list[str]) -> None:
    begin = time.monotonic()
    assert wait(start_command(words), 120) == 0, "the command fails"
    whole_s = time.monotonic() - begin
    promised = content(output)
    remove(output)
    moments = random.Random(seed)
    hits = 0
    while hits < kills:
        moment = moments.uniform(0, whole_s)
        process = start_command(words)
        if wait(process, moment) is None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if not output.exists():
            hits += 1
            continue
        assert content(output) == promised, "half an output"
        remove(output)
        whole_s = moment
    assert wait(start_command(words), 120) == 0, "the command fails after kills"
    assert content(output) == promised, "another output after kills"
    left = [str(path) for path in output.parent.rglob("*.partial")]
    assert not left, f"left behind: {left}"


def content(output: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of all files in a folder."""
    paths = output.rglob("*") if output.is_dir() else [output]
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def remove(output: Path) -> None:
    shutil.rmtree(output) if output.is_dir() else output.unlink()


def start_command(words: list[str]) -> int:
    return start(lambda: cli.main(words))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
