"""Plan a download: which files are wanted, which of them are here, and how much room the others need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisono.sources.base import Dataset, HubFiles, RemoteFile
from unisono.sources.download.hub_listing import find_files, known_files
from unisono.sources.download.ledger import Ledger, is_packed

EVERYTHING = "all"
"""The value of a choice that stands for all its other values."""


@dataclass(frozen=True)
class FetchPlan:
    """The plan of one dataset."""

    folder: Path
    wanted: Sequence[RemoteFile | HubFiles]
    """All wanted files; `HubFiles` if the Hub has not been asked yet."""
    missing: Sequence[RemoteFile | HubFiles]
    """Files that are not here yet, or not unpacked."""

    @property
    def to_fetch(self) -> int:
        """Return the bytes that are still to be fetched, roughly."""
        return sum(size_of(file) - self.received(file) for file in self.missing)

    def received(self, file: RemoteFile | HubFiles) -> int:
        """Return how many bytes of a file are here."""
        if isinstance(file, HubFiles):
            return 0
        target = self.folder / file.name
        for path in (target, target.with_name(target.name + ".part")):
            if path.is_file():
                return min(size_of(file), path.stat().st_size)
        return 0

    def room_needed(self, *, keep_archives: bool, jobs: int) -> int:
        """Return the most bytes that the missing files will need at any time, in addition to the bytes that are here."""
        coming = {file: size_of(file) - self.received(file) for file in self.missing}
        plain = sum(size for file, size in coming.items() if not is_packed(file))
        # The number of shards is unknown until the Hub is asked: they are assumed to be small.
        archives = sorted(size for file, size in coming.items() if is_packed(file) and not _unknown_shards(file))
        held = sum(archives if keep_archives else archives[-jobs:])
        # The room to unpack an archive that is here was checked when it was fetched.
        return plain + held + sum(file.unpacked_size for file, size in coming.items() if size or not size_of(file))


def _unknown_shards(file: RemoteFile | HubFiles) -> bool:
    return isinstance(file, HubFiles) and file.audio_column is not None


def size_in_words(size: int) -> str:
    """Return a number of bytes as text, for example "3.3 GB"; "?" for 0, an unknown size."""
    value, unit = float(size), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if value < 1000 or unit == "PB":
            break
        value /= 1000
    return "?" if not size else f"{size:,} bytes" if unit == "bytes" else f"{value:,.1f} {unit}"


def size_of(file: RemoteFile | HubFiles) -> int:
    """Return a file's size in bytes, exactly or roughly; 0 if unknown."""
    return file.size or (file.about if isinstance(file, RemoteFile) else 0)


def make_plan(
    dataset: Dataset,
    folder: Path,
    ledger: Ledger,
    *,
    choices: Mapping[str, Any] | None = None,
    metadata_only: bool = False,
    ask_hub: bool,
) -> FetchPlan:
    """Plan the download of a dataset into its folder; the `choices` that are not made have their defaults.

    `ask_hub`: ask the Hub for its files if that has not been done yet; needs the network.

    Raises:
        UsageError: the dataset does not offer such a choice.
    """
    values = dataset.complete(dataset.choices, choices or {})
    wanted: list[RemoteFile | HubFiles] = []
    for files in chosen(dataset, choices, metadata_only=metadata_only):
        if isinstance(files, RemoteFile):
            wanted.append(files)
            continue
        found = find_files(files, folder) if ask_hub else known_files(files, folder)
        if found is None:
            wanted.append(files)
        else:
            wanted += found[: values.get(files.limit)]
    missing = [file for file in wanted if isinstance(file, HubFiles) or not ledger.holds(file)]
    return FetchPlan(folder, wanted, missing)


def chosen(
    dataset: Dataset, choices: Mapping[str, Any] | None = None, *, metadata_only: bool = False
) -> list[RemoteFile | HubFiles]:
    """Return the files of a dataset that the choices select.

    Raises:
        UsageError: the dataset does not offer such a choice.
    """
    values = dataset.complete(dataset.choices, choices or {})
    parts: set[str] = set()
    for option in dataset.choices:
        if option.values:
            value = values[option.name]
            asked = value if option.several else (value,)
            parts.update(map(str, option.values if EVERYTHING in asked else asked))
    return [file for file in dataset.files if file.parts <= parts and not (metadata_only and file.audio)]
