"""The result of `unify`: what was found, kept and dropped, in each dataset and in all."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisono.base.errors import UnisonoError
from unisono.base.table import Table
from unisono.base.tally import Tally
from unisono.tracks.record import Entry
from unisono.tracks.track import CAPTION_ORIGINS

ALL = "all"
ORIGINS = (*CAPTION_ORIGINS, "unknown")


@dataclass(frozen=True)
class KeptTracks:
    """Counts of the tracks that were kept, of one dataset or of all; each mapping has its largest count first."""

    tracks: int
    hours: float
    splits: dict[str, int]
    """Split, or "none" -> tracks."""
    captions: dict[str, int]
    """Origin, or "unknown" -> captions."""
    licenses: dict[str, int]
    """Canonical licence -> tracks."""


@dataclass(frozen=True, kw_only=True)
class UnifyReport:
    """What `unify` did."""

    output: Path
    """The unified file; not written by a dry run."""
    report: Path | None
    """The JSON file that lists what was dropped; None after a dry run."""
    log: Path | None
    """The log file; None after a dry run."""
    tracks: int
    """How many tracks are in the unified file, or would be after a dry run."""
    datasets: dict[str, KeptTracks]
    """Dataset -> what was kept of it, and "all" if there are several."""
    tally: Tally = field(repr=False)
    """What was found, kept and dropped, and why."""
    notes: list[dict[str, str]] = field(default_factory=list, repr=False)
    """What is odd about files that can be used: id, note."""
    ways: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    """Way to caption -> what it reports, such as the answers of `llm` that were refused."""
    moved: dict[str, int] = field(default_factory=dict)
    """Join that `match` asked for -> how many tracks it alone moved out of train."""

    @property
    def dropped(self) -> Counter[str]:
        """Reason -> how many tracks were dropped."""
        return self.tally.reasons()

    @property
    def unanswered(self) -> int:
        """How many questions a language model did not answer."""
        return sum(report.get("counts", {}).get("unanswered", 0) for report in self.ways.values())

    def found(self, name: str) -> int:
        """Return how many tracks a dataset, or "all", had."""
        return self.tally.came.total() if name == ALL else self.tally.came[name]

    def __repr__(self) -> str:
        reasons = "".join(f"\n  {count:,} dropped: {reason}" for reason, count in self.dropped.most_common())
        done = "to be written to" if self.report is None else "in"
        joins = "".join(f"\n  {sentence}" for sentence in self.moves())
        return f"{self.tracks:,} tracks {done} {self.output}\n{self._table()}{reasons}{joins}"

    def moves(self) -> list[str]:
        """Return a sentence for each join that `match` asked for."""
        return [f"{count:,} tracks moved out of train by {join}" for join, count in self.moved.items()]

    def _repr_html_(self) -> str:
        return self._table(f"{self.output}").html()

    def _table(self, title: str = "") -> Table:
        headings = ("dataset", "found", "kept", "dropped", "hours", "captions", "licences")
        rows = [
            (
                name,
                f"{self.found(name):,}",
                f"{kept.tracks:,}",
                f"{self.found(name) - kept.tracks:,}",
                f"{kept.hours:,.1f}",
                ", ".join(f"{count:,} {origin}" for origin, count in kept.captions.items()),
                ", ".join(f"{count:,} {license}" for license, count in list(kept.licenses.items())[:3]),
            )
            for name, kept in self.datasets.items()
        ]
        return Table(title, headings, rows, words=(0, 5, 6))


class UnifyFailedError(UnisonoError):
    """No unified file was written: no track is left, or `strict` found a fault. `report` says what was found."""

    def __init__(self, message: str, report: UnifyReport, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.report = report


def summarise(tracks: Iterable[Entry], datasets: Iterable[str]) -> dict[str, KeptTracks]:
    """Count the tracks of each dataset, and of all if there are several."""
    counts = {name: _Counts() for name in sorted(datasets)}
    for track in tracks:
        counts[track.dataset].add(track)
    kept = {name: each.kept() for name, each in counts.items()}
    if len(kept) > 1:
        parts = list(kept.values())
        kept[ALL] = KeptTracks(
            tracks=sum(part.tracks for part in parts),
            hours=round(sum(part.hours for part in parts), 3),
            splits=_most_first(part.splits for part in parts),
            captions=_most_first(part.captions for part in parts),
            licenses=_most_first(part.licenses for part in parts),
        )
    return kept


@dataclass
class _Counts:
    """The counts of one dataset."""

    tracks: int = 0
    seconds: float = 0
    splits: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)

    def add(self, track: Entry) -> None:
        self.tracks += 1
        self.seconds += track.duration
        self.splits[track.split or "none"] += 1
        self.licenses[track.license] += 1
        self.origins.update([origin or "unknown" for origin in track.origins])

    def kept(self) -> KeptTracks:
        return KeptTracks(
            tracks=self.tracks,
            hours=round(self.seconds / 3600, 3),
            splits=_most_first([self.splits]),
            captions=_most_first([self.origins]),
            licenses=_most_first([self.licenses]),
        )


def _most_first(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
