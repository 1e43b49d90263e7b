"""What goes wrong on the nodes of a cluster. Their processes import this module, which must therefore be a light one."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from unisono.base.path_map import PathMap


class Doomed(PathMap):
    """Kills the process that wants to read a poisoned file, and does not find one that is absent; not where it was made."""

    def __init__(self, _: Sequence[str] = ()) -> None:
        super().__init__()
        self._made_in = os.getpid()

    def __call__(self, path: str) -> str:
        """Return the path, unless this process is doomed."""
        if os.getpid() == self._made_in:
            return path
        if path.endswith("poison.wav"):
            with Path(path).with_name("tries").open("a") as tries:
                tries.write("one\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return path.replace("absent", "not there")
