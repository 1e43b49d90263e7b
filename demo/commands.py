"""Run the product's commands as a user would: each command line is printed, then run."""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from unisono.base.errors import UnisonoError
from unisono.commands import console

UNISONO = Path(sys.executable).with_name("unisono")


def run(arguments: Sequence[str], *, capture: bool = False) -> str:
    """Run `unisono` with these arguments; with `capture`, return its standard output instead of showing it.

    Raises:
        UnisonoError: the command failed.
    """
    command = [str(UNISONO), *arguments]
    line = [shown(), *arguments]
    console.out.print(f"\n[bold cyan]$ {console.escape(shlex.join(line))}[/]", soft_wrap=True)
    began = time.monotonic()
    finished = subprocess.run(command, check=False, stdout=subprocess.PIPE if capture else None, text=True)
    if finished.returncode:
        raise UnisonoError(f"`{shlex.join(line)}` failed with exit code {finished.returncode}.")
    console.out.print(f"[dim]{time.monotonic() - began:.0f} s[/]")
    return finished.stdout or ""


def shown() -> str:
    """Return the command as a user types it."""
    return str(UNISONO.relative_to(Path.cwd())) if UNISONO.is_relative_to(Path.cwd()) else str(UNISONO)
