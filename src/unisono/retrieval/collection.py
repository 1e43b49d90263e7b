"""A collection of music to search in: what is known of each excerpt, and an index of their vectors."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unisono.base.table import Table
from unisono.embeddings.file import SplitRows
from unisono.retrieval import indexes
from unisono.retrieval.indexes import Floats, Positions
from unisono.tracks.track import Split

COLUMNS = ("id", "dataset", "split", "artist", "artist_id", "title", "genre", "tags", "license", "recording")
"""Fields of `IndexedTrack` that a condition may name."""
MORE = 4
"""How many times as many tracks are searched for when too many are of the same artists."""


@dataclass(frozen=True)
class IndexedTrack:
    """What is known of an excerpt in a collection."""

    id: str
    split: Split
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

    @property
    def name(self) -> str:
        """Artist and title as far as they are known, or else the id."""
        return " - ".join(part for part in (self.artist, self.title) if part) or self.id


@dataclass(frozen=True)
class Hit:
    """One excerpt found."""

    score: float
    """Cosine similarity."""
    track: IndexedTrack
    why: dict[str, float] = field(default_factory=dict)
    """What spoke for it, the strongest first, each with its part of the score; empty if the model cannot say."""


class Hits(list[Hit]):
    """The excerpts that a query found, best first; printed as a table.

    Attributes:
        query: the description.
        searched: how many tracks were searched.
    """

    def __init__(self, hits: Iterable[Hit] = (), query: str = "", searched: int = 0) -> None:
        super().__init__(hits)
        self.query = query
        self.searched = searched

    def _table(self) -> Table:
        rows = [
            (str(place), f"{hit.score:.3f}", hit.track.name, hit.track.dataset, hit.track.audio_path)
            for place, hit in enumerate(self, 1)
        ]
        title = f"“{self.query}” among {self.searched:,} tracks"
        columns = ("", "score", "track", "dataset", "file")
        if not any(hit.why for hit in self):
            return Table(title, columns, rows, words=(2, 3, 4))
        explained = [(*row, ", ".join(hit.why)) for row, hit in zip(rows, self, strict=True)]
        return Table(title, (*columns, "because of"), explained, words=(2, 3, 4, 5))

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table().html()


class Collection:
    """Excerpts and an index of their vectors.

    Attributes:
        tracks: N, in the order of the vectors.
        index: of the vectors.
    """

    def __init__(
        self,
        tracks: Sequence[IndexedTrack],
        vectors: Floats,
        index: str = "exact",
        *,
        explain: Callable[[Floats, Floats], dict[str, float]] | None = None,
    ) -> None:
        """Build the index `index` of unit vectors [N, D].

        Args:
            tracks: N.
            vectors: [N, D].
            index: name of the index.
            explain: from a query [D] and a vector [D] to what speaks for it (`Hit.why`).
        """
        self.tracks = tracks
        self.index = indexes.get(index)(vectors)
        self._vectors = vectors
        self._explain = explain

    def __len__(self) -> int:
        return len(self.tracks)

    def __repr__(self) -> str:
        return f"Collection: {len(self):,} tracks"

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

        Args:
            vector: [D], a unit vector.
            top: the most excerpts to return.
            among: positions to search among, ascending; None for all.
            max_per_artist: the most excerpts of one artist; excerpts without an artist are not limited.
            query: the text of the query, to be shown.
        """
        searched = len(self) if among is None else len(among)
        wanted = top
        while True:
            positions, scores = self.index.search(vector, wanted, among)
            hits = [
                Hit(float(score), self.tracks[position], self._why(vector, position))
                for position, score in zip(positions, scores, strict=True)
            ]
            kept = hits if max_per_artist is None else _limited(hits, max_per_artist)
            if len(kept) >= top or wanted >= searched:
                return Hits(kept[:top], query, searched)
            wanted *= MORE

    def _why(self, vector: Floats, position: int) -> dict[str, float]:
        return self._explain(vector, self._vectors[position]) if self._explain else {}


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
    columns: dict[str, list[Any]] = {
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
