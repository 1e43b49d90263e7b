"""The layout of `embeddings.h5`: the only module that knows it, and the contract between `prepare` and what follows.

/                       attributes: format, config (JSON), failures (number of tracks that could not be embedded)
/train, /val, /test     a group for each split
    ids                 [N] string       a row for each excerpt of audio
    <encoder>_embeddings [N, D] float16   for each encoder; attributes: what made them (`EncoderRecord`); [N, L, D] for
                                         an encoder that keeps several layers
    <encoder>_windows, <encoder>_window_of   [K, D] (or [K, L, D]) float16 and [K] int64: the embedding of each window,
                                         in order of time, and its row of `ids`, ascending; only if they were kept
    dataset, recording, artist_id, artist, title, genre, tags, license, audio_path    [N] string (tags: a JSON list)
    start, duration     [N] float32      seconds
    captions            [M] string
    caption_of          [M] int64        the row of `ids` that the caption describes, ascending
    caption_origin      [M] string       human, model, tags, or empty
    excerpts            [N, 16] uint8    the key of each excerpt: a hash of path, start, length, and the file's size and time
/faults                 [F] string       excerpts that cannot be embedded, and why (JSON: key in hexadecimal, reason, detail)

The last two let `prepare` continue from this file alone; files without them are read as well.
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from unisono.base import html
from unisono.base.arguments import AnyPath, as_path, nearest
from unisono.base.errors import DataError, UsageError
from unisono.base.files import whole_file
from unisono.tracks.track import SPLITS, Split, Track

FORMAT = 1
FILE_NAME = "embeddings.h5"
SUFFIX = "_embeddings"
ROW_TEXTS = ("dataset", "recording", "artist_id", "artist", "title", "genre", "license", "audio_path")
"""The columns of strings that describe a row, named as in `Track`."""


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
    hidden_states: str = ""
    """Which of the model's hidden states are the layers: "all", or numbers such as "4,8,12"; empty: its default."""
    noncommercial: bool = False
    library: str = ""
    """Versions of the libraries that computed them, where that matters."""

    @property
    def shape_in_words(self) -> str:
        """The shape of one row: D, or L x D."""
        return f"{self.layers} x {self.dim}" if self.layers > 1 else f"{self.dim}"


@dataclass
class SplitRows:
    """One split, in memory."""

    split: Split
    ids: list[str]
    embeddings: dict[str, NDArray[np.float16]]
    """encoder -> [N, D] or [N, L, D]."""
    captions: list[str]
    caption_of: NDArray[np.int64]
    """[M]: row of `ids`."""
    caption_origin: list[str]
    texts: dict[str, list[str]]
    """Column of `ROW_TEXTS` -> N strings."""
    tags: list[list[str]]
    start_s: NDArray[np.float32]
    duration_s: NDArray[np.float32]


class EmbeddingsFile:
    """An `embeddings.h5`, open for reading; usable with and without `with`.

    `file["muq"]` are the embeddings of an encoder, in the order of `file.ids`; `len(file)` is the number of rows.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._h5 = file
        self.config: dict[str, Any] = json.loads(file.attrs["config"])
        self.failures = int(file.attrs["failures"])

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
            return html.table((repr(self),), ())
        sizes = [(split, f"{rows:,}", f"{captions:,}") for split, (rows, captions) in self._sizes().items()]
        encoders = [
            (name, record.shape_in_words, f"{record.window_s:g} s", record.pooling, record.license)
            for name, record in self.encoders.items()
        ]
        return html.table(("split", "rows", "captions"), sizes, caption=str(self.path)) + html.table(
            ("encoder", "dimension", "window", "pooling", "licence of the weights"), encoders
        )

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

    @property
    def encoders(self) -> dict[str, EncoderRecord]:
        """Encoder -> the record of what made its embeddings."""
        group = self._file[SPLITS[0]]
        return {
            name.removesuffix(SUFFIX): EncoderRecord(**json.loads(group[name].attrs["record"]))
            for name in group
            if name.endswith(SUFFIX)
        }

    @property
    def ids(self) -> list[str]:
        """The ids of the rows of all splits, in the order train, val, test."""
        return [id_ for split in SPLITS for id_ in _strings(self._file[split]["ids"])]

    def counts(self) -> dict[Split, int]:
        """Count the rows of each split."""
        return {split: len(self._file[split]["ids"]) for split in SPLITS}

    def excerpts(self, split: Split) -> list[bytes]:
        """List the keys of the excerpts of a split, in the order of the ids; empty if the file holds none."""
        group = self._file[split]
        return [row.tobytes() for row in group["excerpts"][()]] if "excerpts" in group else []

    def faults(self) -> list[tuple[str, str, str]]:
        """List the excerpts that are known to fail: key in hexadecimal, reason, detail."""
        return [tuple(json.loads(entry)) for entry in _strings(self._file["faults"])] if "faults" in self._file else []

    def embeddings(self, split: Split, encoder: str) -> NDArray[np.float16]:
        """Return the embeddings [N, D] or [N, L, D] of a split, mapped from the disk.

        Raises:
            UsageError: the file holds no embeddings of that encoder.
        """
        self._check_held(encoder)
        return _mapped(self.path, self._file[split][encoder + SUFFIX])

    def read(self, split: Split, encoders: list[str] | None = None) -> SplitRows:
        """Read one split into memory, with the embeddings of the named encoders (None: all).

        Raises:
            UsageError: the file holds no embeddings of that encoder; the message lists those it holds.
        """
        group = self._file[split]
        wanted = list(self.encoders) if encoders is None else encoders
        for name in wanted:
            self._check_held(name)
        return SplitRows(
            split=split,
            ids=_strings(group["ids"]),
            embeddings={name: group[name + SUFFIX][()] for name in wanted},
            captions=_strings(group["captions"]),
            caption_of=group["caption_of"][()],
            caption_origin=_strings(group["caption_origin"]),
            texts={name: _strings(group[name]) for name in ROW_TEXTS},
            tags=[json.loads(tags) for tags in _strings(group["tags"])],
            start_s=group["start"][()],
            duration_s=group["duration"][()],
        )

    def windows(self, split: Split, encoder: str) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """Return the embeddings of all windows of a split, [K, D] or [K, L, D], and the row of `ids` of each, [K].

        The embeddings are mapped from the disk: they may be larger than the memory.

        Raises:
            UsageError: the file holds no windows of that encoder.
        """
        group = self._file[split]
        if f"{encoder}_windows" not in group:
            raise UsageError(
                f"{self.path} holds no windows of {encoder}.",
                hint="Keep them, in a folder of their own: unisono prepare "
                f"--encoders {encoder} --keep-windows --output-dir {self.path.parent}_windows",
            )
        return _mapped(self.path, group[f"{encoder}_windows"]), group[f"{encoder}_window_of"][()]


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
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(
            f"{path} is not a whole HDF5 file: {error}.",
            hint="Make one with: unisono prepare, or point to the folder of another.",
        ) from error
    try:
        found = file.attrs.get("format")
        if found != FORMAT:
            raise DataError(f"{path}: expected embeddings of format {FORMAT}, found {found!r}.")
        return EmbeddingsFile(path, file)
    except BaseException:
        file.close()
        raise


class EmbeddingsWriter:
    """Writes one `embeddings.h5`: first the tracks of each split, then the embeddings, in blocks of rows."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def add_split(self, split: Split, tracks: list[Track]) -> None:
        """Store the tracks of a split (possibly none) and their captions, in this order."""
        group = self._file.create_group(split)
        group["ids"] = _as_strings(track.id for track in tracks)
        for name in ROW_TEXTS:
            group[name] = _as_strings(getattr(track, name) for track in tracks)
        group["tags"] = _as_strings(json.dumps(track.tags, ensure_ascii=False) for track in tracks)
        group["start"] = np.array([track.start for track in tracks], dtype=np.float32)
        group["duration"] = np.array([track.duration for track in tracks], dtype=np.float32)
        group["captions"] = _as_strings(text for track in tracks for text in track.texts)
        group["caption_of"] = np.repeat(np.arange(len(tracks)), [len(track.captions) for track in tracks]).astype(
            np.int64
        )
        group["caption_origin"] = _as_strings(caption.origin or "" for track in tracks for caption in track.captions)

    def add_excerpts(self, split: Split, keys: list[bytes]) -> None:
        """Store the keys of the excerpts of a split, in the order of the ids."""
        size = len(keys[0]) if keys else 16
        self._file[split]["excerpts"] = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, size)

    def add_faults(self, faults: list[tuple[str, str, str]]) -> None:
        """Store the excerpts that cannot be embedded: key in hexadecimal, reason, detail."""
        self._file["faults"] = _as_strings(json.dumps(fault, ensure_ascii=False) for fault in faults)

    def add_embeddings(self, split: Split, record: EncoderRecord, blocks: Iterator[NDArray[np.float16]]) -> None:
        """Store one encoder's embeddings of a split, in blocks [n, D] (or [n, L, D]) in the order of the ids."""
        group = self._file[split]
        count = len(group["ids"])
        shape = (count, record.dim) if record.layers == 1 else (count, record.layers, record.dim)
        stored = group.create_dataset(record.name + SUFFIX, shape, dtype=np.float16)
        stored.attrs["record"] = json.dumps(asdict(record), sort_keys=True)
        row = 0
        for block in blocks:
            stored[row : row + len(block)] = block
            row += len(block)
        if row != count:
            raise DataError(f"{record.name}, {split}: {row} embeddings for {count} excerpts.")

    def add_windows(
        self, split: Split, record: EncoderRecord, counts: list[int], excerpts: Iterator[NDArray[np.float16]]
    ) -> None:
        """Store the embeddings of the windows: [W, D] (or [W, L, D]) for each excerpt, whose W are listed in `counts`."""
        group = self._file[split]
        window_dim = record.dim // (3 if record.pooling == "stats" else 1)
        shape = (sum(counts), window_dim) if record.layers == 1 else (sum(counts), record.layers, window_dim)
        stored = group.create_dataset(f"{record.name}_windows", shape, dtype=np.float16)
        row = 0
        for windows in excerpts:
            stored[row : row + len(windows)] = windows
            row += len(windows)
        group[f"{record.name}_window_of"] = np.repeat(np.arange(len(counts)), counts).astype(np.int64)


@contextmanager
def create_embeddings(path: Path, config: dict[str, Any], failures: int) -> Iterator[EmbeddingsWriter]:
    """Create an `embeddings.h5`, which appears whole when the block ends without an error, or not at all."""
    with whole_file(path) as partial, _ErrorKeepingFile(partial, "w+b") as raw:
        with h5py.File(raw, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["config"] = json.dumps(config, sort_keys=True)
            file.attrs["failures"] = failures
            yield EmbeddingsWriter(file)
        if raw.error is not None:
            raise raw.error


class _ErrorKeepingFile(io.FileIO):
    """A file that keeps the first error of a write instead of raising it: HDF5 crashes if a write fails while it closes."""

    error: OSError | None = None

    def write(self, content: Any, /) -> int:
        """Write all of the content, or keep the error."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size, or keep the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def _mapped(path: Path, dataset: h5py.Dataset) -> NDArray[np.float16]:
    """Map a dataset that is stored in one piece, as those written here are; read any other into memory."""
    offset = dataset.id.get_offset()
    if offset is None:
        return np.asarray(dataset[()])
    return np.memmap(path, dataset.dtype, "r", offset, dataset.shape)


def _strings(dataset: h5py.Dataset) -> list[str]:
    return list(dataset.asstr()[()]) if len(dataset) else []


def _as_strings(values: Iterator[str]) -> NDArray[Any]:
    return np.array(list(values), dtype=h5py.string_dtype())
