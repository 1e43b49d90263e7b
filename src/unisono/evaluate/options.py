"""What a user may ask of `unisono evaluate`."""

from dataclasses import dataclass
from pathlib import Path

from unisono.options import StageOptions
from unisono.track import Split


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(StageOptions):
    """Options of `unisono evaluate`."""

    checkpoint: Path
    """The model to evaluate."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    split: Split = "test"
    """Which split to evaluate on."""
    seed: int = 42
    """Seed of the bootstrap intervals."""
