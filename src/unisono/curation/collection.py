"""Tracks as a collection: to read, filter, sample, split, describe and write them in a notebook or a script."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, Count, as_path, checked
from unisono.base.errors import DataError, UsageError
from unisono.base.extras import extra
from unisono.base.storage import is_absolute
from unisono.base.table import Table
from unisono.base.tally import Tally
from unisono.curation.sampling import Stratification, sample
from unisono.curation.splits import SplitBy, assign_splits
from unisono.curation.statistics import Statistics, describe
from unisono.tracks import files
from unisono.tracks.record import COLUMNS, ORIGINS, Entry, to_track
from unisono.tracks.stored import Passing, StoredTracks
from unisono.tracks.track import SPLITS, Track, batched

if TYPE_CHECKING:
    import pandas

AT_A_TIME = 10_000
ROWS_SHOWN = 5
LETTERS_SHOWN = 60


class Tracks(Sequence[Track]):
    """An immutable sequence of tracks.

    Attributes:
        dropped: what was dropped when they were read, and why; None if nothing was counted.

    Raises:
        UsageError: an item is not a `Track`.
    """

    def __init__(self, tracks: Iterable[Track] = (), *, dropped: Tally | None = None) -> None:
        self._tracks = tracks if isinstance(tracks, StoredTracks) else tuple(_only_tracks(tracks))
        self.dropped = dropped

    def __len__(self) -> int:
        return len(self._tracks)

    def __iter__(self) -> Iterator[Track]:
        return iter(self._tracks)

    @overload
    def __getitem__(self, place: int) -> Track: ...
    @overload
    def __getitem__(self, place: slice) -> "Tracks": ...
    def __getitem__(self, place: int | slice) -> "Track | Tracks":
        return Tracks(self._tracks[place]) if isinstance(place, slice) else self._tracks[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Tracks) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(track.id for track in self._tracks))

    def __add__(self, other: Iterable[Track]) -> "Tracks":
        return Tracks([*self._tracks, *other])

    def filter(self, predicate: Callable[[Track], Any]) -> "Tracks":
        """Return the tracks for which `predicate(track)` is true.

        Raises:
            UsageError: it cannot be called.
        """
        if not callable(predicate):
            raise UsageError(f"filter expects a function of a track, found {predicate!r}.")
        return self.at(np.array([bool(predicate(track)) for track in self], dtype=bool))

    def entries(self) -> Iterable[Entry]:
        """Return the tracks, as records if they are on the disk, which takes a fourth of the time."""
        return self._tracks.entries() if isinstance(self._tracks, StoredTracks) else self._tracks

    def with_others(self, others: Iterable[tuple[int, Entry]], kept: NDArray[np.bool_]) -> "Tracks":
        """Return the tracks at some places [N], others, each with its place, in place of some of them."""
        if isinstance(self._tracks, StoredTracks):
            return Tracks(self._tracks.with_others(others, kept))
        replaced = dict(others)
        return Tracks(to_track(replaced.get(at, self._tracks[at])) for at in np.flatnonzero(kept).tolist())

    def at(self, places: NDArray[np.bool_] | NDArray[np.int64]) -> "Tracks":
        """Return the tracks at some places, or where an array [N] is true."""
        at = np.flatnonzero(places) if places.dtype == bool else places.astype(np.int64)
        if isinstance(self._tracks, StoredTracks):
            return Tracks(self._tracks[at])
        return Tracks(self._tracks[place] for place in at.tolist())

    @checked
    def sample(self, n: Count, *, seed: int = 42, stratify_by: Stratification | None = None) -> "Tracks":
        """Return min(n, all) tracks, in their order.

        A track's id and the seed decide whether it is drawn: a smaller sample is part of every larger one.

        Args:
            n: how many tracks.
            seed: another seed draws another sample.
            stratify_by: draw equal shares of the datasets ("dataset"), or of short, medium and long tracks ("duration");
                by default, the shares of the splits are kept.

        Raises:
            UsageError: a wrong argument.
            DataError: two tracks have the same id.
        """
        _refuse_twice(self._tracks)
        return Tracks(sample(list(self._tracks), seed=seed, max_samples=n, stratify_by=stratify_by))

    @checked
    def split(self, *, seed: int = 42, by: SplitBy = "upstream") -> "Splits":
        """Return train, val and test, which share no recording, artist or file.

        Args:
            seed: of the splits that are drawn, 80/10/10.
            by: "upstream" honours the splits that tracks have and draws the others; "seed" draws all.
        """
        assigned = assign_splits(self._tracks, seed=seed, split_by=by)
        return Splits(*(Tracks(track for track in assigned if track.split == split) for split in SPLITS))

    def describe(self) -> Statistics:
        """Return the statistics of these tracks: counts, hours, captions, words, licences."""
        return describe(self._tracks)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a `pandas.DataFrame` with a row a track, and the fields of a unified file as columns.

        Fields of `extra` have columns of their own.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        with extra("pandas", "Tracks.to_pandas"):
            import pandas
        columns: dict[str, list[Any]] = {name: [_value(track, name) for track in self._tracks] for name in COLUMNS}
        columns[ORIGINS] = [[caption.origin for caption in track.captions] for track in self._tracks]
        for name in dict.fromkeys(name for track in self._tracks for name in track.extra):
            columns.setdefault(name, [track.extra.get(name) for track in self._tracks])
        return pandas.DataFrame(columns)

    def __repr__(self) -> str:
        reasons = self.dropped.reasons() if self.dropped else Counter[str]()
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        return f"{self._table()}\ndropped: {dropped}" if dropped else str(self._table())

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        hours = sum(track.duration for track in self._tracks) / 3600
        datasets = Counter(track.dataset or "(unnamed)" for track in self._tracks)
        of = "; " + ", ".join(f"{count:,} {name}" for name, count in datasets.most_common()) if datasets else ""
        rows = [
            (track.id, f"{track.duration:,.1f}", track.license, _cut(track.caption))
            for track in self._tracks[:ROWS_SHOWN]
        ]
        if len(self) > ROWS_SHOWN:
            rows.append(("...", "", "", ""))
        title = f"{len(self):,} tracks, {hours:,.2f} hours{of}"
        return Table(title, ("id", "seconds", "licence", "caption"), rows, words=(0, 2, 3))


class Splits(NamedTuple):
    """Train, val and test."""

    train: Tracks
    val: Tracks
    test: Tracks


def read_tracks(path: AnyPath) -> Tracks:
    """Read a unified file (.json, .jsonl or .parquet).

    Raises:
        UsageError: the file is missing, or its ending is another.
        DataError: a record breaks a rule; the message names its number, its id, the field, and what was expected.
    """
    return Tracks(files.read_tracks(as_path(path)))


def write_tracks(tracks: Iterable[Track], path: AnyPath) -> int:
    """Write a unified file (.json, .jsonl or .parquet), whole or not at all, and return the number of tracks.

    The same tracks give the same bytes.

    Raises:
        UsageError: the ending is another, or an item is not a `Track`.
        DataError: a track has no caption, no duration or a relative path, or two tracks have the same id.
        UnisonoError: the file cannot be written.
    """
    if isinstance(tracks, (str, PathLike)):
        raise UsageError(f"write_tracks expects the tracks first and then the path, found {tracks!r} first.")
    if isinstance(tracks, Tracks) and isinstance(tracks._tracks, StoredTracks):
        return files.write_tracks(as_path(path), tracks._tracks)
    path, writable = as_path(path), _writable(tracks)
    if isinstance(tracks, Iterator):  # it comes only once
        files.file_kind(path)
        tracks = writable = StoredTracks(writable, path.parent)
    _refuse_twice(tracks)
    return files.write_tracks(path, writable)


def as_tracks(tracks: AnyPath | Iterable[Track], passing: Sequence[Passing] = ()) -> Tracks:
    """Return tracks as a collection; those of a file are checked and stay on the disk.

    Args:
        tracks: a unified file, or tracks.
        passing: called with all tracks, some at a time.

    Raises:
        UsageError, DataError: as `read_tracks` and `Tracks` do.
    """
    if isinstance(tracks, (str, PathLike)):
        return Tracks(StoredTracks.of_file(as_path(tracks), passing))
    found = tracks if isinstance(tracks, Tracks) else Tracks(tracks)
    for look in passing:
        for some in batched(found.entries(), AT_A_TIME):
            look(some)
    return found


def _only_tracks(tracks: Any) -> Iterator[Track]:
    if isinstance(tracks, (str, bytes)) or not isinstance(tracks, Iterable):
        raise UsageError(f"Expected tracks, found {_cut(repr(tracks))}.")
    for number, track in enumerate(tracks, 1):
        if not isinstance(track, Track):
            raise UsageError(f"Expected tracks, found {_cut(repr(track))} as item {number}.")
        yield track


def _writable(tracks: Iterable[Track]) -> Iterable[Track]:
    for track in _only_tracks(tracks):
        if not is_absolute(track.audio_path):
            raise DataError(f"The track {track.id!r}: audio_path must be absolute, found {track.audio_path!r}.")
        if not track.duration:
            raise DataError(f"The track {track.id!r}: duration must be above 0 seconds.")
        yield track


def _refuse_twice(tracks: Iterable[Track]) -> None:
    ids = files.Ids()
    for some in batched(_only_tracks(tracks), AT_A_TIME):
        ids.note(some)
    if twice := ids.first_twice(lambda: tracks):
        first, second, track = twice
        raise DataError(f"Tracks {first} and {second} have the same id {track.id!r}; ids must be unique.")


def _value(track: Track, column: str) -> Any:
    if column == "alt_captions":
        return track.texts[1:]
    if column == "caption_origin":
        return track.captions[0].origin if track.captions else None
    return getattr(track, column)


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS_SHOWN else text[: LETTERS_SHOWN - 3] + "..."
