"""Which files of a release are wanted, what of them is here already, and how much room the rest needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unisono.base.errors import UsageError
from unisono.sources.base import Dataset, HubFiles, RemoteFile
from unisono.sources.download import hub
from unisono.sources.download.ledger import Ledger, is_packed
from unisono.sources.download.options import DownloadOptions

EVERYTHING = "all"
"""The value of a choice that asks for all its other values."""


@dataclass(frozen=True)
class Plan:
    """What is to be done for one dataset."""

    folder: Path
    wanted: Sequence[RemoteFile | HubFiles]
    """All that the options ask for; `HubFiles` where the Hub has not been asked yet."""
    missing: Sequence[RemoteFile | HubFiles]
    """Those that are not here yet, or not unpacked."""

    @property
    def to_fetch(self) -> int:
        """Bytes still to come, roughly."""
        return sum(size_of(file) - self.received(file) for file in self.missing)

    def received(self, file: RemoteFile | HubFiles) -> int:
        """Give how many bytes of a file are here already."""
        if isinstance(file, HubFiles):
            return 0
        target = self.folder / file.name
        for path in (target, target.with_name(target.name + ".part")):
            if path.is_file():
                return min(size_of(file), path.stat().st_size)
        return 0

    def room_needed(self, *, keep_archives: bool, jobs: int) -> int:
        """Give the most bytes that the missing files will take at any time, in addition to what is here."""
        coming = {file: size_of(file) - self.received(file) for file in self.missing}
        plain = sum(size for file, size in coming.items() if not is_packed(file))
        # Shards of the Hub, while it has not been asked how many there are, are taken for small ones.
        archives = sorted(size for file, size in coming.items() if is_packed(file) and not _unknown_shards(file))
        held = sum(archives if keep_archives else archives[-jobs:])
        # Room for what comes out of an archive that is here already was made sure of when it was fetched.
        return plain + held + sum(file.unpacked_size for file, size in coming.items() if size or not size_of(file))


def _unknown_shards(file: RemoteFile | HubFiles) -> bool:
    return isinstance(file, HubFiles) and file.audio_column is not None


def size_of(file: RemoteFile | HubFiles) -> int:
    """Give a file's size, or what is known of it."""
    return file.size or (file.about if isinstance(file, RemoteFile) else 0)


def make(dataset: Dataset, options: DownloadOptions, folder: Path, ledger: Ledger, *, ask_hub: bool) -> Plan:
    """Find out what is to be done for a dataset.

    Args:
        dataset: what to fetch.
        options: what of it.
        folder: where to.
        ledger: what is here.
        ask_hub: whether the network may be used to learn of the Hub's files.
    """
    wanted: list[RemoteFile | HubFiles] = []
    for files in chosen(dataset, options):
        if isinstance(files, RemoteFile):
            wanted.append(files)
            continue
        found = hub.find(files, folder) if ask_hub else hub.known(files, folder)
        if found is None:
            wanted.append(files)
        else:
            wanted += found[: options.shards] if files.audio_column else found
    missing = [file for file in wanted if isinstance(file, HubFiles) or not ledger.holds(file)]
    return Plan(folder, wanted, missing)


def chosen(dataset: Dataset, options: DownloadOptions) -> list[RemoteFile | HubFiles]:
    """Select a dataset's files by the options.

    Raises:
        UsageError: an option has a value that the dataset does not offer.
    """
    parts: set[str] = set()
    for name, offered in dataset.choices.items():
        asked = _asked(options, name) or offered[:1]
        for value in asked:
            if value not in offered:
                raise UsageError(
                    f"{dataset.name} has no {_spelling(name)} {value!r}.", hint=f"It has: {', '.join(offered)}"
                )
        parts.update(offered if EVERYTHING in asked else asked)
    return [file for file in dataset.files if file.parts <= parts and not (options.metadata_only and file.audio)]


def refuse_idle_options(datasets: Sequence[Dataset], options: DownloadOptions) -> None:
    """Refuse options that none of the datasets heeds.

    Raises:
        UsageError: there is one.
    """
    heeded = {name for dataset in datasets for name in dataset.choices}
    for name in ("fma_size", "parts", "quality"):
        if _asked(options, name) and name not in heeded:
            raise UsageError(f"{_spelling(name)} means nothing to {', '.join(dataset.name for dataset in datasets)}.")
    has_shards = any(file.audio_column for dataset in datasets for file in dataset.files)
    if options.shards is not None and (options.shards < 1 or not has_shards):
        raise UsageError("--shards takes a number from 1, for datasets whose audio comes in shards.")


def _asked(options: DownloadOptions, name: str) -> tuple[str, ...]:
    value = getattr(options, name)
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _spelling(option: str) -> str:
    return "--" + option.replace("_", "-")
