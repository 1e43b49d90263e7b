"""The tracks that the rows of a table describe: on the disk, and at most 150 bytes of each row in memory."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.base.texts import TextsOnDisk
from unisono.tracks.track import Caption, Split, Track, replace

_AT_A_TIME = 10_000
_HELD_OUT: dict[Split | None, int] = {None: 0, "train": 1, "val": 2, "test": 3}


class Described(NamedTuple):
    """What a row describes."""

    id: str
    """As the row states it; else made from the path of its audio."""
    is_stated: bool
    audio_path: str
    start_s: float
    duration_s: float

    @property
    def part(self) -> str:
        """The part of the file, for an id."""
        end = f"{self.start_s + self.duration_s:.10g}" if self.duration_s else ""
        return f"{self.start_s:.10g}-{end}"


DescribedTrack = tuple[Described, Track]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DescribedTrack).decode


class DescribedRows:
    """Rows, put together by the excerpt that they describe.

    Excerpts, ids and paths are compared by hashes of 64 bits: two of ten million have the same by chance once in 370,000
    tables.
    """

    def __init__(self, rows: Iterable[tuple[int, Described, Track]]) -> None:
        """Write rows, each with its number, to a temporary file.

        Raises:
            UnisonoError: the disk is full.
        """
        self._numbers, self._columns = array("q"), tuple(array("q") for _ in range(3))
        self._stated = bytearray()
        self._rows = TextsOnDisk(map(self._noted, rows))

    def _noted(self, row: tuple[int, Described, Track]) -> bytes:
        number, excerpt, track = row
        self._numbers.append(number)
        hashes = hash(excerpt._replace(is_stated=False)), hash(excerpt.id), hash((excerpt.id, excerpt.audio_path))
        for column, value in zip(self._columns, hashes, strict=True):
            column.append(value)
        self._stated.append(excerpt.is_stated)
        return _encode((excerpt, track))

    def tracks(self, prefix: str, place: Callable[[int], str]) -> Iterator[Track]:
        """Yield the track of each excerpt, in the order of its first row, with an id that no order of the rows changes.

        Args:
            prefix: what each id begins with.
            place: returns the place of a row, by its number, for messages.

        Raises:
            DataError: rows state one id for two files.
        """
        order, ends, names_file, names_part = self._named(place)
        begin = 0
        for some in (slice(at, at + _AT_A_TIME) for at in range(0, len(ends), _AT_A_TIME)):
            named = zip(ends[some].tolist(), names_file[some].tolist(), names_part[some].tolist(), strict=True)
            for end, its_file, its_part in named:
                (excerpt, track), *more = map(self._row, order[begin:end].tolist())
                for _, another in more:
                    track = _merged(track, another)
                base = excerpt.audio_path if its_file else excerpt.id
                id = f"{prefix}{base}_{excerpt.part}" if its_part else f"{prefix}{base}"
                yield track if track.id == id else replace(track, id=id)
                begin = end

    def _named(
        self, place: Callable[[int], str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the rows [N], excerpt by excerpt, each one's end there [E], and whether its id names file and part."""
        excerpts, ids, files = map(np.asarray, self._columns)
        first, order, ends = _grouped(excerpts)
        by_file = _numbered(files[first])
        names_part = np.bincount(by_file)[by_file] > 1
        _, each_file = np.unique(by_file, return_index=True)
        del by_file
        known, by_id = np.unique(ids[first], return_inverse=True)
        several = np.bincount(by_id[each_file]) > 1
        refused = several & np.isin(known, ids[np.frombuffer(self._stated, np.bool_)])
        if refused.any():
            self._refuse(first[by_id == by_id[refused[by_id].argmax()]], place)
        return order, ends, several[by_id], names_part

    def _refuse(self, rows: NDArray[np.int64], place: Callable[[int], str]) -> NoReturn:
        """Name the first two files of one id."""
        at_of = {self._excerpt(at).audio_path: at for at in rows[::-1].tolist()}
        (one, at), (other, another), *_ = reversed(at_of.items())
        raise DataError(
            f"{place(self._numbers[at])} and {place(self._numbers[another])} have the id {self._excerpt(at).id!r}, "
            f"but two files: {one} and {other}.",
            hint="Correct the table, or leave out id in the recipe: then the file's path is the id.",
        )

    def _excerpt(self, at: int) -> Described:
        excerpt, _ = self._row(at)
        return excerpt

    def _row(self, at: int) -> DescribedTrack:
        found: DescribedTrack = _decode(self._rows[at])
        return found


def _grouped(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Group equal keys [N], in the order in which they first occur.

    Returns:
        Of each group [G] its first place; the places [N], group by group; where each group ends in them [G].
    """
    _, first, which, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    return first[order], np.argsort(first[which], kind="stable"), np.cumsum(counts[order])


def _numbered(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number from 0 for each key [N], the same for equal ones."""
    return np.unique(keys, return_inverse=True)[1]


def _merged(first: Track, more: Track) -> Track:
    """Join the captions of two rows of one track. If their splits differ, test counts before val, and val before train."""
    captions: dict[str, Caption] = {}
    for caption in (*first.captions, *more.captions):
        captions.setdefault(caption.text, caption)
    return replace(
        first,
        captions=tuple(captions.values()),
        split=max(first.split, more.split, key=_HELD_OUT.__getitem__),
    )
