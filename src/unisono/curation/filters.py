"""Filters that a user asks for. Being filtered out is not a fault of a track."""

from collections.abc import Iterable

from unisono.base.tally import Dropped
from unisono.tracks.record import Entry
from unisono.tracks.track import Track


def by_duration(
    tracks: Iterable[Track], minimum_s: float | None, maximum_s: float | None
) -> tuple[list[Track], list[Dropped]]:
    """Keep the tracks of at least `minimum_s` and at most `maximum_s` seconds; both bounds are inclusive."""
    kept: list[Track] = []
    dropped: list[Dropped] = []
    for track in tracks:
        if left_out := too_short_or_long(track, minimum_s, maximum_s):
            dropped.append(left_out)
        else:
            kept.append(track)
    return kept, dropped


def too_short_or_long(track: Entry, minimum_s: float | None, maximum_s: float | None) -> Dropped | None:
    """Return why a track is left out for its duration, or None if it is not."""
    if minimum_s is not None and track.duration < minimum_s:
        reason = f"shorter than {minimum_s:g} s"
    elif maximum_s is not None and track.duration > maximum_s:
        reason = f"longer than {maximum_s:g} s"
    else:
        return None
    return Dropped(id=track.id, reason=reason, detail=f"{track.duration:g} s", fault=False)
