"""What a user may ask of `unisono evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unisono.commands.options import StageOptions

if TYPE_CHECKING:  # the record costs a tenth of the time that --help may take
    from unisono.tracks.track import Split


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(StageOptions):
    """Options of `unisono evaluate`."""

    checkpoint: Path
    """The model to evaluate."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `<data-root>/processed_embeddings`; with --dataset-file a folder of its own,
    `<data-root>/benchmarks/<dataset file>_<encoder>`."""
    dataset_file: Path | None = None
    """Evaluate on all music of this unified file, a benchmark never trained on; it is embedded first."""
    split: Literal["train", "val", "test", "all"] | None = None
    """Which split to evaluate on. Default: test; with --dataset-file, all."""
    exclude_overlap: bool = False
    """Leave out music that the model was trained on, by id or recording, which is refused otherwise; and music of the val
    split that chose the checkpoint, of which is warned otherwise."""
    queries: Path | None = None
    """Also ask the queries of a text file: a text, a tab, and the tags that a relevant track carries, one query a line."""
    baselines: bool = False
    """Also measure what knows less than the model: random, tag overlap, dsp."""
    output: Path | None = None
    """JSON file for the result. Default: beside the checkpoint, `<checkpoint>_<split or dataset file>.json`."""
    report: Path | None = None
    """HTML file for a report with plots, and players for the best and the worst queries."""
    report_audio: bool = False
    """Also write what the report plays, up to 30 s of each excerpt, into `<report>_files/` beside it, so that it can be
    moved or opened from another machine; otherwise it plays the files where they lie."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1, ..."""
    seed: int = 42
    """Seed of the bootstrap intervals."""

    @property
    def one_split(self) -> "Split | None":
        """The split to evaluate on; None for all."""
        split = self.split or ("all" if self.dataset_file else "test")
        return None if split == "all" else split

    @property
    def called(self) -> str:
        """What is evaluated on, as tables and file names have it."""
        split = self.one_split or "all"
        if not self.dataset_file:
            return split
        return f"{self.dataset_file.stem}_{split}" if self.split else self.dataset_file.stem

    @property
    def output_path(self) -> Path:
        """The file to write."""
        return self.output or self.checkpoint.with_name(f"{self.checkpoint.stem}_{self.called}.json")

    def data_path(self, encoder: str) -> Path:
        """The folder of the embeddings, for a model that reads this encoder's."""
        if self.data_dir:
            return self.data_dir
        if self.dataset_file:
            return self.data_root / "benchmarks" / f"{self.dataset_file.stem}_{encoder}"
        return self.data_root / "processed_embeddings"
