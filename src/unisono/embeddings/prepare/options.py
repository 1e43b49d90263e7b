"""What a user may ask of `unisono prepare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unisono.commands.options import Continue, StageOptions

Pooling = Literal["mean", "stats"]


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(StageOptions):
    """Options of `unisono prepare`."""

    dataset_file: Path | None = None
    """Unified file to read. Default: `<data-root>/unified_dataset.json`."""
    output_dir: Path | None = None
    """Folder for `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    encoders: tuple[str, ...] = ("muq", "mert", "latent")
    """Audio encoders to embed with; see `unisono encoders list`."""
    layers: tuple[str, ...] = ()
    """Hidden states to keep of encoders that have several, e.g. mert=all or muq=4,8,12. Default: the model's output."""
    sample_size: int | None = None
    """At most so many tracks, a seeded sample."""
    min_duration: float | None = None
    """Leave out what is shorter, in seconds."""
    max_duration: float | None = None
    """Leave out what is longer, in seconds."""
    batch_size: int | None = None
    """Windows embedded at a time on a GPU, halved where memory does not suffice. Default: 32 or more, found by trying.
    On a CPU windows are embedded one by one on every core, which is no slower."""
    pooling: Pooling = "mean"
    """How the windows of an excerpt become one embedding: `stats` is mean, inter-quartile range and mean absolute change."""
    keep_windows: bool = False
    """Store the embedding of every window as well."""
    split_by: Literal["upstream", "seed"] = "upstream"
    """Honour the splits that the file names and draw the rest by seed, or draw all by seed."""
    seed: int = 42
    """Seed of the sample and of the splits."""
    devices: tuple[str, ...] = ()
    """Where the encoders run: cpu, cuda:0, cuda:1, ... Default: every GPU of this machine, or else the CPU."""
    workers: int | None = None
    """Threads that decode audio, and as many that embed it where that is done on the CPU. Default: the number of cores."""
    strict: bool = False
    """Fail if any track could not be embedded."""
    continue_: Continue = False
    """Go on where an interrupted run stopped; that is what it does anyway."""

    @property
    def input_path(self) -> Path:
        """The unified file to read."""
        return self.dataset_file or self.data_root / "unified_dataset.json"

    @property
    def output_path(self) -> Path:
        """The folder to write to."""
        return self.output_dir or self.data_root / "processed_embeddings"
