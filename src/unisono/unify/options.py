"""What a user may ask of `unisono unify`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unisono.options import Continue, StageOptions


@dataclass(frozen=True, kw_only=True)
class UnifyOptions(StageOptions):
    """Options of `unisono unify`."""

    datasets: tuple[str, ...] = ()
    """Datasets to read; by default every one found under `<data-root>/raw`."""
    output: Path | None = None
    """Unified file to write: .json, .jsonl or .parquet. Default: `<data-root>/unified_dataset.json`."""
    min_duration: float | None = None
    """Leave out what is shorter, in seconds."""
    max_duration: float | None = None
    """Leave out what is longer, in seconds."""
    max_samples: int | None = None
    """At most so many tracks altogether."""
    samples_per_dataset: int | None = None
    """At most so many tracks of each dataset."""
    stratify_by: Literal["dataset", "duration"] | None = None
    """With --max-samples: take equal shares of the datasets, or of short (< 60 s), medium and long (>= 180 s) tracks."""
    seed: int = 42
    """Seed of the sampling."""
    check_audio: bool = True
    """Keep only tracks whose audio is there, and measure its duration."""
    valid_only: bool = False
    """Only captions that upstream has validated (Song Describer)."""
    dry_run: bool = False
    """Print the summary, write nothing."""
    strict: bool = False
    """Fail if any track had to be left out for a fault of its own."""
    workers: int | None = None
    """Threads that measure durations. Default: the number of cores."""
    continue_: Continue = False
    """Go on where an interrupted run stopped."""

    @property
    def output_path(self) -> Path:
        """The file to write."""
        return self.output or self.data_root / "unified_dataset.json"
