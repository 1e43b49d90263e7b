"""The scores of all tracks of a collection for what a query asks for.

Each thing asked for is a source: a description, a track, a playlist. Its similarities to all tracks of the collection are
brought to mean 0 and standard deviation 1, because descriptions and music lie at different distances from music. A track's
score is the weighted mean of its sources, less what it has of the things that are not wanted: `weight x max(0, z)`, so that
having less of them than is typical earns nothing. A query of a single source orders by its similarity, which is its score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisono.retrieval.collection import FEW, Collection
from unisono.retrieval.indexes import BLOCK, Floats, Positions, exact_scores

Doubles = NDArray[np.float64]
ROUNDING = 1e-4
"""More than scores are off by the rounding of a matrix product."""
MOST_TIED = 4096
"""The most tracks whose scores are compared exactly because they are as good as the last one that is wanted."""
POOL = 1000
"""Windows that an index proposes for each source of a query of several."""
LEAST_SPREAD = 1e-6
"""Standard deviation below which a source tells no tracks apart."""


@dataclass(frozen=True)
class Source:
    """One thing that a query asks for."""

    name: str
    vector: Floats
    weight: float
    """Negative for what is not wanted."""
    is_text: bool = False


@dataclass(frozen=True)
class Ranked:
    """Some tracks, best first; equal scores in the order of the collection."""

    rows: Positions
    """[n]: positions."""
    scores: Doubles
    """[n]."""
    parts: Doubles
    """[n, Q]: what each source says, times its weight."""


class Scores:
    """The scores of the N tracks of a collection for Q sources.

    Attributes:
        of_tracks: [N], as far as a matrix product rounds.
        is_single: there is one source, so that the scores are its cosines.
    """

    def __init__(self, collection: Collection, sources: Sequence[Source], windows: str = "best") -> None:
        self.collection = collection
        self.sources = sources
        self._is_mean = windows == "mean"
        self.vectors = np.stack([source.vector for source in sources])
        self._weights = np.array([source.weight for source in sources])
        self._wanted = self._weights > 0
        self.is_single = len(sources) == 1 and bool(self._wanted[0])
        self._of_music = np.array([not source.is_text for source in sources])
        similar = self._typical()
        if not self.is_single:
            self._standardise(similar)
        self.of_tracks = self._combined(similar)

    def _typical(self) -> Floats:
        """Return the similarities [n, Q] of the tracks that mean, deviation and percentiles are taken over: of all."""
        return self._of_tracks(self._likeness(self.collection.products(self.vectors)))

    def _standardise(self, similar: Floats) -> None:
        self._mean = similar.mean(axis=0, dtype=np.float64)
        spread = similar.std(axis=0, dtype=np.float64)
        self._scale = np.where(spread > LEAST_SPREAD, 1 / np.maximum(spread, LEAST_SPREAD), 0) * np.abs(self._weights)

    def best(self, count: int, among: NDArray[np.bool_] | None = None) -> Ranked:
        """Return the best tracks of a mask [N].

        A matrix product rounds equal vectors differently at different places. Those that may be among the best are
        therefore summed one by one, so that ties are ties.
        """
        rows = np.arange(len(self.of_tracks)) if among is None else np.flatnonzero(among)
        return self._exactly(self._candidates(count, rows) if count < len(rows) else rows, count)

    def _candidates(self, count: int, rows: Positions) -> Positions:
        """Return those of some tracks, ascending, that may be among the best of them."""
        scores = self.of_tracks[rows]
        margin = self._margin(rows)
        if margin is not None:  # no score is off by more
            lower = scores - margin
            least = np.partition(lower, len(rows) - count)[len(rows) - count]
            return np.asarray(rows[scores + margin >= least])
        least = np.partition(scores, len(rows) - count)[len(rows) - count]
        better = rows[scores > least + ROUNDING]
        tied = rows[np.abs(scores - least) <= ROUNDING]
        return np.sort(np.concatenate([better, tied[: max(MOST_TIED, count)]]))

    def _margin(self, rows: Positions) -> Doubles | None:
        """Return by how much the score of each of some tracks can be off; None if by no more than rounding."""
        errors = self.collection.errors
        if errors is None:
            return None
        scale, factor = self.collection.likeness_scale, 1.0
        if scale is not None and self._of_music.any():
            errors = errors * np.maximum(scale, 1)
        if not self.is_single:
            wanted = self._scale[self._wanted].sum() / (self._weights[self._wanted].sum() or 1)
            factor = float(wanted + self._scale[~self._wanted].sum())
        return ROUNDING + factor * self.collection.best_scores(errors)[rows].astype(np.float64)

    def _exactly(self, rows: Positions, count: int) -> Ranked:
        """Return the best of some tracks."""
        similar = self._of_tracks(self._sums(self.collection.places_of(rows)), rows)
        exact = self._combined(similar)
        if self.collection.errors is not None and len(self.of_tracks) == len(self.collection):
            self.of_tracks[rows] = exact  # so that percentiles, too, are those of exact scores
        order = np.argsort(-exact, kind="stable")[:count]
        return Ranked(rows[order], exact[order], self._parts(similar[order]))

    def of_windows(self, rows: Positions) -> list[tuple[Positions, Doubles]]:
        """Return of each track the places [w] of its windows, and their scores; what is not wanted does not count."""
        places = self.collection.places_of(rows)
        parts = self._parts(self._sums(places))
        scores = parts[:, 0] if self.is_single else self._mean_of_wanted(parts)
        ends = np.cumsum(self.collection.counts[rows])
        return list(zip(np.split(places, ends)[:-1], np.split(scores, ends)[:-1], strict=True))

    def percentiles(self, scores: Doubles) -> list[float]:
        """Return for each of some scores the share of all tracks that have a lower one, in percent."""
        least = scores - ROUNDING
        better = np.sort(self.of_tracks[self.of_tracks >= least.min(initial=np.inf)])
        lower = len(self.of_tracks) - len(better) + np.searchsorted(better, least)
        return (100 * lower / max(1, len(self.of_tracks))).tolist()  # type: ignore[no-any-return]

    def _sums(self, places: Positions) -> Floats:
        parts = [self.collection.vectors[places[begin : begin + BLOCK]] for begin in range(0, len(places) or 1, BLOCK)]
        sums = [np.stack([exact_scores(part, each) for each in self.vectors], axis=1) for part in parts]
        return self._likeness(np.concatenate(sums), places)

    def _likeness(self, products: Floats, places: Positions | None = None) -> Floats:
        """Return products [w, Q] with those of music as cosines."""
        scale = self.collection.likeness_scale
        if scale is None or not self._of_music.any():
            return products
        scaled = products.copy()
        scaled[:, self._of_music] *= (scale if places is None else scale[places])[:, None]
        return scaled

    def _of_tracks(self, by_window: Floats, rows: Positions | None = None) -> Floats:
        of_tracks = self.collection.mean_scores if self._is_mean else self.collection.best_scores
        return of_tracks(by_window, rows)

    def _combined(self, similar: Floats) -> Doubles:
        if self.is_single:
            return similar[:, 0].astype(np.float64)
        parts = self._parts(similar)
        found: Doubles = self._mean_of_wanted(parts) + parts[:, ~self._wanted].sum(axis=1)
        return found

    def _parts(self, similar: Floats) -> Doubles:
        if self.is_single:
            return similar.astype(np.float64)
        standard: Doubles = (similar - self._mean) * self._scale
        return np.where(self._wanted, standard, -np.maximum(standard, 0)).astype(np.float64)

    def _mean_of_wanted(self, parts: Doubles) -> Doubles:
        found: Doubles = parts[:, self._wanted].sum(axis=1) / (self._weights[self._wanted].sum() or 1)
        return found


class EngineScores(Scores):
    """The scores of tracks that an index proposes, which then are compared exactly.

    Mean, deviation and percentiles are those of a sample. A query of a single source misses no more than the index does; of
    several sources, each proposes its nearest tracks, and so does their weighted sum.
    """

    def _typical(self) -> Floats:
        rows, vectors = self.collection.sample
        return self._of_tracks(vectors @ self.vectors.T, rows)

    def best(self, count: int, among: NDArray[np.bool_] | None = None) -> Ranked:
        """Return the best tracks of a mask [N]."""
        collection = self.collection
        rows = np.arange(len(collection)) if among is None else np.flatnonzero(among)
        if not self._wanted.any() or len(rows) < max(count, FEW * len(collection)):
            return self._exactly(rows, count)
        places = None if len(rows) == len(collection) else collection.windows_of(rows)
        asked = [vector for vector, is_wanted in zip(self.vectors, self._wanted, strict=True) if is_wanted]
        most = count * int(collection.counts.max())
        if not self.is_single:
            asked.append((self.vectors * np.where(self._wanted, self._scale, -self._scale)[:, None]).sum(axis=0))
            most = max(POOL, most)
        units = [(vector / (np.linalg.norm(vector) or 1)).astype(np.float32) for vector in asked]
        found = [collection.nearest(vector, most, places)[0] for vector in units]
        windows = collection.windows
        candidates = np.unique(np.concatenate(found))
        return self._exactly(np.unique(windows.of[candidates]) if windows else candidates, count)


def scores_of(collection: Collection, sources: Sequence[Source], windows: str = "best") -> Scores:
    """Return the scores of tracks for what a query asks for."""
    is_scaled = collection.is_padded and not all(source.is_text for source in sources)
    return (Scores if collection.engine is None or is_scaled else EngineScores)(collection, sources, windows)
