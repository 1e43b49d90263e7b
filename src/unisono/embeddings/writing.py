"""Writing `embeddings.h5`: whole or not at all, with checksums."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.base.files import whole_file
from unisono.embeddings.structure import (
    CHECKSUMS,
    FORMAT,
    KEYS,
    ROW_TEXTS,
    SEAL,
    SUFFIX,
    Checksum,
    EncoderRecord,
    checksum_of,
    checksum_of_texts,
    seal,
    window_dim,
)
from unisono.tracks.track import Split, Track


class EmbeddingsWriter:
    """Writes one `embeddings.h5`: first the tracks of each split, then the embeddings, in blocks of rows."""

    def __init__(self, file: h5py.File, raw: "ErrorKeepingFile") -> None:
        self._file = file
        self._raw = raw
        self._checksums: dict[str, str] = {}

    def add_split(self, split: Split, tracks: list[Track]) -> None:
        """Store the tracks of a split (possibly none) and their captions, in this order."""
        counts = [len(track.captions) for track in tracks]
        texts = {name: [getattr(track, name) for track in tracks] for name in ROW_TEXTS}
        texts["ids"] = [track.id for track in tracks]
        texts["tags"] = [json.dumps(track.tags, ensure_ascii=False) for track in tracks]
        texts["captions"] = [text for track in tracks for text in track.texts]
        texts["caption_origin"] = [caption.origin or "" for track in tracks for caption in track.captions]
        self._file.create_group(split)
        for name, values in texts.items():
            self._add_texts(f"{split}/{name}", values)
        self._add(f"{split}/start", np.array([track.start for track in tracks], dtype=np.float32))
        self._add(f"{split}/duration", np.array([track.duration for track in tracks], dtype=np.float32))
        self._add(f"{split}/caption_of", np.repeat(np.arange(len(tracks)), counts).astype(np.int64))

    def add_excerpts(self, split: Split, keys: list[bytes], contents: list[bytes]) -> None:
        """Store the keys of the excerpts of a split and the identities of their audio, in the order of the ids."""
        for name, values in (("excerpts", keys), ("contents", contents)):
            self._add(f"{split}/{name}", np.frombuffer(b"".join(values), np.uint8).reshape(-1, KEYS[name]))

    def add_faults(self, faults: list[tuple[str, str, str]]) -> None:
        """Store the excerpts that cannot be embedded: key in hexadecimal, reason, detail."""
        self._add_texts("faults", [json.dumps(fault) for fault in faults])

    def add_embeddings(self, split: Split, record: EncoderRecord, blocks: Iterator[NDArray[np.float16]]) -> None:
        """Store one encoder's embeddings of a split, in blocks [n, D] (or [n, L, D]) in the order of the ids."""
        count = len(self._file[split]["ids"])
        stored = self._add_blocks(f"{split}/{record.name}{SUFFIX}", (count, *record.shape), blocks)
        stored.attrs["record"] = json.dumps(asdict(record), sort_keys=True)

    def add_windows(
        self, split: Split, record: EncoderRecord, counts: list[int], excerpts: Iterator[NDArray[np.float16]]
    ) -> None:
        """Store the embeddings of the windows: [W, D] (or [W, L, D]) for each excerpt, whose W are listed in `counts`."""
        shape = (sum(counts), *record.shape[:-1], window_dim(record))
        self._add_blocks(f"{split}/{record.name}_windows", shape, excerpts)
        self._add(f"{split}/{record.name}_window_of", np.repeat(np.arange(len(counts)), counts).astype(np.int64))

    def add_window_numbers(self, split: Split, record: EncoderRecord, numbers: list[NDArray[np.int64]]) -> None:
        """Store which of each excerpt's windows were kept, [W] for each excerpt, counted from 0."""
        self._add(f"{split}/{record.name}_window_number", np.concatenate([np.empty(0, np.int64), *numbers]))

    def seal(self) -> None:
        """Store the checksums; nothing is added after that."""
        self._file.attrs[CHECKSUMS] = json.dumps(self._checksums, sort_keys=True)
        self._file.attrs[SEAL] = seal(self._file)

    def _add(self, place: str, values: NDArray[Any]) -> None:
        self._file[place] = values
        self._checksums[place] = checksum_of(values)

    def _add_texts(self, place: str, values: list[str]) -> None:
        self._file[place] = np.array(values, dtype=h5py.string_dtype())
        self._checksums[place] = checksum_of_texts([value.encode() for value in values])

    def _add_blocks(self, place: str, shape: tuple[int, ...], blocks: Iterator[NDArray[np.float16]]) -> h5py.Dataset:
        """Store rows that come in blocks."""
        stored = self._file.create_dataset(place, shape, dtype=np.float16)
        row, found = 0, Checksum()
        for block in blocks:
            values = np.ascontiguousarray(block, np.float16)
            stored[row : row + len(values)] = values
            self._raw.check()
            if values.size:
                found.update(values.data.cast("B"))
            row += len(values)
        if row != shape[0]:
            raise DataError(f"{place}: {row} embeddings for {shape[0]} rows.")
        self._checksums[place] = found.hexdigest()
        return stored


@contextmanager
def create_embeddings(path: Path, config: dict[str, Any], failures: int) -> Iterator[EmbeddingsWriter]:
    """Create an `embeddings.h5`, which appears whole when the block ends without an error, or not at all."""
    with whole_file(path) as partial, ErrorKeepingFile(partial, "w+b") as raw:
        with h5py.File(raw, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["config"] = json.dumps(config, sort_keys=True)
            file.attrs["failures"] = failures
            writer = EmbeddingsWriter(file, raw)
            yield writer
            writer.seal()
        raw.check()


class ErrorKeepingFile(io.FileIO):
    """A file that keeps the first error of a write instead of raising it, and in memory what could not be written.

    HDF5 crashes if a write fails while it closes, or if it does not read what it wrote.
    """

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self.error: OSError | None = None
        self._lost: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the error that was kept."""
        if self.error is not None:
            raise self.error

    def write(self, content: Any, /) -> int:
        """Write all of the content, or keep the error."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        if rest:
            self._lost.append((self.tell(), bytes(rest)))
        return size

    def readinto(self, buffer: Any, /) -> int:
        """Read what was written, or could not be."""
        begin, found = self.tell(), super().readinto(buffer) or 0
        if self.error is None:
            return found
        into = memoryview(buffer).cast("B")
        into[found:] = bytes(len(into) - found)
        for place, content in self._lost:
            first, last = max(begin, place), min(begin + len(into), place + len(content))
            if first < last:
                into[first - begin : last - begin] = content[first - place : last - place]
        return len(into)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size, or keep the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0
