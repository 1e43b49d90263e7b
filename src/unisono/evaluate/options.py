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
    queries: Path | None = None
    """Also ask the queries of a text file: a text, a tab, and the tags that a relevant track carries, one query a line."""
    exclude_overlap: bool = False
    """Leave out music that the model was trained on, by id or recording; without it such music is refused."""
    output: Path | None = None
    """JSON file for the result. Default: beside the checkpoint, `<checkpoint>_<split>.json`."""
    seed: int = 42
    """Seed of the bootstrap intervals."""

    @property
    def data_path(self) -> Path:
        """The folder of the embeddings."""
        return self.data_dir or self.data_root / "processed_embeddings"

    @property
    def output_path(self) -> Path:
        """The file to write."""
        return self.output or self.checkpoint.with_name(f"{self.checkpoint.stem}_{self.split}.json")
