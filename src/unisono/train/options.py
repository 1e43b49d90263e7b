"""What a user may ask of `unisono train`."""

from dataclasses import dataclass
from pathlib import Path

from unisono.options import StageOptions


@dataclass(frozen=True, kw_only=True)
class TrainOptions(StageOptions):
    """Options of `unisono train`."""

    audio_encoder: str = "muq"
    """Whose embeddings to search in."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    checkpoint_dir: Path = Path("checkpoints")
    """Folder for `<encoder>_last.pt` and `<encoder>_best.pt`."""
    epochs: int = 20
    """Passes over the captions."""
    batch_size: int = 32
    """Captions a step."""
    seed: int = 42
    """Seed of everything random."""
    resume: Path | None = None
    """Checkpoint to go on from, exactly."""

    @property
    def data_path(self) -> Path:
        """The folder of the embeddings."""
        return self.data_dir or self.data_root / "processed_embeddings"
