"""What a user may ask of `unisono search`."""

from dataclasses import dataclass
from pathlib import Path

from unisono.options import StageOptions


@dataclass(frozen=True, kw_only=True)
class SearchOptions(StageOptions):
    """Options of `unisono search`."""

    checkpoint: Path
    """The model that reads the description."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    top: int = 10
    """How many tracks to show."""
