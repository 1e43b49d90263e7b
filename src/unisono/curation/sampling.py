"""Seeded samples that are nested and do not depend on the order of the tracks.

The seed and the id of a track determine its rank. A sample takes the lowest ranks, so a smaller sample is part of every
larger one. A stratified sample takes the lowest rank of each stratum, then the second lowest, and so on: the strata have
equal shares, except that the larger ones replace what a small one lacks, so that the total is exact. A sample that is not
stratified keeps the proportions of the splits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeVar

from unisono.base.seeded import rank_key

SHORT_BELOW_S = 60.0
LONG_FROM_S = 180.0

Stratification = Literal["dataset", "duration"]


class Drawable(Protocol):
    """What of a track a sample depends on."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def dataset(self) -> str: ...  # noqa: D102
    @property
    def duration(self) -> float: ...  # noqa: D102
    @property
    def split(self) -> str | None: ...  # noqa: D102


Item = TypeVar("Item", bound=Drawable)


def duration_stratum(track: Drawable) -> str:
    """Return whether a track is short (< 60 s), medium or long (>= 180 s)."""
    if track.duration < SHORT_BELOW_S:
        return "short"
    return "long" if track.duration >= LONG_FROM_S else "medium"


def sample(
    tracks: list[Item],
    *,
    seed: int,
    max_samples: int | None = None,
    samples_per_dataset: int | None = None,
    stratify_by: Stratification | None = None,
) -> list[Item]:
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


def _in_order_of_drawing(tracks: list[Item], seed: int, stratify_by: Stratification | None) -> list[Item]:
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


def _in_proportion(tracks: list[Item], seed: int) -> list[Item]:
    """Return tracks in an order of which each prefix has the splits in the proportions of all, to within a track."""
    placed = [
        ((turn + 0.5) / len(stratum), rank_key(seed, track.id), track.id, track)
        for stratum in _strata(tracks, lambda track: track.split or "")
        for turn, track in enumerate(_ranked(stratum, seed))
    ]
    placed.sort(key=lambda entry: entry[:3])
    return [track for *_, track in placed]


def _ranked(tracks: Iterable[Item], seed: int) -> list[Item]:
    return sorted(tracks, key=lambda track: (rank_key(seed, track.id), track.id))


def _strata(tracks: Iterable[Item], stratum_of: Callable[[Item], str]) -> list[list[Item]]:
    strata: dict[str, list[Item]] = defaultdict(list)
    for track in tracks:
        strata[stratum_of(track)].append(track)
    return list(strata.values())
