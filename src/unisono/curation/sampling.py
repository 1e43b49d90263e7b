"""Seeded samples that are nested and do not depend on the order of the tracks.

The seed and the id of a track determine its rank. A sample takes the lowest ranks, so a smaller sample is part of every
larger one. A stratified sample takes the lowest rank of each stratum, then the second lowest, and so on: the strata have
equal shares, except that the larger ones replace what a small one lacks, so that the total is exact. A sample that is not
stratified keeps the proportions of the splits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal

from unisono.base.seeded import rank_key
from unisono.tracks.track import Track

SHORT_BELOW_S = 60.0
LONG_FROM_S = 180.0

Stratification = Literal["dataset", "duration"]


def duration_stratum(track: Track) -> str:
    """Return whether a track is short (< 60 s), medium or long (>= 180 s)."""
    if track.duration < SHORT_BELOW_S:
        return "short"
    return "long" if track.duration >= LONG_FROM_S else "medium"


def sample(
    tracks: list[Track],
    *,
    seed: int,
    max_samples: int | None = None,
    samples_per_dataset: int | None = None,
    stratify_by: Stratification | None = None,
) -> list[Track]:
    """Return at most `samples_per_dataset` tracks of each dataset, and of those exactly min(`max_samples`, all).

    The tracks keep their order. Ids must be unique.
    """
    if samples_per_dataset is not None:
        drawn = {
            track.id
            for stratum in _strata(tracks, lambda track: track.dataset)
            for track in _ranked(stratum, seed)[:samples_per_dataset]
        }
        tracks = [track for track in tracks if track.id in drawn]
    if max_samples is not None and max_samples < len(tracks):
        drawn = {track.id for track in _in_order_of_drawing(tracks, seed, stratify_by)[:max_samples]}
        tracks = [track for track in tracks if track.id in drawn]
    return tracks


def _in_order_of_drawing(tracks: list[Track], seed: int, stratify_by: Stratification | None) -> list[Track]:
    if stratify_by is None:
        return _in_proportion(tracks, seed)
    stratum_of = duration_stratum if stratify_by == "duration" else lambda track: track.dataset
    rounds = [  # the k-th lowest of every stratum belongs to round k
        (turn, rank_key(seed, track.id), track.id, track)
        for stratum in _strata(tracks, stratum_of)
        for turn, track in enumerate(_ranked(stratum, seed))
    ]
    rounds.sort(key=lambda entry: entry[:3])
    return [track for *_, track in rounds]


def _in_proportion(tracks: list[Track], seed: int) -> list[Track]:
    """Return tracks in an order of which each prefix has the splits in the proportions of all, to within a track."""
    placed = [
        ((turn + 0.5) / len(stratum), rank_key(seed, track.id), track.id, track)
        for stratum in _strata(tracks, lambda track: track.split or "")
        for turn, track in enumerate(_ranked(stratum, seed))
    ]
    placed.sort(key=lambda entry: entry[:3])
    return [track for *_, track in placed]


def _ranked(tracks: Iterable[Track], seed: int) -> list[Track]:
    return sorted(tracks, key=lambda track: (rank_key(seed, track.id), track.id))


def _strata(tracks: Iterable[Track], stratum_of: Callable[[Track], str]) -> list[list[Track]]:
    strata: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        strata[stratum_of(track)].append(track)
    return list(strata.values())
