"""What a run of `prepare` did."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unisono.base.table import Table
from unisono.base.tally import Tally
from unisono.embeddings.file import EncoderRecord
from unisono.tracks.track import Split, Track


@dataclass(frozen=True, kw_only=True)
class DatasetCounts:
    """One dataset in numbers."""

    name: str
    tracks: int
    """Tracks in the unified file."""
    embedded: int
    hours: float
    """Of the embedded tracks."""
    captions: int
    """Of the embedded tracks."""

    @property
    def left_out(self) -> int:
        """Number of tracks that were not embedded."""
        return self.tracks - self.embedded


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What `embeddings.h5` now holds, and what was left out."""

    path: Path
    """Of `embeddings.h5`."""
    report_path: Path
    """Of the report as JSON, which lists each track that was left out with its reason."""
    counts: Mapping[Split, int]
    """Split -> tracks."""
    datasets: Sequence[DatasetCounts]
    encoders: Sequence[EncoderRecord]
    written: bool
    """False if the file held all of this already."""
    pruned: int = 0
    """Tracks that were removed from the file, since they are not among those chosen now."""
    recognised: int = 0
    """Excerpts whose files were moved, renamed or touched, and were not embedded again."""
    shard: str = ""
    """Which part of the tracks was embedded, such as `3/16`; `embeddings.h5` is written when all are."""
    tally: Tally = field(repr=False)
    """What came in, and what was left out with its reason."""

    def __repr__(self) -> str:
        splits = ", ".join(f"{split} {count:,}" for split, count in self.counts.items())
        lines = [f"PrepareReport: {self.path}", f"  tracks: {splits}"]
        lines += [f"  encoder {encoder.name}: {encoder.shape_in_words}" for encoder in self.encoders]
        lines += [f"  {count:,} left out: {reason}" for reason, count in self.tally.reasons().most_common()]
        lines += [f"  {change}" for change in self.changes]
        return "\n".join(lines)

    @property
    def changes(self) -> list[str]:
        """What became of tracks that the file held before, in words."""
        counts = ((self.pruned, "removed: not chosen now"), (self.recognised, "recognised: moved, renamed or touched"))
        return [f"{count:,} {what}" for count, what in counts if count]

    def _repr_html_(self) -> str:
        columns = ("dataset", "tracks", "embedded", "left out", "hours", "captions")
        rows = [
            (
                each.name,
                f"{each.tracks:,}",
                f"{each.embedded:,}",
                f"{each.left_out:,}",
                f"{each.hours:,.1f}",
                f"{each.captions:,}",
            )
            for each in self.datasets
        ]
        reasons = [(reason, f"{count:,}") for reason, count in self.tally.reasons().most_common()]
        left_out = Table("", ("left out", "tracks"), reasons).html() if reasons else ""
        return Table(str(self.path), columns, rows).html() + left_out


def count_datasets(tally: Tally, embedded: Iterable[Track]) -> list[DatasetCounts]:
    """Count the tracks of each dataset, in the order of their names."""
    of_dataset: dict[str, list[Track]] = {name: [] for name in sorted(tally.came)}
    for track in embedded:
        of_dataset[track.dataset].append(track)
    return [
        DatasetCounts(
            name=name or "(none)",
            tracks=tally.came[name],
            embedded=len(tracks),
            hours=sum(track.duration for track in tracks) / 3600,
            captions=sum(len(track.captions) for track in tracks),
        )
        for name, tracks in of_dataset.items()
    ]
