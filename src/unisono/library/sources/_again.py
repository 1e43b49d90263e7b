"""Recognising tracks under new ids: servers re-encode all their ids now and then, or change one when a file is moved.

Nothing is guessed. A track is matched if exactly one known and one new track share the same evidence: the MusicBrainz id of
their recording; or their path; or title, artist, album and size; each with durations that differ by at most a second. What
stays unmatched is embedded again, which is slow but never wrong.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from unisono.library.sources import SourceTrack

SAME_DURATION_S = 1.0
Evidence = Callable[[SourceTrack], Hashable | None]


def _recording(track: SourceTrack) -> Hashable | None:
    recording = track.facts.recording if track.facts else ""
    return recording if recording.startswith("musicbrainz:") else None


def _path(track: SourceTrack) -> Hashable | None:
    return track.path or None


def _words(track: SourceTrack) -> Hashable | None:
    facts = track.facts
    if facts is None or not facts.title:
        return None
    return (facts.title.casefold(), facts.artist.casefold(), facts.album.casefold(), track.size)


EVIDENCE: tuple[Evidence, ...] = (_recording, _path, _words)
"""The strongest first."""


def recognised(gone: Sequence[SourceTrack], new: Sequence[SourceTrack]) -> dict[str, str]:
    """Return new key -> gone key of the tracks that are the same."""
    found: dict[str, str] = {}
    for evidence in EVIDENCE:
        before = _by(evidence, gone, set(found.values()))
        after = _by(evidence, new, found.keys())
        for shared in before.keys() & after.keys():
            if len(before[shared]) == len(after[shared]) == 1:
                known, track = before[shared][0], after[shared][0]
                if abs(known.duration_s - track.duration_s) <= SAME_DURATION_S:
                    found[track.key] = known.key
    return found


def _by(evidence: Evidence, tracks: Sequence[SourceTrack], without: Iterable[str]) -> dict[Hashable, list[SourceTrack]]:
    groups: defaultdict[Hashable, list[SourceTrack]] = defaultdict(list)
    left_out = set(without)
    for track in tracks:
        if track.key not in left_out and (shared := evidence(track)) is not None:
            groups[shared].append(track)
    return groups
