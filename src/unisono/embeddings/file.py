"""The layout of `embeddings.h5`, the contract between `prepare` and what follows, and reading it. `writing` writes it,
`structure` checks it.

/                       attributes: format, config (JSON), failures (number of tracks that could not be embedded)
/train, /val, /test     a group for each split
    ids                 [N] string       a row for each excerpt of audio
    <encoder>_embeddings [N, D] float16   for each encoder; attributes: what made them (`EncoderRecord`); [N, L, D] for
                                         an encoder that keeps several layers
    <encoder>_windows, <encoder>_window_of   [K, D] (or [K, L, D]) float16 and [K] int64: the embedding of each window,
                                         in order of time, and its row of `ids`, ascending; only if they were kept
    <encoder>_window_number              [K] int64: which of the excerpt's windows it is, counted from 0; only if not all
                                         were kept
    dataset, recording, artist_id, artist, title, genre, tags, license, audio_path    [N] string (tags: a JSON list)
    start, duration     [N] float32      seconds
    captions            [M] string
    caption_of          [M] int64        the row of `ids` that the caption describes, ascending
    caption_origin      [M] string       human, model, tags, or empty
    excerpts            [N, 16] uint8    the key of each excerpt: a hash of path, start, length, and the file's size and time
    contents            [N, 24] uint8    the file's size and a hash of its bytes, start and length; zeros where not known
/faults                 [F] string       excerpts that cannot be embedded, and why (JSON: key in hexadecimal, reason, detail)

The last three let `prepare` continue from this file alone; files without them are read as well. For checksums see
`structure`.
"""

import errno
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base import texts
from unisono.base.arguments import AnyPath, as_path, nearest
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.files import refuse_pointer
from unisono.base.table import Table
from unisono.base.texts import ListsOnDisk, TextsOnDisk, chained, decoded_list, distinct
from unisono.embeddings.encoders.weights import refuse_untrained
from unisono.embeddings.structure import (
    BLOCK_BYTES,
    CHECKSUMS,
    MOST_COMPRESSED,
    ROW_TEXTS,
    SUFFIX,
    TEXTS_A_BLOCK,
    Checksum,
    EncoderRecord,
    check_structure,
    checksum_of,
    damaged,
    places,
    reading,
    record_of,
)
from unisono.embeddings.writing import EmbeddingsWriter, create_embeddings
from unisono.tracks.track import SPLITS, Split

FILE_NAME = "embeddings.h5"
__all__ = [
    "FILE_NAME",
    "EmbeddingsFile",
    "EmbeddingsWriter",
    "EncoderRecord",
    "KeptWindows",
    "SplitRows",
    "create_embeddings",
    "open_embeddings",
]


@dataclass
class SplitRows:
    """One split, in memory; of many excerpts or captions, the texts are on the disk."""

    split: Split
    ids: Sequence[str]
    embeddings: dict[str, NDArray[np.float16]]
    """encoder -> [N, D] or [N, L, D]."""
    captions: Sequence[str]
    """[M]."""
    caption_of: NDArray[np.int64]
    """[M]: row of `ids`."""
    caption_origin: list[str]
    texts: dict[str, Sequence[str]]
    """Column of `ROW_TEXTS` -> N strings."""
    tags: Sequence[list[str]]
    start_s: NDArray[np.float32]
    duration_s: NDArray[np.float32]


@dataclass(frozen=True)
class KeptWindows:
    """The windows of the excerpts of a split."""

    embeddings: NDArray[np.float16]
    """[K, D] or [K, L, D]."""
    of: NDArray[np.int64]
    """[K]: the row of `ids` of each, ascending."""
    numbers: NDArray[np.int64]
    """[K]: which window of its excerpt each is, counted from 0."""


class EmbeddingsFile:
    """An `embeddings.h5`, open for reading; usable with and without `with`.

    `file["muq"]` are the embeddings of an encoder, in the order of `file.ids`; `len(file)` is the number of rows.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        """Check the structure of an open file.

        Raises:
            DataError: it is damaged, or not of this format.
        """
        check_structure(path, file)
        self.path = path
        self._h5 = file
        self.config: dict[str, Any] = json.loads(file.attrs["config"])
        self.failures = int(file.attrs["failures"])
        self.checksums: dict[str, str] = json.loads(file.attrs.get(CHECKSUMS, "{}"))
        """Name of a dataset -> the checksum of its content; empty in files of earlier versions."""
        self._verified: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice does nothing. Arrays that were read stay valid."""
        self._h5.close()

    @property
    def _file(self) -> h5py.File:
        if not self._h5:
            raise UsageError(
                f"{self.path} is closed.", hint="Open it again with open_embeddings, or use it inside `with`."
            )
        return self._h5

    def __len__(self) -> int:
        return sum(self.counts().values())

    def __contains__(self, encoder: object) -> bool:
        return encoder in self.encoders

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the encoders."""
        return iter(self.encoders)

    def __getitem__(self, encoder: str) -> NDArray[np.float32]:
        """Read the embeddings of an encoder, float32 [N, D] or [N, L, D], of all splits in the order of `ids`.

        Raises:
            UsageError: the file holds no embeddings of that encoder; the message lists those it holds.
        """
        self._check_held(encoder)
        return np.concatenate([self.embeddings(split, encoder) for split in SPLITS], dtype=np.float32)

    def __repr__(self) -> str:
        if not self._h5:
            return f"EmbeddingsFile: {self.path}, closed"
        lines = [f"EmbeddingsFile: {self.path}"]
        for split, (rows, captions) in self._sizes().items():
            lines.append(f"  {split}: {rows:,} rows, {captions:,} captions")
        lines += [f"  encoder {name}: {record.shape_in_words}" for name, record in self.encoders.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        if not self._h5:
            return Table(repr(self), (), ()).html()
        sizes = [(split, f"{rows:,}", f"{captions:,}") for split, (rows, captions) in self._sizes().items()]
        encoders = [
            (name, record.shape_in_words, f"{record.window_s:g} s", record.pooling, record.license)
            for name, record in self.encoders.items()
        ]
        headings = ("encoder", "dimension", "window", "pooling", "licence of the weights")
        splits = Table(str(self.path), ("split", "rows", "captions"), sizes)
        return splits.html() + Table("", headings, encoders).html()

    def _sizes(self) -> dict[Split, tuple[int, int]]:
        return {split: (len(self._file[split]["ids"]), len(self._file[split]["captions"])) for split in SPLITS}

    def _check_held(self, encoder: str) -> None:
        held = self.encoders
        if encoder not in held:
            raise UsageError(
                f"{self.path} holds no {encoder} embeddings; it holds: {', '.join(held) or 'none'}."
                f"{nearest(str(encoder), held)}",
                hint=f"Add them with: unisono prepare --encoders {encoder} --output-dir {self.path.parent}",
            )
        refuse_untrained(encoder, held[encoder].revision, str(self.path))

    @property
    def encoders(self) -> dict[str, EncoderRecord]:
        """Encoder -> the record of what made its embeddings."""
        group = self._file[SPLITS[0]]
        names = [name.removesuffix(SUFFIX) for name in group if name.endswith(SUFFIX)]
        return {name: record_of(group[name + SUFFIX], name) for name in names}

    def record_of(self, encoder: str) -> EncoderRecord:
        """Return the record of what made the embeddings of an encoder.

        Raises:
            UsageError: the file holds no embeddings of that encoder.
        """
        self._check_held(encoder)
        return self.encoders[encoder]

    def recordings(self, split: Split) -> Sequence[str]:
        """The recordings of the rows of a split."""
        return self._many_texts(f"{split}/recording")

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the rows of all splits, in the order train, val, test."""
        return chained([self._many_texts(f"{split}/ids") for split in SPLITS])

    def counts(self) -> dict[Split, int]:
        """Count the rows of each split."""
        return {split: len(self._file[split]["ids"]) for split in SPLITS}

    def excerpts(self, split: Split) -> list[bytes]:
        """List the keys of the excerpts of a split, in the order of the ids; empty if the file holds none."""
        return self._keys(f"{split}/excerpts")

    def contents(self, split: Split) -> list[bytes]:
        """List the identities of the audio of a split, in the order of the ids; empty if the file holds none."""
        return self._keys(f"{split}/contents")

    def faults(self) -> list[tuple[str, str, str]]:
        """List the excerpts that are known to fail: key in hexadecimal, reason, detail."""
        if "faults" not in self._file:
            return []
        texts = self._texts("faults")
        with reading(self.path, "faults"):
            return [msgspec.json.decode(text, type=tuple[str, str, str]) for text in texts]

    def embeddings(self, split: Split, encoder: str) -> NDArray[np.float16]:
        """Return the embeddings [N, D] or [N, L, D] of a split, mapped from the disk.

        Raises:
            UsageError: the file holds no embeddings of that encoder.
            DataError: they are damaged.
        """
        self._check_held(encoder)
        return self._mapped(f"{split}/{encoder}{SUFFIX}")

    def on_disk(self, split: Split, encoder: str) -> h5py.Dataset:
        """Return the embeddings of a split as they lie in the file, to be read in slices while it is open.

        Raises:
            UsageError: the file holds no embeddings of that encoder.
            DataError: they are damaged.
        """
        self._check_held(encoder)
        place = f"{split}/{encoder}{SUFFIX}"
        dataset = self._file[place]
        if self._is_to_compare(place):
            found = Checksum()
            with reading(self.path, place):
                for begin in range(0, len(dataset), TEXTS_A_BLOCK):
                    block = np.ascontiguousarray(dataset[begin : begin + TEXTS_A_BLOCK])
                    found.update(block.reshape(-1).view(np.uint8).data)
            self._compare(place, found.hexdigest())
        return dataset

    def read(self, split: Split, encoders: list[str] | None = None) -> SplitRows:
        """Read one split into memory, with the embeddings of the named encoders (None: all).

        Raises:
            UsageError: the file holds no embeddings of that encoder; the message lists those it holds.
            DataError: something of the split is damaged; the message names it.
        """
        wanted = list(self.encoders) if encoders is None else encoders
        for name in wanted:
            self._check_held(name)
        ids = self._many_texts(f"{split}/ids")
        if len(distinct(ids)[0]) < len(ids):
            raise damaged(self.path, f"{split}/ids", "an id stands there twice")
        return SplitRows(
            split=split,
            ids=ids,
            embeddings={name: self._numbers(f"{split}/{name}{SUFFIX}") for name in wanted},
            captions=self._many_texts(f"{split}/captions"),
            caption_of=self._rows(f"{split}/caption_of", len(ids)),
            caption_origin=self._texts(f"{split}/caption_origin"),
            texts={name: self._many_texts(f"{split}/{name}") for name in ROW_TEXTS},
            tags=self._lists(f"{split}/tags"),
            start_s=self._seconds(f"{split}/start"),
            duration_s=self._seconds(f"{split}/duration"),
        )

    def windows(self, split: Split, encoder: str) -> KeptWindows:
        """Return the windows of a split that were kept.

        The embeddings are mapped from the disk: they may be larger than the memory.

        Raises:
            UsageError: the file holds no windows of that encoder.
            DataError: they are damaged.
        """
        if not self.has_windows(split, encoder):
            raise UsageError(
                f"{self.path} holds no windows of {encoder}.",
                hint="Keep them, in a folder of their own: unisono prepare "
                f"--encoders {encoder} --keep-windows --output-dir {self.path.parent}_windows",
            )
        of = self._rows(f"{split}/{encoder}_window_of", len(self._file[split]["ids"]))
        place = f"{split}/{encoder}_window_number"
        if place in self._file:
            numbers = self._numbers(place).astype(np.int64, copy=False)
            if len(numbers) and (numbers[0] < 0 or (np.diff(numbers) <= 0)[np.diff(of) == 0].any()):
                raise damaged(self.path, place, "expected the windows of an excerpt in the order of time")
        else:
            numbers = np.arange(len(of)) - np.searchsorted(of, of)
        return KeptWindows(self._mapped(f"{split}/{encoder}_windows"), of, numbers)

    def has_windows(self, split: Split, encoder: str) -> bool:
        """Return whether the embeddings of the windows of an encoder were kept."""
        return f"{encoder}_windows" in self._file[split]

    def places(self) -> list[str]:
        """List the names of all datasets, such as "train/ids"."""
        return places(self._file)

    def verify(self, place: str) -> int:
        """Read one dataset and compare it with its checksum; return its bytes.

        Raises:
            DataError: it is damaged.
        """
        if h5py.check_string_dtype(self._file[place].dtype):
            return sum(map(len, self._texts(place)))
        return int(self._mapped(place).nbytes)

    def _numbers(self, place: str) -> NDArray[Any]:
        """Read a dataset; sum each block of it for the checksum while the processor still holds the block."""
        found = Checksum() if self._is_to_compare(place) else None
        with reading(self.path, place):
            dataset = self._file[place]
            offset = dataset.id.get_offset()
            values: NDArray[Any]
            if offset is None or not dataset.size:
                values = dataset[()]
                if found and values.size:
                    found.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
            else:
                values = np.empty(dataset.shape, dataset.dtype)
                content = values.reshape(-1).view(np.uint8)
                with self.path.open("rb", buffering=0) as file:
                    file.seek(offset)
                    for begin in range(0, len(content), BLOCK_BYTES):
                        block = content[begin : begin + BLOCK_BYTES].data
                        if file.readinto(block) != len(block):
                            raise ValueError("the file ends within it")
                        if found:
                            found.update(block)
        if found:
            self._compare(place, found.hexdigest())
        return values

    def _mapped(self, place: str) -> NDArray[Any]:
        """Map a dataset that is stored in one piece, as those written here are; read any other into memory."""
        with reading(self.path, place):
            dataset = self._file[place]
            offset = dataset.id.get_offset()
            values: NDArray[Any]
            if offset is None or not dataset.size:
                values = dataset[()]
            else:
                values = np.memmap(self.path, dataset.dtype, "r", offset, dataset.shape)
        if self._is_to_compare(place):
            self._compare(place, checksum_of(values))
        return values

    def _texts(self, place: str) -> list[str]:
        known: dict[bytes, str] = {}  # what recurs, such as origins and names, is one object
        with reading(self.path, place):
            return [known.setdefault(text, text.decode()) for text in self._encoded(place)]

    def _many_texts(self, place: str) -> Sequence[str]:
        """Read texts into memory, or if there are many, to the disk."""
        if len(self._file[place]) <= texts.HELD:
            return self._texts(place)
        with reading(self.path, place):
            found = TextsOnDisk(self._encoded(place))
            for _ in found:  # refuses what is not UTF-8
                pass
        return found

    def _lists(self, place: str) -> Sequence[list[str]]:
        """Read lists of texts, which are texts of JSON."""
        found = self._many_texts(place)
        with reading(self.path, place):
            if not isinstance(found, TextsOnDisk):
                return [decoded_list(each) for each in found]
            for each in found:  # refuses what is no list
                decoded_list(each)
        return ListsOnDisk(found)

    def _encoded(self, place: str) -> Iterator[bytes]:
        """Read texts, many at a time, and compare their checksum when all were read."""
        found = Checksum() if self._is_to_compare(place) else None
        dataset = self._file[place]
        size, total = self.path.stat().st_size, 0
        for begin in range(0, len(dataset), TEXTS_A_BLOCK):
            block: list[bytes] = dataset[begin : begin + TEXTS_A_BLOCK].tolist()
            total += sum(map(len, block))
            if total > size * MOST_COMPRESSED:
                raise ValueError("it claims more text than the file holds")
            if found:
                found.update((b"\0" if begin else b"") + b"\0".join(block))
            yield from block
        if found:
            self._compare(place, found.hexdigest())

    def _keys(self, place: str) -> list[bytes]:
        return [row.tobytes() for row in self._numbers(place)] if place in self._file else []

    def _rows(self, place: str, count: int) -> NDArray[np.int64]:
        """Read the row that each caption or window belongs to."""
        rows: NDArray[np.int64] = self._numbers(place).astype(np.int64, copy=False)
        if len(rows) and (rows[0] < 0 or rows[-1] >= count or (np.diff(rows) < 0).any()):
            raise damaged(self.path, place, f"expected rows from 0 to {count - 1}, in ascending order")
        return rows

    def _seconds(self, place: str) -> NDArray[np.float32]:
        seconds: NDArray[np.float32] = self._numbers(place)
        if not np.isfinite(seconds).all():
            raise damaged(self.path, place, "expected seconds, found a number that is not finite")
        return seconds

    def _is_to_compare(self, place: str) -> bool:
        """Return whether a dataset has a checksum that was not compared since the file was opened."""
        return place in self.checksums and place not in self._verified

    def _compare(self, place: str, found: str) -> None:
        if found != self.checksums[place]:
            raise damaged(self.path, place, "its content is not what was written (the checksums differ)")
        self._verified.add(place)


def open_embeddings(path: AnyPath) -> EmbeddingsFile:
    """Open `embeddings.h5` for reading; `path` is the file or the folder that holds it.

    Raises:
        UsageError: there is no such file.
        DataError: it is not a whole file of this format.
    """
    path = as_path(path)
    path = path / FILE_NAME if path.is_dir() or not path.suffix else path
    if not path.is_file():
        raise UsageError(f"There is no {path}.", hint="Make it with: unisono prepare --output-dir " + str(path.parent))
    file = _open(path)
    try:
        return EmbeddingsFile(path, file)
    except BaseException:
        file.close()
        raise


def _open(path: Path) -> h5py.File:
    """Open a file for reading, without a lock where the file system has none."""
    try:
        try:
            return h5py.File(path, "r")
        except OSError as error:
            if "unable to lock file" not in str(error) or error.errno in (errno.EAGAIN, errno.EACCES):
                raise
            return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "unable to lock file" in str(error):
            raise UnisonoError(
                f"{path} is locked: another program has it open to write to it.",
                hint="Close that program, or wait until it is done. If there is none (some network folders lock files "
                "wrongly), read without locks: set the environment variable HDF5_USE_FILE_LOCKING=FALSE.",
            ) from error
        if error.errno is not None:
            raise UnisonoError(
                f"Cannot read {path}: {os.strerror(error.errno)}.", hint="See that you may read it."
            ) from error
        refuse_pointer(path)
        raise DataError(
            f"{path} is not a whole HDF5 file: {error}.",
            hint="Make one with: unisono prepare, or point to the folder of another.",
        ) from error
