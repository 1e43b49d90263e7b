"""Fork processes from a program that has loaded everything already, to be killed at any moment of their work."""

import os
import time
from collections.abc import Callable


def start(work: Callable[[], object]) -> int:
    """Do some work, which ends with SystemExit, in a silent process of its own; return the process id."""
    process = os.fork()
    if process == 0:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a child on its way out
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        try:
            work()
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
        os._exit(99)
    return process


def wait(process: int, seconds: float) -> int | None:
    """Return the exit code of a process if it ends in time, else None."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.001)
