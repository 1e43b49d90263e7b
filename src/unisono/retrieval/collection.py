"""A collection of music to search in: what is known of each excerpt, and an index of their vectors."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unisono.base.table import Table, Tabular
from unisono.embeddings.file import SplitRows
from unisono.retrieval.columns import Columns
from unisono.retrieval.indexes import (
    BLOCK,
    CompareYourselfError,
    Floats,
    Index,
    IndexAwayError,
    Positions,
    UnitVectors,
    is_in_memory,
    open_index,
    refresh,
)
from unisono.retrieval.indexes.exact import ExactIndex
from unisono.tracks.track import Split

SHORTEST = 1e-3
"""UnitVectors that are shorter without what pads them are not made longer."""
ASK_AGAIN_S = 60.0
"""An index that did not answer is asked again after this time."""
FEW = 0.1
"""Of less than this share of the vectors, each is compared with a query."""
SAMPLED = 10_000
"""At least this number of tracks stands for all where not all are compared with a query."""
MORE = 4
"""How many times as many tracks are searched for when too many are of the same artists."""


@dataclass(frozen=True)
class IndexedTrack:
    """What is known of an excerpt in a collection."""

    id: str
    split: Split | Literal[""]
    """Empty for the music of a library."""
    dataset: str
    artist: str
    artist_id: str
    title: str
    genre: str
    tags: list[str]
    license: str
    recording: str
    audio_path: str
    start_s: float
    duration_s: float
    album: str = ""
    album_artist: str = ""
    year: int | None = None
    bpm: float | None = None
    rating: float | None = None
    """0 to 5."""
    added: str = ""
    """When it came into the library: an ISO date, such as 2026-11-26, or date and time."""
    library: str = ""
    number: int = -1
    """The catalogue's own number of it; -1 if it is of none."""

    @property
    def name(self) -> str:
        """Artist and title as far as they are known, or else the id."""
        return " - ".join(part for part in (self.artist, self.title) if part) or self.id


@dataclass(frozen=True)
class Hit:
    """One excerpt found."""

    score: float
    """What the hits are ordered by: the cosine with the description; of a query of several parts, see `search.run`."""
    track: IndexedTrack
    why: dict[str, float] = field(default_factory=dict)
    """What spoke for it, the strongest first, each with its part of the score; empty if the model cannot say."""
    moment_s: float | None = None
    """Where the window that fits best begins, in seconds of the file; None if the collection has no windows."""
    percentile: float | None = None
    """The share of all tracks of the collection that fit less, in percent; None if that was not asked for."""
    parts: dict[str, float] = field(default_factory=dict)
    """Of a query of several parts, what each says of the track: how many standard deviations it lies above the mean of
    the collection, times the weight; below 0 for what the query does not want."""
    curve: tuple[tuple[float, float], ...] = ()
    """(second of the file, score) of each window; empty if there are no windows."""

    @property
    def shown(self) -> str:
        """How well it fits, as people read it: the percentile, or else the score."""
        return f"{self.score:.3f}" if self.percentile is None else f"{math.floor(10 * self.percentile) / 10:.1f} %"


class Hits(Tabular, list[Hit]):
    """The excerpts that a query found, best first; printed as a table.

    Attributes:
        query: the description.
        searched: how many tracks were searched.
        fits: False if nothing that was found fits the query well.
        notes: what else is to be said of the result, in sentences.
    """

    def __init__(
        self,
        hits: Iterable[Hit] = (),
        query: str = "",
        searched: int = 0,
        *,
        fits: bool = True,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(hits)
        self.query = query
        self.searched = searched
        self.fits = fits
        self.notes = tuple(notes)

    def table(self) -> Table:
        """Return them as a table."""
        rows = [
            (str(place), hit.shown, hit.track.name, hit.track.dataset, hit.track.audio_path)
            for place, hit in enumerate(self, 1)
        ]
        title = "\n".join([f"“{self.query}” among {self.searched:,} tracks", *self.notes])
        score = "score" if not self or self[0].percentile is None else "better than"
        columns = ("", score, "track", "dataset", "file")
        if not any(hit.why for hit in self):
            return Table(title, columns, rows, words=(2, 3, 4))
        explained = [(*row, ", ".join(hit.why)) for row, hit in zip(rows, self, strict=True)]
        return Table(title, (*columns, "because of"), explained, words=(2, 3, 4, 5))


@dataclass(frozen=True)
class Windows:
    """The windows of N tracks: W >= N stretches of music, each with a vector of its own."""

    of: NDArray[np.int64]
    """[W]: the position of each window's track, ascending; every track has a window."""
    start_s: NDArray[np.float32]
    """[W]: where each begins, in seconds of the file."""
    length_s: float


@dataclass(frozen=True)
class Copied:
    """How an index that keeps copies of the vectors knows which they are."""

    made_for: str
    """What made the vectors, in words, such as a model."""
    source: str = ""
    """Another text for other vectors; empty: each vector is compared with its copy."""
    keys: Positions | None = None
    """[W], ascending: of a vector the same whatever comes and goes. None: the places."""


class Collection:
    """Excerpts and an index of their vectors.

    Attributes:
        tracks: N, in the order of the vectors.
        vectors: [W, D], unit vectors of the windows; of the tracks (W = N) where there are no windows.
        windows: which track each vector is of; None if each track has one.
        counts: [N], how many vectors each track has.
    """

    def __init__(
        self,
        tracks: Sequence[IndexedTrack],
        vectors: UnitVectors,
        index: str = "exact",
        *,
        explain: Callable[[Floats, Floats], dict[str, float]] | None = None,
        windows: Windows | None = None,
        is_padded: bool = False,
        copied: Copied | None = None,
    ) -> None:
        """Make the vectors searchable; an index that keeps copies of them is filled with what it does not hold.

        Args:
            tracks: N.
            vectors: [W, D], unit vectors.
            index: name of the index, and its place.
            explain: from a query [D] and a vector [D] to what speaks for it (`Hit.why`).
            windows: which track each vector is of. Default: W = N, each track has one.
            is_padded: the last number of each vector makes them equally long, and says nothing of the music.
            copied: for an index that keeps copies of the vectors.

        Raises:
            ValueError: tracks, vectors and windows do not fit each other.
            UsageError: there is no such index.
        """
        self.tracks = tracks
        self.windows = windows
        self.explain = explain
        self.is_padded = is_padded
        self.counts = _window_counts(len(tracks), len(vectors), windows)
        self._first = np.cumsum(self.counts) - self.counts
        self._evenly = int(self.counts[0]) if len(self) and (self.counts == self.counts[0]).all() else 0
        """The number of vectors of each track, if all have equally many."""
        self._exact = ExactIndex.of(vectors)
        self._engine: Index | None = None
        self._keys = np.arange(len(vectors))
        self._lost_at = -math.inf
        self.note = ""
        """What is to be said of the index, in a sentence."""
        if not is_in_memory(index) and len(vectors):
            self._open(index, vectors, copied or Copied("other vectors"))
        self.vectors = self._exact.vectors

    def _open(self, address: str, vectors: UnitVectors, copied: Copied) -> None:
        keys = self._keys if copied.keys is None else copied.keys
        try:
            opened = open_index(address, vectors.shape[1], copied.made_for)
            refresh(opened, keys, vectors, copied.source)
        except IndexAwayError as error:
            return self._lose(error)
        self._keys = keys
        if isinstance(opened, ExactIndex):
            self._exact = opened
        else:
            self._engine = opened
        return None

    def _lose(self, error: IndexAwayError) -> None:
        self._lost_at = time.monotonic()
        self.note = f"{error.message} All vectors are compared instead."

    @property
    def engine(self) -> Index | None:
        """An index that does not compare a query with every vector; None if there is none, or it does not answer."""
        return self._engine if time.monotonic() - self._lost_at > ASK_AGAIN_S else None

    @property
    def errors(self) -> Floats | None:
        """[W]: by how much `products` can be off; None if by no more than rounding."""
        return self._exact.errors

    def products(self, queries: Floats) -> Floats:
        """Return the products [W, Q] of the vectors with queries [Q, D]."""
        return self._exact.products(queries)

    def nearest(self, query: Floats, top: int, among: Positions | None = None) -> tuple[Positions, Floats]:
        """Return the places of the vectors nearest to a query, and their scores; see `Index.search`.

        An engine is asked if many vectors are searched; of few, each is compared with the query.
        """
        engine = self.engine
        keys = None if among is None else self._keys[among]
        if engine is not None and (among is None or len(among) >= FEW * len(self._keys)):
            try:
                found, scores = engine.search(query, top, keys)
                self.note = ""
                places = np.minimum(np.searchsorted(self._keys, found), len(self._keys) - 1)
                known = self._keys[places] == found  # others may be writing to it
                return places[known], scores[known]
            except IndexAwayError as error:
                self._lose(error)
            except CompareYourselfError:
                self.note = ""
        if self._exact.folder is None:
            return self._exact.search(query, top, among)
        found, scores = self._exact.search(query, top, keys)
        return np.searchsorted(self._keys, found), scores

    def __len__(self) -> int:
        return len(self.tracks)

    def __repr__(self) -> str:
        return f"Collection: {len(self):,} tracks"

    @cached_property
    def position_of(self) -> dict[str, int]:
        """Id -> position; the first of several."""
        return {track.id: row for row, track in reversed(list(enumerate(self.tracks)))}

    @cached_property
    def columns(self) -> Columns:
        """The columns of the tracks, for conditions."""
        return Columns(self.tracks)

    @cached_property
    def sample(self) -> tuple[Positions, Floats]:
        """Return some tracks [n] that stand for all, and the vectors of their windows."""
        rows = np.arange(0, len(self), max(1, len(self) // SAMPLED))
        return rows, self.vectors[self.places_of(rows)]

    @cached_property
    def means(self) -> Floats:
        """The mean of each track's vectors, scaled to length 1: [N, D]. What pads them is left out (0)."""
        if not len(self):
            return self.vectors[:0]
        rows = np.arange(len(self))
        return np.concatenate([self.means_of(rows[begin : begin + BLOCK]) for begin in range(0, len(self), BLOCK)])

    def means_of(self, rows: Positions) -> Floats:
        """Return the means of some tracks [n], scaled to length 1: [n, D]. What pads them is left out (0)."""
        sums = self.vectors[self.places_of(rows)]
        if not len(rows) or (self.windows is None and not self.is_padded):
            return sums
        if self.windows is not None:
            sums = np.add.reduceat(sums, self._starts(rows), axis=0)
        if self.is_padded:
            sums[:, -1] = 0
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    @cached_property
    def likeness_scale(self) -> Floats | None:
        """What makes products with the vectors cosines of music with music, [W]; None if they are.

        A vector that is padded is as long as the others however little there is to say of its music. Products with other
        music would find such music in the first place.
        """
        if not self.is_padded:
            return None
        padding = [self.vectors[begin : begin + BLOCK][:, -1] for begin in range(0, len(self.vectors) or 1, BLOCK)]
        lengths = np.sqrt(np.maximum(1 - np.concatenate(padding) ** 2, 0))
        return np.asarray(1 / np.maximum(lengths, SHORTEST), dtype=np.float32)

    def rows_where(self, where: Callable[[IndexedTrack], bool] | None) -> Positions | None:
        """Return the positions of the tracks for which `where` returns True; None for all."""
        if where is None:
            return None
        return np.array([row for row, track in enumerate(self.tracks) if where(track)], dtype=np.int64)

    def search(
        self,
        vector: Floats,
        top: int,
        among: Positions | None = None,
        max_per_artist: int | None = None,
        *,
        query: str = "",
    ) -> Hits:
        """Find the excerpts nearest to a query, best first; equal scores in the order of the collection.

        The score of a track is that of its best window.

        Args:
            vector: [D], a unit vector.
            top: the most excerpts to return.
            among: positions to search among, ascending; None for all.
            max_per_artist: the most excerpts of one artist; excerpts without an artist are not limited.
            query: the text of the query, to be shown.
        """
        searched = len(self) if among is None else len(among)
        windows = self.windows_of(among)
        searchable = len(self.vectors) if windows is None else len(windows)
        wanted = top
        while True:
            hits = self._hits(vector, *self.nearest(vector, wanted, windows))
            kept = hits if max_per_artist is None else _limited(hits, max_per_artist)
            if len(kept) >= top or wanted >= searchable:
                return Hits(kept[:top], query, searched, notes=[self.note] if self.note else ())
            wanted *= MORE

    def windows_of(self, among: Positions | None) -> Positions | None:
        """Return the places of the vectors of some tracks, ascending."""
        if among is None or self.windows is None:
            return among
        chosen = np.zeros(len(self), dtype=bool)
        chosen[among] = True
        return np.flatnonzero(chosen[self.windows.of])

    def _hits(self, vector: Floats, places: Positions, scores: Floats) -> list[Hit]:
        """Return the tracks of vectors, best first: of each, the first."""
        owners = places if self.windows is None else self.windows.of[places]
        best: dict[int, tuple[int, float]] = {}
        for owner, place, score in zip(owners.tolist(), places.tolist(), scores.tolist(), strict=True):
            best.setdefault(owner, (place, score))
        return [
            Hit(score, self.tracks[owner], self.why(vector, place), self.start_of(place))
            for owner, (place, score) in best.items()
        ]

    def best_scores(self, scores: Floats, rows: Positions | None = None) -> Floats:
        """Return the score of the best window of each track, [N, ...].

        Args:
            scores: [W, ...], of all vectors.
            rows: tracks [n]; `scores` are of their windows alone, in this order, and the result is [n, ...].
        """
        if self.windows is None or not len(scores):
            return scores
        if self._evenly:  # much faster than reduceat
            best = scores[:: self._evenly]
            for number in range(1, self._evenly):
                best = np.maximum(best, scores[number :: self._evenly])
            return best
        return np.asarray(np.maximum.reduceat(scores, self._starts(rows)))

    def mean_scores(self, scores: Floats, rows: Positions | None = None) -> Floats:
        """Return the mean score of the windows of each track; see `best_scores`."""
        if self.windows is None or not len(scores):
            return scores
        counts = self.counts if rows is None else self.counts[rows]
        sums: Floats = np.add.reduceat(scores, self._starts(rows))
        return np.asarray(sums / counts.reshape(-1, *[1] * (scores.ndim - 1)), dtype=np.float32)

    def places_of(self, rows: Positions) -> Positions:
        """Return the places of the vectors of some tracks, in their order."""
        if self.windows is None:
            return rows
        counts = self.counts[rows]
        return np.repeat(self._first[rows] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())

    def _starts(self, rows: Positions | None) -> Positions:
        return self._first if rows is None else np.cumsum(self.counts[rows]) - self.counts[rows]

    def start_of(self, place: int) -> float | None:
        """Return where the music of a vector begins, in seconds of the file; None if there are no windows."""
        return None if self.windows is None else float(self.windows.start_s[place])

    def why(self, vector: Floats, place: int) -> dict[str, float]:
        """Return what speaks for the music of a vector; see `Hit.why`."""
        return self.explain(vector, self.vectors[place]) if self.explain else {}


def _window_counts(tracks: int, vectors: int, windows: Windows | None) -> Positions:
    """Return how many vectors each track has, [N].

    Raises:
        ValueError: tracks, vectors and windows do not fit each other.
    """
    if windows is None:
        if tracks != vectors:
            raise ValueError(f"{vectors:,} vectors of {tracks:,} tracks, without windows.")
        return np.ones(tracks, dtype=np.int64)
    counts = np.bincount(windows.of, minlength=tracks)
    if not len(windows.of) == len(windows.start_s) == vectors or len(counts) != tracks or not counts.all():
        raise ValueError(f"{len(windows.of):,} windows, {vectors:,} vectors, {tracks:,} tracks: each track needs one.")
    if (np.diff(windows.of) < 0).any():
        raise ValueError("The windows are not in the order of the tracks.")
    return counts


def _limited(hits: list[Hit], max_per_artist: int) -> list[Hit]:
    counts: dict[str, int] = {}
    kept = []
    for hit in hits:
        artist = hit.track.artist_id or hit.track.artist
        counts[artist] = counts.get(artist, 0) + 1
        if not artist or counts[artist] <= max_per_artist:
            kept.append(hit)
    return kept


def indexed_tracks(rows: SplitRows) -> list[IndexedTrack]:
    """Return what is known of the excerpts of a split."""
    columns: dict[str, Sequence[Any]] = {
        name: values for name, values in rows.texts.items() if name in IndexedTrack.__dataclass_fields__
    }
    return [
        IndexedTrack(
            id=id,
            split=rows.split,
            tags=rows.tags[row],
            start_s=float(rows.start_s[row]),
            duration_s=float(rows.duration_s[row]),
            **{name: values[row] for name, values in columns.items()},
        )
        for row, id in enumerate(rows.ids)
    ]
