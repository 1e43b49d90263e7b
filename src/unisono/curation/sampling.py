"""Seeded samples that are nested and do not depend on the order of the tracks.

The seed and the id of a track determine its rank. A sample takes the lowest ranks, so a smaller sample is part of every
larger one. A stratified sample takes the lowest rank of each stratum, then the second lowest, and so on: the strata have
equal shares, except that the larger ones replace what a small one lacks, so that the total is exact. A sample that is not
stratified keeps the proportions of the splits.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from unisono.base.seeded import rank_key
from unisono.tracks.record import Entry
from unisono.tracks.track import SPLITS

SHORT_BELOW_S = 60.0
LONG_FROM_S = 180.0

Stratification = Literal["dataset", "duration"]
Item = TypeVar("Item", bound=Entry)
_CODES: dict[str | None, int] = {split: code for code, split in enumerate((*SPLITS, None))}


class Drawing:
    """What of tracks a sample depends on: 19 bytes of each."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ranks, self._durations, self._datasets, self._splits = array("Q"), array("d"), array("H"), array("B")
        self._numbers: dict[str, int] = {}

    def look(self, tracks: Iterable[Entry]) -> None:
        """Note further tracks."""
        for track in tracks:
            self._ranks.append(rank_key(self._seed, track.id))
            self._durations.append(track.duration)
            self._datasets.append(self._numbers.setdefault(track.dataset, len(self._numbers)))
            self._splits.append(_CODES[track.split])

    def drawn(
        self,
        among: NDArray[np.int64] | None = None,
        *,
        max_samples: int | None = None,
        samples_per_dataset: int | None = None,
        stratify_by: Stratification | None = None,
    ) -> NDArray[np.int64]:
        """Return the places of at most `samples_per_dataset` tracks of each dataset, and of those min(`max_samples`, all).

        Places are ascending, and of those `among`; ids must be unique.
        """
        places = np.arange(len(self._ranks)) if among is None else among
        ranks, datasets = np.asarray(self._ranks), np.asarray(self._datasets)
        if samples_per_dataset is not None:
            turns, _ = _turns(ranks[places], datasets[places])
            places = places[turns < samples_per_dataset]
        if max_samples is not None and max_samples < len(places):
            if stratify_by is None:  # each prefix has the splits in the proportions of all, to within a track
                turns, sizes = _turns(ranks[places], np.asarray(self._splits)[places])
                order: NDArray[np.float64 | np.int64] = (turns + 0.5) / sizes
            else:  # the k-th lowest of every stratum belongs to round k
                durations = duration_strata(np.asarray(self._durations)[places])
                order, _ = _turns(ranks[places], durations if stratify_by == "duration" else datasets[places])
            places = np.sort(places[np.lexsort((ranks[places], order))[:max_samples]])
        return places


def sample(
    tracks: Sequence[Item],
    *,
    seed: int,
    max_samples: int | None = None,
    samples_per_dataset: int | None = None,
    stratify_by: Stratification | None = None,
) -> list[Item]:
    """Return tracks that are drawn as `Drawing` does, in their order."""
    drawing = Drawing(seed)
    drawing.look(tracks)
    drawn = drawing.drawn(max_samples=max_samples, samples_per_dataset=samples_per_dataset, stratify_by=stratify_by)
    return [tracks[place] for place in drawn.tolist()]


def duration_strata(durations_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which tracks are short (< 60 s: 0), medium (1) or long (>= 180 s: 2)."""
    return np.digitize(durations_s, (SHORT_BELOW_S, LONG_FROM_S))


def _turns(ranks: NDArray[np.uint64], strata: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the place of each item in its stratum in the order of ranks, from 0, and how large its stratum is."""
    order = np.lexsort((ranks, strata))
    _, begins, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    turns = np.empty((2, len(ranks)), dtype=np.int64)
    turns[:, order] = np.arange(len(ranks)) - np.repeat(begins, sizes), np.repeat(sizes, sizes)
    return turns[0], turns[1]
