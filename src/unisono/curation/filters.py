"""Filters that a user asks for. Being filtered out is not a fault of a track."""

from collections.abc import Iterable

from unisono.base.tally import Dropped
from unisono.tracks.track import Track


def by_duration(
    tracks: Iterable[Track], minimum_s: float | None, maximum_s: float | None
) -> tuple[list[Track], list[Dropped]]:
    """Keep the tracks of at least `minimum_s` and at most `maximum_s` seconds; both bounds are inclusive."""
    if minimum_s is None and maximum_s is None:
        return list(tracks), []
    kept: list[Track] = []
    dropped: list[Dropped] = []
    for track in tracks:
        if minimum_s is not None and track.duration < minimum_s:
            dropped.append(_left_out(track, f"shorter than {minimum_s:g} s"))
        elif maximum_s is not None and track.duration > maximum_s:
            dropped.append(_left_out(track, f"longer than {maximum_s:g} s"))
        else:
            kept.append(track)
    return kept, dropped


def _left_out(track: Track, reason: str) -> Dropped:
    return Dropped(id=track.id, reason=reason, detail=f"{track.duration:g} s", fault=False)
