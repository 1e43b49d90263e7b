"""The known datasets, to look up and to read one by one."""

from os import PathLike
from typing import Any

from unisono.base.arguments import AnyPath, Count, as_path, check, checked
from unisono.base.table import Table, Tabular
from unisono.curation.collection import Tracks
from unisono.curation.read import read_dataset
from unisono.curation.releases import Parsing, Release
from unisono.sources import registry
from unisono.sources.base import Dataset
from unisono.tracks.workspace import DEFAULT_ROOT, Workspace


class KnownDataset(Tabular):
    """A dataset: what is known about it, and how to read its release from disk.

    Attributes:
        declaration: what the dataset's own file declares; its fields are attributes of this object, too.
    """

    def __init__(self, declaration: Dataset) -> None:
        self.declaration = declaration

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.declaration, name)

    @checked
    def read(
        self,
        root: AnyPath | None = None,
        *,
        data_root: AnyPath = DEFAULT_ROOT,
        check_audio: bool = True,
        unpack_to: AnyPath | None = None,
        workers: Count | None = None,
        **options: Any,
    ) -> Tracks:
        """Read the release into complete tracks; `dropped` of the result tells what was dropped, and why.

        Args:
            root: folder of the release; by default, `<data_root>/raw/<name>`.
            data_root: folder of the data.
            check_audio: keep only tracks whose audio file is there, and measure its duration.
            unpack_to: folder for audio that the release holds in its tables; by default, such tracks are dropped.
            workers: threads that measure durations; by default, the number of cores.
            options: the dataset's own options.

        Raises:
            UsageError: the release is not there, or the dataset has no such option.
            DataError: the release is malformed.
        """
        parsing = Parsing(
            workspace=Workspace.at(data_root), unpack_to=None if unpack_to is None else as_path(unpack_to)
        )
        folder = as_path(root) if root is not None else self.declaration.root or parsing.workspace.release(self.name)
        release = Release(self.declaration, folder, options, parsing)
        release.refuse_absent()
        read = read_dataset(release, check_audio=check_audio, workers=workers)
        return Tracks(read.tracks, dropped=read.tally)

    def table(self) -> Table:
        """Return it as a table."""
        its = self.declaration
        options = ", ".join(f"{option.name} ({option.help})" for option in its.options)
        rows = [
            ("name", its.name),
            ("homepage", its.homepage),
            ("tracks", f"{its.tracks:,}" if its.tracks else "not documented"),
            ("captions", its.captions_in_words),
            ("licence of captions", its.caption_license),
            ("licence of audio", its.audio_license),
            ("use", "evaluation only, by its authors' wish" if its.evaluation_only else "training and evaluation"),
            ("options of read", options or "none"),
        ]
        return Table(its.title, ("", ""), rows, words=(0, 1))


class DatasetList(Tabular, list[KnownDataset]):
    """Datasets, printed as a table."""

    def table(self) -> Table:
        """Return it as a table."""
        rows = [
            (each.name, each.title, f"{each.tracks:,}", each.captions_in_words, each.audio_license)
            for each in (item.declaration for item in self)
        ]
        return Table("", ("name", "title", "tracks", "captions", "licence of audio"), rows, words=(0, 1, 3, 4))


def dataset(name: str) -> KnownDataset:
    """Return a dataset by its name, or your own music: `folder:<path>`, `hf:<folder>`, or the path of a recipe (`.toml`).

    Raises:
        UsageError: there is no such dataset.
    """
    if isinstance(name, PathLike):
        name = str(name)
    return KnownDataset(registry.get(check("name", name, str)))


def list_datasets() -> DatasetList:
    """Return all known datasets, in alphabetical order."""
    return DatasetList(map(KnownDataset, registry.usable()))
