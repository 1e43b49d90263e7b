"""Who may write to an output folder: one run, or several tasks that each embed a part of the excerpts.

The tasks of a batch system write their shards into one folder, which is safe, since a shard is named by its content. Which
part an excerpt belongs to depends on its key alone. A last run assembles what they made.
"""

import errno
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from filelock import FileLock, Timeout

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import explained, remove_left_behind_in
from unisono.base.log import log, log_to
from unisono.embeddings.file import FILE_NAME

SHARDS = "shards"
LOCK = ".prepare.lock"
_ENTERING_S = 30.0
"""How long a task waits for the others that begin at the same time."""


class Part(NamedTuple):
    """One of several parts of the excerpts, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a part such as `3/16`.

        Raises:
            UsageError: it is of another form, or there is no such part.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"Expected a shard such as 3/16, from 1/16 to 16/16, found {text!r}.", parameter="shard")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_key(cls, key: bytes, of: int) -> Self:
        """Return the part that an excerpt belongs to."""
        return cls(int.from_bytes(key[:8], "big") % of + 1, of)

    def holds(self, key: bytes) -> bool:
        """Return whether an excerpt belongs to this part."""
        return self.of_key(key, self.of) == self


def name_of(name: str, part: Part | None) -> str:
    """Return the name of a file of a run, `prepare.log`, or of a part of it: `prepare.3-of-16.log`."""
    stem, dot, ending = name.partition(".") if part else (name, "", "")
    return f"{stem}.{part.number}-of-{part.of}{dot}{ending}" if part else stem


def enter_output(output: Path, part: Part | None, log_name: str, stack: ExitStack) -> None:
    """Make the output folder, lock it, remove what a killed run left half-written, and open the log.

    Raises:
        UnisonoError: another process writes there, or it cannot be written.
    """
    with explained(output / FILE_NAME):
        output.mkdir(parents=True, exist_ok=True)
        try:
            _lock(output, part, stack)
        except (NotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            log.warning("%s cannot be locked on its file system: let no other run write to it.", output)
        for folder in (output, *(output / SHARDS).glob("*/")):
            remove_left_behind_in(folder)
        stack.enter_context(log_to(output / name_of(log_name, part)))


def _lock(output: Path, part: Part | None, stack: ExitStack) -> None:
    """Lock the folder for one run, or for one task of each part; these begin one after the other."""
    try:
        with FileLock(output / LOCK, timeout=_ENTERING_S if part else 0) as whole:
            if part:
                _take(output, part, stack)
                return
            for path in output.glob(".prepare.*-of-*.lock"):
                with ExitStack() as nobody:
                    _take(output, Part(*map(int, re.findall(r"\d+", path.name))), nobody)
            stack.enter_context(whole)  # a lock may be taken several times by one process
    except Timeout:
        raise UnisonoError(f"Another run is writing to {output}.", hint="Wait until it is done.") from None


def _take(output: Path, part: Part, stack: ExitStack) -> None:
    try:
        stack.enter_context(FileLock(output / f".prepare.{part.number}-of-{part.of}.lock", timeout=0))
    except Timeout:
        raise UnisonoError(
            f"Another process is embedding the shard {part} into {output}.", hint="Wait until it is done."
        ) from None


def refuse_missing(output: Path, keys: Iterable[bytes]) -> None:
    """Refuse to assemble while embeddings are missing; the message names the shards to run again.

    Raises:
        UnisonoError: there are some.
    """
    missing = list(keys)
    if not missing:
        return
    logs = sorted(output.glob("prepare.*-of-*.log"), key=lambda path: path.stat().st_mtime_ns)
    if not logs:
        raise UnisonoError(
            f"{len(missing):,} excerpts are not embedded, and no shard was begun in {output}.",
            hint="Begin with: unisono prepare --shard 1/16 ... (of 16), or leave out --assemble.",
        )
    count = int(re.findall(r"-of-(\d+)", logs[-1].name)[0])
    parts = Counter(Part.of_key(key, count) for key in missing)
    listed = ", ".join(f"{number:,} of the shard {part}" for part, number in sorted(parts.items())[:10])
    raise UnisonoError(
        f"{len(missing):,} excerpts are not embedded yet: {listed}{', ...' if len(parts) > 10 else ''}.",
        hint=f"Run them, on a machine that sees the audio: unisono prepare --shard {min(parts)} ...",
    )
