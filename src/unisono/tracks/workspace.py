"""The folders and default file names of a workspace: where each stage reads and writes unless told otherwise.

<root>/raw/<dataset>/               releases, as `download` brings them
<root>/unified_dataset.json         what `unify` writes
<root>/processed_embeddings/        what `prepare` writes
<root>/musicbench_embeddings/       what `prepare --use-musicbench` writes
<root>/library/<name>.sqlite        the libraries of a person's music
<root>/benchmarks/<name>_<encoder>/ embeddings of a benchmark, for `evaluate --dataset-file`
"""

from dataclasses import dataclass
from pathlib import Path

from unisono.base.arguments import AnyPath, as_path

DEFAULT_ROOT = Path("data")


@dataclass(frozen=True)
class Workspace:
    """The places below one data folder."""

    root: Path = DEFAULT_ROOT

    @classmethod
    def at(cls, root: AnyPath) -> "Workspace":
        """Return the workspace in a folder; `~` is expanded.

        Raises:
            UsageError: `root` is not a path.
        """
        return cls(as_path(root))

    @property
    def raw(self) -> Path:
        """Return the folder of all releases."""
        return self.root / "raw"

    def release(self, dataset: str) -> Path:
        """Return the folder of a dataset's release."""
        return self.raw / dataset

    @property
    def unified_file(self) -> Path:
        """Return the default unified file."""
        return self.root / "unified_dataset.json"

    @property
    def embeddings(self) -> Path:
        """Return the default folder of `embeddings.h5`."""
        return self.root / "processed_embeddings"

    def embeddings_of(self, dataset: str) -> Path:
        """Return the folder of the embeddings of one dataset alone."""
        return self.root / f"{dataset}_embeddings"

    @property
    def library(self) -> Path:
        """Return the folder of the libraries."""
        return self.root / "library"

    def benchmark(self, unified_file: Path, encoder: str) -> Path:
        """Return the folder of a benchmark's embeddings, of one encoder."""
        return self.root / "benchmarks" / f"{unified_file.stem}_{encoder}"

    @property
    def root_option(self) -> str:
        """Return the option that names this workspace on the command line; empty for the default one."""
        return "" if self.root == DEFAULT_ROOT else f" --data-root {self.root}"
