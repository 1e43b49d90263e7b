"""Tracks that stay on the disk: a sequence that holds eight bytes of each, and reads a track when it is asked for."""

import itertools
import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.files import explained
from unisono.tracks.files import iter_tracks, read_tracks, unique
from unisono.tracks.track import Split, Track, replace

LARGE_BYTES = 256_000_000
"""Tracks of a unified file that is larger are not held in memory."""
MOST_HELD = 400_000
"""Of a mix with more tracks, none is held in memory."""
SPLIT_OF_CODE: tuple[Split | None, ...] = ("test", "val", "train", None)
"""Splits as numbers in columns: of two, the lower one is the more held-out."""


class _Scratch:
    """A temporary file without a name, closed when nobody holds it any more."""

    def __init__(self, folder: Path) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=1 << 20)  # noqa: SIM115

    def __del__(self) -> None:
        if hasattr(self, "file"):
            self.file.close()

    def read(self, begin: int, end: int) -> bytes:
        """Return what lies between two places."""
        return os.pread(self.file.fileno(), end - begin, begin)


class StoredTracks(Sequence[Track]):
    """Tracks in a temporary file, which vanishes with this object or with the process."""

    def __init__(self, tracks: Iterable[Track], folder: Path) -> None:
        """Write tracks to a temporary file in a folder.

        Raises:
            UnisonoError: the disk is full, or the folder is not writable.
        """
        encoder, offsets = msgspec.msgpack.Encoder(), array("q")
        self._folder = folder
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._scratch = _Scratch(folder)
            at = 0
            for track in tracks:
                offsets.append(at)
                at += self._scratch.file.write(encoder.encode(track))
            self._scratch.file.flush()
        offsets.append(at)
        self._splits: NDArray[np.uint8] | None = None
        self._begin = np.asarray(offsets)[:-1]
        self._end = np.asarray(offsets)[1:]

    def __len__(self) -> int:
        return len(self._begin)

    def __iter__(self) -> Iterator[Track]:
        """Read all tracks in order, a megabyte at a time."""
        decoder = msgspec.msgpack.Decoder(Track)
        first, last = 0, 0
        block = b""
        for at, (begin, end) in enumerate(zip(self._begin, self._end, strict=True)):
            if begin < first or end > last:
                first, last = begin, max(end, begin + (1 << 20))
                block = self._scratch.read(first, last)
            yield self._with_split(at, decoder.decode(memoryview(block)[begin - first : end - first]))

    @overload
    def __getitem__(self, place: int) -> Track: ...
    @overload
    def __getitem__(self, place: "slice | NDArray[np.int64]") -> "StoredTracks": ...
    def __getitem__(self, place: "int | slice | NDArray[np.int64]") -> "Track | StoredTracks":
        """Return a track, or those at some places, which are not copied."""
        if isinstance(place, (slice, np.ndarray)):
            found = object.__new__(StoredTracks)
            found._folder, found._scratch = self._folder, self._scratch
            found._begin, found._end = self._begin[place], self._end[place]
            found._splits = None if self._splits is None else self._splits[place]
            return found
        begin, end = int(self._begin[place]), int(self._end[place])
        return self._with_split(place, msgspec.msgpack.decode(self._scratch.read(begin, end), type=Track))

    def _with_split(self, place: int, track: Track) -> Track:
        if self._splits is None or track.split == (split := SPLIT_OF_CODE[self._splits[place]]):
            return track
        return replace(track, split=split)

    def with_splits(self, codes: NDArray[np.uint8]) -> "StoredTracks":
        """Return the tracks with other splits, as numbers [N], which are not copied."""
        found = self[:]
        found._splits = codes
        return found

    def like(self, tracks: Iterable[Track]) -> "StoredTracks":
        """Write other tracks to a temporary file of the same folder."""
        return StoredTracks(tracks, self._folder)

    def filter(self, predicate: Callable[[Track], object]) -> "StoredTracks":
        """Return the tracks for which `predicate(track)` is true, which are not copied."""
        return self[np.array([at for at, track in enumerate(self) if predicate(track)], dtype=np.int64)]


def gathered(tracks: Iterable[Track], folder: Path) -> list[Track] | StoredTracks:
    """Return tracks as a list, or if there are many, as a sequence that is on the disk."""
    iterator = iter(tracks)
    held = list(itertools.islice(iterator, MOST_HELD))
    further = list(itertools.islice(iterator, 1))
    if not further:
        return held
    held.reverse()
    first = (held.pop() for _ in range(len(held)))  # each is forgotten once it is written
    return StoredTracks(itertools.chain(first, further, iterator), folder)


def read_or_store(path: Path) -> Sequence[Track]:
    """Read a whole unified file; the tracks of a large one stay on the disk, in its folder or in that of temporary files.

    Raises:
        UsageError, DataError: as `read_tracks`.
        UnisonoError: the disk is full.
    """
    if not path.is_file() or path.stat().st_size <= LARGE_BYTES:
        return read_tracks(path)
    folder = path.parent if os.access(path.parent, os.W_OK) else Path(tempfile.gettempdir())
    return StoredTracks(unique(path, iter_tracks(path)), folder)
