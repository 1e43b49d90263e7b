"""What a user may ask of `unisono prepare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unisono.options import Continue, StageOptions


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(StageOptions):
    """Options of `unisono prepare`."""

    dataset_file: Path | None = None
    """Unified file to read. Default: `<data-root>/unified_dataset.json`."""
    output_dir: Path | None = None
    """Folder for `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    encoders: tuple[str, ...] = ("muq", "mert", "latent")
    """Audio encoders to embed with; see `unisono encoders list`."""
    sample_size: int | None = None
    """At most so many tracks, a seeded sample."""
    min_duration: float | None = None
    """Leave out what is shorter, in seconds."""
    max_duration: float | None = None
    """Leave out what is longer, in seconds."""
    batch_size: int | None = 32
    """Windows embedded at a time."""
    pooling: Literal["mean", "stats"] = "mean"
    """How the windows of an excerpt become one embedding: `stats` is mean, inter-quartile range and mean absolute change."""
    split_by: Literal["upstream", "seed"] = "upstream"
    """Honour the splits that the file names and draw the rest by seed, or draw all by seed."""
    seed: int = 42
    """Seed of the sample and of the splits."""
    device: str = "auto"
    """Where the encoders run: auto, cpu, cuda, cuda:1, ..."""
    workers: int | None = None
    """Threads that decode audio. Default: the number of cores."""
    strict: bool = False
    """Fail if any track could not be embedded."""
    continue_: Continue = False
    """Go on where an interrupted run stopped."""

    @property
    def input_path(self) -> Path:
        """The unified file to read."""
        return self.dataset_file or self.data_root / "unified_dataset.json"

    @property
    def output_path(self) -> Path:
        """The folder to write to."""
        return self.output_dir or self.data_root / "processed_embeddings"
