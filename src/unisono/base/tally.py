"""The bookkeeping of a stage: how many tracks came in, how many went out, and why the others were dropped."""

import itertools
import os
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from unisono.base.errors import UnisonoError
from unisono.base.files import TEMPORARY, explained, whole_file, write_all

HELD = 10_000
"""What was dropped is held in memory up to this number, then written to a temporary file."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A track or row that was left out. It is counted and listed, never lost silently."""

    id: str
    """Id of the track, or `file:line` where it has none."""
    reason: str
    """A short phrase, the same for all of one kind, e.g. "no caption": reports count by it."""
    detail: str = ""
    """What was found."""
    fault: bool = True
    """Something is wrong with it (counts with --strict); False if it was left out because the user asked for it."""


class DroppedList:
    """What was dropped, each with its dataset, in the order in which it came; of many, most are in a temporary file.

    Raises:
        UnisonoError: the disk is full.
    """

    def __init__(self, items: Iterable[tuple[str, Dropped]] = ()) -> None:
        self._held: list[tuple[str, Dropped]] = []
        self._file: IO[bytes] | None = None
        self._places = [0]
        """Where the parts of the file begin, and where the last one ends."""
        self.counts: Counter[tuple[str, str, bool]] = Counter()
        """(dataset, reason, fault) -> how many."""
        self.extend(items)

    def extend(self, items: Iterable[tuple[str, Dropped]]) -> None:
        """Add further ones."""
        for item in items:
            self._held.append(item)
            self.counts[item[0], item[1].reason, item[1].fault] += 1
            if len(self._held) == HELD:
                self._put_away()

    def _put_away(self) -> None:
        with explained(Path(tempfile.gettempdir()), elsewhere=TEMPORARY):
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            content = msgspec.json.encode(self._held)
            self._places.append(self._places[-1] + len(content))
            write_all(self._file, content)
        self._held.clear()

    def __len__(self) -> int:
        return self.counts.total()

    def __iter__(self) -> Iterator[tuple[str, Dropped]]:
        for begin, end in itertools.pairwise(self._places):
            assert self._file
            content = os.pread(self._file.fileno(), end - begin, begin)
            yield from msgspec.json.decode(content, type=list[tuple[str, Dropped]])
        yield from self._held


@dataclass
class Tally:
    """Counts by dataset and reasons for a whole run."""

    came: Counter[str] = field(default_factory=Counter)
    """dataset -> how many came in."""
    kept: Counter[str] = field(default_factory=Counter)
    """dataset -> how many went out."""
    dropped: DroppedList = field(default_factory=DroppedList)
    """(dataset, what was dropped)."""

    def drop(self, dataset: str, dropped: Dropped) -> None:
        """Note that a track of a dataset was dropped."""
        self.dropped.extend([(dataset, dropped)])

    def reasons(self, dataset: str | None = None) -> Counter[str]:
        """Return how many were dropped for each reason, of one dataset or of all."""
        found = Counter[str]()
        for (name, reason, _), count in self.dropped.counts.items():
            if dataset in (None, name):
                found[reason] += count
        return found

    @property
    def faults(self) -> int:
        """Return how many were dropped for a fault of their own."""
        return sum(count for (_, _, fault), count in self.dropped.counts.items() if fault)

    def write(self, path: Path, **more: Any) -> None:
        """Write counts and the full list of what was dropped as JSON."""
        content = {
            **more,
            "came": dict(sorted(self.came.items())),
            "kept": dict(sorted(self.kept.items())),
            "reasons": dict(sorted(self.reasons().items())),
            "dropped": [],
        }
        rows = ({"dataset": name, **msgspec.to_builtins(dropped)} for name, dropped in self.dropped)
        with whole_file(path) as partial, partial.open("wb") as file:
            file.write(_formatted(content).removesuffix(b"[]\n}"))
            before = b"["
            while some := list(itertools.islice(rows, HELD)):
                file.write(before + _formatted(some)[1:-2].replace(b"\n", b"\n "))
                before = b","
            file.write(b"[]\n}\n" if before == b"[" else b"\n ]\n}\n")

    def refuse_faults(self, report: Path) -> None:
        """Fail, for --strict, if anything was dropped for a fault of its own."""
        if self.faults:
            raise UnisonoError(f"--strict: {self.faults} tracks were dropped for a fault; they are listed in {report}.")


def _formatted(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1)
