"""The formats that tracks are read from and written to: one module each, and one entry below."""

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.base.tally import Dropped
from unisono.tracks.record import Entry
from unisono.tracks.unpacked import AudioFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILES = {".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".csv": "csv"}
"""Ending -> format of one file."""
UNIFIED = ("json", "jsonl", "parquet")
"""Formats that every stage reads."""
FOLDERS = {"webdataset": "*.tar", "huggingface": "data/*.parquet"}
"""Format of a folder -> pattern of the files by which it is recognised."""
_MODULES = {
    "json": "json_array",
    "jsonl": "json_lines",
    "parquet": "parquet",
    "csv": "csv_table",
    "webdataset": "webdataset",
    "huggingface": "huggingface",
}


@dataclass(frozen=True)
class Sharding:
    """How a folder of several files is written; a single file needs none of it."""

    max_bytes: int = 500_000_000
    """Size of one file at most."""
    with_audio: bool = False
    """Whether the audio goes into the files; WebDataset always holds it."""
    drop: Callable[[Entry, Dropped], None] = lambda track, dropped: None
    """Called with each track whose audio cannot go along."""


class Block(NamedTuple):
    """Neighbouring records of a unified file."""

    entries: Sequence[Entry]
    content: bytes = b""
    """The lines of the file that they stand in, as lines of JSON."""
    breaks: "NDArray[np.int64] | None" = None
    """Where each line of `content` has its line break."""
    at: int = 0
    """Where the lines begin in the file, in bytes."""
    gap: int = 0
    """Bytes that follow each line before its line break."""


class Format(Protocol):
    """What a format's module provides."""

    def read(self, path: Path, unpacked: AudioFolder | None, /) -> Iterator[Entry | Dropped]:
        """Yield the tracks in bounded memory; with a folder to unpack to, they point to their audio there.

        Raises:
            DataError: a file is damaged or missing, or a record breaks a rule.
        """
        ...

    def write(self, path: Path, entries: Iterable[Entry], sharding: Sharding, /) -> int:
        """Write tracks to a file, or into an empty folder, and return how many. Memory stays bounded."""
        ...


class UnifiedFormat(Format, Protocol):
    """What the module of a format of unified files provides as well."""

    def blocks(self, path: Path, /) -> Iterator[Block]:
        """Yield what `read` does, some tracks at a time, and where they stand in the file."""
        ...


def names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(_MODULES)


def get(name: str) -> Format:
    """Return a format by its name.

    Raises:
        UsageError: there is no such format.
        MissingExtraError: it needs a package that is not installed.
    """
    if name not in _MODULES:
        raise UsageError(
            f"There is no format {name!r}.{nearest(name, _MODULES)}", hint="Formats: " + ", ".join(_MODULES)
        )
    module: Format = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return module


def of_folder(folder: Path) -> str | None:
    """Return the format of a folder, or None if it is of none."""
    return next((name for name, pattern in FOLDERS.items() if next(folder.glob(pattern), None)), None)
