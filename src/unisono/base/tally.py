"""The bookkeeping of a stage: how many tracks came in, how many went out, and why the others were dropped."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from unisono.base.errors import UnisonoError
from unisono.base.files import write_whole


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


@dataclass
class Tally:
    """Counts by dataset and reasons for a whole run."""

    came: Counter[str] = field(default_factory=Counter)
    """dataset -> how many came in."""
    kept: Counter[str] = field(default_factory=Counter)
    """dataset -> how many went out."""
    dropped: list[tuple[str, Dropped]] = field(default_factory=list)
    """(dataset, what was dropped)."""

    def drop(self, dataset: str, dropped: Dropped) -> None:
        """Note that a track of a dataset was dropped."""
        self.dropped.append((dataset, dropped))

    def reasons(self, dataset: str | None = None) -> Counter[str]:
        """Return how many were dropped for each reason, of one dataset or of all."""
        return Counter(dropped.reason for name, dropped in self.dropped if dataset in (None, name))

    @property
    def faults(self) -> int:
        """Return how many were dropped for a fault of their own."""
        return sum(dropped.fault for _, dropped in self.dropped)

    def write(self, path: Path, **more: Any) -> None:
        """Write counts and the full list of what was dropped as JSON."""
        content = {
            **more,
            "came": dict(sorted(self.came.items())),
            "kept": dict(sorted(self.kept.items())),
            "reasons": dict(sorted(self.reasons().items())),
            "dropped": [
                {
                    "dataset": name,
                    "id": dropped.id,
                    "reason": dropped.reason,
                    "detail": dropped.detail,
                    "fault": dropped.fault,
                }
                for name, dropped in self.dropped
            ],
        }
        write_whole(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")

    def refuse_faults(self, report: Path) -> None:
        """Fail, for --strict, if anything was dropped for a fault of its own."""
        if self.faults:
            raise UnisonoError(f"--strict: {self.faults} tracks were dropped for a fault; they are listed in {report}.")
