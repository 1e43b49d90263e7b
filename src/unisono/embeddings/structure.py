"""Whether an `embeddings.h5` is what it claims to be: its structure, and the checksums of its content.

The structure is checked once, when a file is opened, before anything of a claimed size is allocated. A checksum is compared
when a dataset is read. The attributes `checksums` (JSON: name of a dataset -> `Checksum` of its content) and `seal` (sha256
of the names, types, shapes and attributes of everything, and of the checksums) are written with the file; files of earlier
versions have neither. They find damage, not forgery.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
from h5py import h5d, h5l, h5o, h5z
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.tracks.track import SPLITS

FORMAT = 1
SUFFIX = "_embeddings"
ROW_TEXTS = ("dataset", "recording", "artist_id", "artist", "title", "genre", "license", "audio_path")
"""The columns of strings that describe a row, named as in `Track`."""
KEY_BYTES = 16
CONTENT_BYTES = 24
CHECKSUMS = "checksums"
SEAL = "seal"
ROWS = {**dict.fromkeys((*ROW_TEXTS, "tags"), "text"), "start": "real", "duration": "real"}
CAPTIONS = {"caption_of": "whole", "caption_origin": "text"}
KEYS = {"excerpts": KEY_BYTES, "contents": CONTENT_BYTES}
FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_LZF}
"""The filters that HDF5 and h5py hold themselves; others are code that HDF5 would load from a folder."""
MOST_COMPRESSED = 1032
"""Bytes that one byte of a deflate stream can become."""
REFERENCE_BYTES = 16
"""Bytes that a string of any length takes in its dataset."""
BLOCK_BYTES = 1 << 18
SUMMED_BYTES = 4096
TEXTS_A_BLOCK = 4096

Content = bytes | memoryview


@dataclass(frozen=True, kw_only=True)
class EncoderRecord:
    """What made one encoder's embeddings; two files agree when these do."""

    name: str
    weights: str
    revision: str
    license: str
    rate_hz: int
    window_s: float
    hop_s: float
    pooling: str
    dim: int
    """D as stored, after pooling."""
    layers: int = 1
    tail: str = "shift"
    """What the last window of an excerpt is; see `WindowCutter`."""
    hidden_states: str = ""
    """Which of the model's hidden states are the layers: "all", "mean" (a single layer, the mean of all), or numbers such as
    "4,8,12"; empty: its default."""
    noncommercial: bool = False
    library: str = ""
    """Versions of the libraries that computed them, where that matters."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row: [D] or [L, D]."""
        return (self.dim,) if self.layers == 1 else (self.layers, self.dim)

    @property
    def shape_in_words(self) -> str:
        """The shape of one row: D, or L x D."""
        return " x ".join(map(str, self.shape))


def damaged(path: Path, place: str, found: str) -> DataError:
    """Return the error for a place of a file that is not as it was written."""
    return DataError(
        f"{path} is damaged, or was not written by unisono: {place}: {found}.",
        hint="Bring it back from a copy, or make it again: remove the file and run unisono prepare.",
    )


@contextmanager
def reading(path: Path, place: str) -> Iterator[None]:
    """Turn whatever the reader of HDF5 raises into an error that names the place."""
    try:
        yield
    except (OSError, LookupError, ValueError, TypeError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise damaged(path, place, " ".join(str(error).split()) or type(error).__name__) from error
    except msgspec.MsgspecError as error:
        raise damaged(path, place, str(error)) from error


class Checksum:
    """The sha256 of the sums of each 4096 bytes, as 512 numbers of 64 bits.

    A change of one number, or a block that was lost, changes a sum for certain. Summing takes a twentieth of the time of
    sha256, and is little in comparison with reading.
    """

    def __init__(self) -> None:
        self._sums = hashlib.sha256()
        self._rest = b""
        self._size = 0

    def update(self, content: Content) -> None:
        """Add content, of any length."""
        self._size += len(content)
        if self._rest:
            content = self._rest + bytes(content)
        whole = len(content) - len(content) % SUMMED_BYTES
        words = np.frombuffer(content, "<u8", whole // 8)
        self._sums.update(words.reshape(-1, SUMMED_BYTES // 8).sum(axis=1).data)
        self._rest = bytes(content[whole:])

    def hexdigest(self) -> str:
        """Return the checksum of what was added; nothing is added after that."""
        self._sums.update(self._rest + self._size.to_bytes(8, "little"))
        return self._sums.hexdigest()


def checksum_of(values: NDArray[Any]) -> str:
    """Return the checksum of an array. Of one that is mapped, little is in memory at a time."""
    found = Checksum()
    if values.size:
        content = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        for begin in range(0, len(content), BLOCK_BYTES):
            found.update(content[begin : begin + BLOCK_BYTES].data)
    return found.hexdigest()


def checksum_of_texts(texts: Sequence[bytes]) -> str:
    """Return the checksum of texts, none of which holds NUL."""
    found = Checksum()
    found.update(b"\0".join(texts))
    return found.hexdigest()


def seal(file: h5py.File) -> str:
    """Return a hash of all that the checksums do not cover: names, types, shapes and attributes, and the checksums."""
    datasets = []
    for place in places(file):
        dataset = file[place]
        kind = "text" if h5py.check_string_dtype(dataset.dtype) else dataset.dtype.str
        datasets.append([place, dataset.shape, kind, dataset.attrs.get("record")])
    attributes = [int(file.attrs["format"]), file.attrs["config"], int(file.attrs["failures"]), file.attrs[CHECKSUMS]]
    return hashlib.sha256(json.dumps([attributes, datasets]).encode()).hexdigest()


def places(file: h5py.File) -> list[str]:
    """List the names of all datasets: of the splits, and of the root."""
    found = [f"{split}/{name}" for split in SPLITS for name in file[split]]
    return [*found, *(name for name in file if name not in SPLITS)]


def check_structure(path: Path, file: h5py.File) -> None:
    """Check the links, storage, names, shapes, types and attributes of a file, and its seal if it has one.

    Raises:
        DataError: names the first place that is not as `prepare` writes it.
    """
    with reading(path, "the attributes"):
        found = _attribute(file, "format")
        if isinstance(found, int | np.integer) and found > FORMAT:
            raise DataError(
                f"{path} has format {found} and was written by a later version of unisono; this one reads {FORMAT}.",
                hint="Update unisono, or embed the music again with this version into another folder.",
            )
        if found != FORMAT:
            raise DataError(f"{path}: expected embeddings of format {FORMAT}, found {found!r}.")
        if not isinstance(json.loads(_attribute(file, "config")), dict):
            raise ValueError("config is not a JSON object")
        if int(_attribute(file, "failures")) < 0:
            raise ValueError("failures is below 0")
        is_sealed = {name in file.attrs for name in (CHECKSUMS, SEAL)}
        if len(is_sealed) > 1:
            raise ValueError(f"there is one of {CHECKSUMS} and {SEAL} without the other")
    with reading(path, "the structure"):
        _Checker(path, path.stat().st_size).check(file)
    if is_sealed == {True}:
        with reading(path, "the attributes"):
            checksums = json.loads(_attribute(file, CHECKSUMS))
            if _attribute(file, SEAL) != seal(file) or checksums.keys() != set(places(file)):
                raise ValueError("names, shapes, types or attributes are not those that were written")


def _attribute(of: h5py.HLObject, name: str) -> Any:
    """Read an attribute that is one number or one text."""
    if name not in of.attrs:
        return None
    if of.attrs.get_id(name).shape != ():
        raise ValueError(f"the attribute {name} is not one value")
    return of.attrs[name]


class _Checker:
    """Checks one file."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._seen: dict[int, str] = {}

    def check(self, file: h5py.File) -> None:
        """Check all groups and datasets."""
        for split in SPLITS:
            with reading(self._path, split):
                group = self._member(file, split)
                if not isinstance(group, h5py.Group):
                    raise ValueError("it is not a group")
            self._check_split(group, split)
        for name in file:
            if name not in SPLITS:
                with reading(self._path, name):
                    self._check(self._member(file, name), "text" if name == "faults" else "", None)
        names = [sorted(name for name in file[split] if name.endswith(SUFFIX)) for split in SPLITS]
        for split, its_names in zip(SPLITS, names, strict=True):
            if its_names != names[0]:
                raise damaged(self._path, split, f"it holds {its_names}, but {SPLITS[0]} holds {names[0]}")
            for name in its_names:
                if file[split][name].attrs["record"] != file[SPLITS[0]][name].attrs["record"]:
                    raise damaged(self._path, f"{split}/{name}", f"made in another way than that of {SPLITS[0]}")

    def _check_split(self, group: h5py.Group, split: str) -> None:
        members: dict[str, Any] = {}
        for name in group:
            with reading(self._path, f"{split}/{name}"):
                members[name] = self._member(group, name)
        lacking = {"ids", "captions", *ROWS, *CAPTIONS} - members.keys()
        if lacking:
            raise damaged(self._path, split, f"it lacks {', '.join(sorted(lacking))}")
        with reading(self._path, f"{split}/ids"):
            rows = self._check(members["ids"], "text", None)
        with reading(self._path, f"{split}/captions"):
            captions = self._check(members["captions"], "text", None)
        for name, dataset in members.items():
            with reading(self._path, f"{split}/{name}"):
                if name in ROWS:
                    self._check(dataset, ROWS[name], (rows,))
                elif name in CAPTIONS:
                    self._check(dataset, CAPTIONS[name], (captions,))
                elif name in KEYS:
                    self._check(dataset, "bytes", (rows, KEYS[name]))
                elif name.endswith(SUFFIX):
                    record = record_of(dataset, name.removesuffix(SUFFIX))
                    self._check(dataset, "real", (rows, *record.shape))
                    self._check_windows(members, name.removesuffix(SUFFIX), record)
                elif name not in ("ids", "captions"):
                    self._check(dataset, "", None)

    def _check_windows(self, members: dict[str, Any], encoder: str, record: EncoderRecord) -> None:
        windows, window_of = members.get(f"{encoder}_windows"), members.get(f"{encoder}_window_of")
        if (windows is None) != (window_of is None):
            raise ValueError("there are windows without their rows, or rows without windows")
        if windows is not None:
            count = self._check(window_of, "whole", None)
            if (number := members.get(f"{encoder}_window_number")) is not None:
                self._check(number, "whole", (count,))
            self._check(windows, "real", (count, *record.shape[:-1], window_dim(record)))

    def _member(self, group: h5py.Group, name: str | bytes) -> Any:
        """Open a member, unless it is in another place or file, or has a name already."""
        if not isinstance(name, str):
            raise ValueError("a name that is not UTF-8")
        if group.id.links.get_info(name.encode()).type != h5l.TYPE_HARD:
            raise ValueError("it is a link to another place, which is not followed")
        member = group[name]
        address = h5o.get_info(member.id).addr
        if address in self._seen:
            raise ValueError(f"it is {self._seen[address]} once more")
        self._seen[address] = name
        return member

    def _check(self, dataset: Any, kind: str, shape: tuple[int, ...] | None) -> int:
        """Check one dataset and return its length; without a kind, only where it is stored."""
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError("it is not a dataset")
        self._check_storage(dataset)
        text, number = h5py.check_string_dtype(dataset.dtype), dataset.dtype.kind
        is_right = {
            "text": text is not None,
            "real": number == "f",
            "whole": number in "iu",
            "bytes": dataset.dtype == np.uint8,
            "": True,
        }[kind]
        if not is_right:
            raise ValueError(f"its type is {dataset.dtype}, expected {kind}")
        if dataset.shape is None or (shape is not None and dataset.shape != shape):
            raise ValueError(f"its shape is {dataset.shape}, expected {shape}")
        if shape is None and kind and len(dataset.shape) != 1:
            raise ValueError(f"its shape is {dataset.shape}, expected one axis")
        return int(dataset.shape[0]) if dataset.shape else 0

    def _check_storage(self, dataset: h5py.Dataset) -> None:
        """Refuse data of other files, and more data than the file can hold."""
        properties = dataset.id.get_create_plist()
        layout = properties.get_layout()
        if layout == h5d.VIRTUAL or properties.get_external_count():
            raise ValueError("its content is in other files, which are not read")
        if {properties.get_filter(number)[0] for number in range(properties.get_nfilters())} - FILTERS:
            raise ValueError("it needs a filter that HDF5 does not have itself")
        text = h5py.check_string_dtype(dataset.dtype)
        item = REFERENCE_BYTES if text and text.length is None else dataset.dtype.itemsize
        claimed = math.prod(dataset.shape or ()) * item
        room = self._size
        if layout == h5d.CONTIGUOUS:
            room -= dataset.id.get_offset() or (self._size if claimed else 0)
        elif layout == h5d.CHUNKED:
            room = min(dataset.id.get_storage_size(), self._size) * MOST_COMPRESSED
        if claimed > room:
            raise ValueError(f"it claims {claimed:,} bytes, which the file of {self._size:,} does not hold")


def record_of(dataset: h5py.Dataset, name: str) -> EncoderRecord:
    """Read what made the embeddings of a dataset."""
    content = msgspec.json.decode(_attribute(dataset, "record") or "", type=dict[str, Any])
    msgspec.convert(content, EncoderRecord)  # only checks: it would make floats of whole numbers
    record = EncoderRecord(**{each.name: content[each.name] for each in fields(EncoderRecord) if each.name in content})
    if record.name != name or record.dim < 1 or record.layers < 1 or not 0 < record.window_s < math.inf:
        raise ValueError("its record describes other embeddings")
    return record


def window_dim(record: EncoderRecord) -> int:
    """Return the numbers of one window: pooling can make several of each."""
    return record.dim // (3 if record.pooling == "stats" else 1)
