"""The index: every excerpt's embedding in memory, compared with a query one by one, so that results are exact.

A million excerpts of 512 numbers take 2 GB, and a query about as long as reading them once; approximate indexes pay off
far beyond that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings.file import SplitRows, open_embeddings
from unisono.retrieval.project import Floats, project
from unisono.tracks.track import SPLITS, Split

if TYPE_CHECKING:
    from unisono.retrieval.checkpoint import Model

COLUMNS = ("id", "dataset", "split", "artist", "artist_id", "title", "genre", "tags", "license", "recording")
"""Fields of `IndexedTrack` that a condition may name."""


@dataclass(frozen=True)
class IndexedTrack:
    """What is known of an excerpt in the index."""

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


@dataclass(frozen=True)
class Hit:
    """One excerpt found."""

    score: float
    """Cosine similarity."""
    track: IndexedTrack


class Index:
    """Excerpts and their embeddings, ready to be searched."""

    def __init__(self, tracks: Sequence[IndexedTrack], embeddings: Floats) -> None:
        self.tracks = tracks
        self.embeddings = embeddings
        """[N, D], unit vectors."""

    def search(
        self,
        query: Floats,
        top: int,
        among: NDArray[np.int64] | None = None,
        max_per_artist: int | None = None,
    ) -> list[Hit]:
        """Find the excerpts nearest to a query, best first; equal scores in the order of the index.

        Args:
            query: [D], a unit vector.
            top: how many, at most.
            among: positions to search among; None for all.
            max_per_artist: leave out further excerpts of an artist (excerpts without an artist are not counted).
        """
        scores = self.embeddings @ query
        positions = np.arange(len(scores)) if among is None else among
        ordered = self._best(scores, positions, top if max_per_artist is None else len(positions))
        hits: list[Hit] = []
        of_artist: dict[str, int] = {}
        for position in ordered:
            track = self.tracks[position]
            artist = track.artist_id or track.artist
            if max_per_artist is not None and artist:
                of_artist[artist] = of_artist.get(artist, 0) + 1
                if of_artist[artist] > max_per_artist:
                    continue
            hits.append(Hit(float(scores[position]), track))
            if len(hits) == top:
                break
        return hits

    @staticmethod
    def _best(scores: Floats, positions: NDArray[np.int64], top: int) -> NDArray[np.int64]:
        """Give the positions with the highest scores, best first, without sorting the others."""
        found = scores[positions]
        if top < len(found):
            least = np.partition(found, len(found) - top)[len(found) - top]
            positions, found = positions[found >= least], found[found >= least]
        best: NDArray[np.int64] = positions[np.argsort(-found, kind="stable")][:top]
        return best


def read_index(model: "Model", path: Path, split: Split | None = None) -> Index:
    """Make the index of a file of embeddings, of all splits or of one.

    Args:
        model: whose space to search in.
        path: `embeddings.h5` or its folder.
        split: the only split to read; None for all.
    """
    tracks: list[IndexedTrack] = []
    blocks: list[Floats] = []
    with open_embeddings(path) as file:
        for each in SPLITS if split is None else (split,):
            rows = file.read(each, [model.audio_encoder.name])
            tracks += _tracks(rows)
            blocks.append(project(model, file, rows))
    return Index(tracks, np.concatenate(blocks))


def _tracks(rows: SplitRows) -> list[IndexedTrack]:
    columns = {name: values for name, values in rows.texts.items() if name in IndexedTrack.__dataclass_fields__}
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
