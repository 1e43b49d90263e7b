"""Tracks that stay on the disk: a sequence that holds 17 bytes of each, and reads a track when it is asked for."""

import os
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, overload

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.base.files import explained
from unisono.tracks.files import Ids, iter_entries, unified_format
from unisono.tracks.formats import Block
from unisono.tracks.formats._json import RECORDS_A_BLOCK, encoded, entries_of, line_breaks
from unisono.tracks.record import Entry, to_track
from unisono.tracks.track import Split, Track, batched, replace

SPLIT_OF_CODE: tuple[Split | None, ...] = ("test", "val", "train", None)
"""Splits as numbers in columns: of two, the lower one is the more held-out."""
Passing = Callable[[Sequence[Entry]], object]
"""What looks at records as they pass by, some at a time."""
_SPARSE_BYTES = 1 << 24
"""Lines that lie within this number of bytes are read together."""


class _File:
    """A file that is read at any place, closed when nobody holds it any more."""

    def __init__(self, file: IO[bytes], name: Path) -> None:
        self.file, self._name = file, name
        self._status = self._now()
        weakref.finalize(self, _close, file)  # not __del__: in a cycle of garbage the file may be the first to go

    def read(self, begin: int, end: int) -> bytes:
        """Return what lies between two places.

        Raises:
            DataError: the file was changed.
        """
        if self._now() != self._status:
            raise DataError(f"{self._name} was changed while it was being read.")
        return os.pread(self.file.fileno(), end - begin, begin)

    def note(self) -> None:
        """Take the file as it is now for what is to be read."""
        self.file.flush()
        self._status = self._now()

    def _now(self) -> tuple[int, int]:
        found = os.fstat(self.file.fileno())
        return found.st_size, found.st_mtime_ns


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # what was buffered when the disk was full
        file.close()


class StoredTracks(Sequence[Track]):
    """Tracks as JSON lines in files, each line as it is written into a unified file.

    The lines of a unified file that are so are left where they are. All others are in a temporary file, which vanishes with
    this object or with the process.
    """

    def __init__(self, tracks: Iterable[Entry], folder: Path, passing: Sequence[Passing] = ()) -> None:
        """Write tracks to a temporary file in a folder.

        Raises:
            UnisonoError: the disk is full, or the folder is not writable.
        """
        self._gather((Block(some) for some in batched(tracks, RECORDS_A_BLOCK)), folder, [], passing)

    @classmethod
    def of_file(cls, path: Path, passing: Sequence[Passing] = ()) -> "StoredTracks":
        """Return the tracks of a unified file.

        Raises:
            UsageError, DataError: as `read_tracks`.
            UnisonoError: the disk is full.
        """
        blocks = unified_format(path).blocks(path)
        found, ids = object.__new__(cls), Ids()
        folder = path.parent if os.access(path.parent, os.W_OK) else Path(tempfile.gettempdir())
        found._gather(blocks, folder, [_File(path.open("rb"), path)], [ids.note, *passing])
        ids.refuse_twice(path, lambda: iter_entries(path))
        return found

    def _gather(self, blocks: Iterable[Block], folder: Path, files: list[_File], passing: Sequence[Passing]) -> None:
        begins, ends, numbers = array("q"), array("q"), array("B")
        self._folder, self._files, scratch = folder, files, None
        self._splits: NDArray[np.uint8] | None = None
        for entries, content, breaks, at, gap in blocks:
            for look in passing:
                look(entries)
            written = encoded(entries)
            number = 0
            if breaks is None or written != content:
                with explained(folder):
                    if scratch is None:
                        folder.mkdir(parents=True, exist_ok=True)
                        scratch = _File(tempfile.TemporaryFile(dir=folder, buffering=1 << 20), folder)  # noqa: SIM115
                        files.append(scratch)
                    number, breaks, at, gap = len(files) - 1, line_breaks(written), scratch.file.tell(), 0
                    scratch.file.write(written)
            last = breaks + at + gap * np.arange(len(entries))
            ends.frombytes(last.tobytes())
            begins.frombytes(np.append(at, last + gap + 1)[:-1].tobytes())
            numbers.frombytes(bytes([number]) * len(entries))
        if scratch is not None:
            with explained(folder):
                scratch.note()
        self._begin, self._end, self._file = np.asarray(begins), np.asarray(ends), np.asarray(numbers)

    def __len__(self) -> int:
        return len(self._begin)

    def __iter__(self) -> Iterator[Track]:
        return map(to_track, self.entries())

    def entries(self) -> Iterator[Entry]:
        """Yield all tracks in order, as records where that is possible."""
        for at in range(0, len(self), RECORDS_A_BLOCK):
            entries = entries_of(self._lines(slice(at, at + RECORDS_A_BLOCK)))
            if self._splits is None:
                yield from entries
            else:
                splits = [SPLIT_OF_CODE[code] for code in self._splits[at : at + RECORDS_A_BLOCK].tolist()]
                for entry, split in zip(entries, splits, strict=True):
                    yield entry if entry.split == split else replace(entry, split=split)

    def encoded_blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield the tracks as JSON lines, and how many they are."""
        for at in range(0, len(self), RECORDS_A_BLOCK):
            count = min(RECORDS_A_BLOCK, len(self) - at)
            if self._splits is None:
                yield self._lines(slice(at, at + count)), count
            else:
                yield encoded(self[at : at + count].entries()), count

    def _lines(self, places: slice) -> bytes:
        """Return the lines of some neighbours, in few reads if they lie close together."""
        begins, ends, numbers = self._begin[places], self._end[places], self._file[places]
        if np.array_equal(begins[1:], ends[:-1] + 1) and (numbers == numbers[0]).all():  # as they stand in a file
            content: bytes = self._files[numbers[0]].read(int(begins[0]), int(ends[-1]))
            return content + b"\n"
        lines = [b""] * len(begins)
        for number in np.unique(numbers).tolist():
            (at,) = np.nonzero(numbers == number)
            first, last = int(begins[at].min()), int(ends[at].max())
            file = self._files[number]
            lies_close = last - first <= _SPARSE_BYTES
            block = file.read(first, last) if lies_close else b""
            for place, begin, end in zip(at.tolist(), begins[at].tolist(), ends[at].tolist(), strict=True):
                lines[place] = block[begin - first : end - first] if lies_close else file.read(begin, end)
        return b"\n".join(lines) + b"\n"

    @overload
    def __getitem__(self, place: int) -> Track: ...
    @overload
    def __getitem__(self, place: "slice | NDArray[np.int64]") -> "StoredTracks": ...
    def __getitem__(self, place: "int | slice | NDArray[np.int64]") -> "Track | StoredTracks":
        """Return a track, or those at some places, which are not copied."""
        if not isinstance(place, (slice, np.ndarray)):
            place = range(len(self))[place]
            return next(iter(self[place : place + 1]))
        found = object.__new__(StoredTracks)
        found._folder, found._files = self._folder, self._files
        found._begin, found._end, found._file = self._begin[place], self._end[place], self._file[place]
        found._splits = None if self._splits is None else self._splits[place]
        return found

    def with_splits(self, codes: NDArray[np.uint8]) -> "StoredTracks":
        """Return the tracks with other splits, as numbers [N], which are not copied."""
        found = self[:]
        found._splits = codes
        return found

    def with_others(self, others: Iterable[tuple[int, Entry]], places: NDArray[np.bool_]) -> "StoredTracks":
        """Return the tracks at some places [N], others in place of some of them; they keep their splits.

        Args:
            others: (place, track), written to a temporary file.
            places: which are kept, or replaced.
        """
        replaced = array("q")

        def noted() -> Iterator[Entry]:
            for place, entry in others:
                replaced.append(place)
                yield entry

        assert self._splits is None
        written = StoredTracks(noted(), self._folder)
        found = self[:]
        found._files = [*self._files, *written._files]
        found._begin, found._end, found._file = self._begin.copy(), self._end.copy(), self._file.copy()
        at = np.asarray(replaced)
        found._begin[at], found._end[at] = written._begin, written._end
        found._file[at] = len(self._files)
        return found[np.flatnonzero(places)]
