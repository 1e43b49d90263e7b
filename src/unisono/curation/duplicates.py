"""Merging the records of one recording: all captions are kept with their origins, and the best audio.

Two records are of one recording if they share its identity, the hash of their file or one that a publisher lists for them,
decode to the same samples, or sound the same. Records that describe different excerpts of a recording stay apart: their
captions are true of one excerpt only.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from unisono.curation.groups import Identity, connected
from unisono.curation.matching import Published
from unisono.curation.splits import HELD_OUT_FIRST
from unisono.tracks.track import CAPTION_ORIGINS, Caption, Track, replace

_TRUST: dict[str | None, int] = {origin: rank for rank, origin in enumerate((*CAPTION_ORIGINS, None))}


@dataclass(frozen=True)
class Merged:
    """One choice: which record was kept, and which went into it."""

    kept: str
    merged: tuple[str, ...]
    by: tuple[str, ...]
    """The identities that join them."""
    audio: str
    """Why this audio: what was compared."""


def merge_duplicates(
    tracks: Sequence[Track],
    published: Published | None = None,
    alike: Iterable[tuple[int, int]] = (),
    decoded: Sequence[str] = (),
) -> tuple[list[Track], list[Merged]]:
    """Merge duplicates; the kept records stand where the first of their group stood.

    `alike` are pairs of places of tracks that sound the same; `decoded` are hashes of their samples, empty where unknown.
    """
    keys = [_keys(track, published or {}) for track in tracks]
    for its_keys, samples in zip(keys, decoded, strict=False):
        if samples:  # whatever excerpt of whatever file it is, what is said about these samples is true of them
            its_keys.append(("decoded", f"the samples {samples}"))
    for one, other in alike:
        if tracks[one].start == tracks[other].start:
            for at in (one, other):
                keys[at].append(("audio", f"the sound of {tracks[one].id} and {tracks[other].id}"))
    members: dict[int, list[int]] = defaultdict(list)
    for at, group in enumerate(connected(keys)):
        members[group].append(at)
    kept: list[Track] = []
    choices: list[Merged] = []
    for places in members.values():
        if len(places) == 1:
            kept.append(tracks[places[0]])
            continue
        its_tracks = [tracks[at] for at in places]
        best = min(its_tracks, key=_audio_rank)
        kept.append(_merge(best, its_tracks))
        counted = Counter(value for at in places for _, value in set(keys[at]))
        others = tuple(sorted(track.id for track in its_tracks if track.id != best.id))
        shared = tuple(sorted(value for value, count in counted.items() if count > 1))
        choices.append(Merged(best.id, others, shared, f"{best.duration:g} s, {_bytes(best):,} bytes"))
    return kept, choices


def _keys(track: Track, published: Published) -> list[Identity]:
    excerpt = f"@{track.start:g}" if track.start else ""
    names = [("recording", track.recording + excerpt)] if track.recording else []
    hashes = [*([track.sha256.lower()] if track.sha256 else []), *published.get(track.recording, ())]
    return names + [("sha256", sha256 + excerpt) for sha256 in hashes]


def _audio_rank(track: Track) -> tuple[float, int, str]:
    """Order audio from best: the longest, then the largest file, then by id."""
    return -round(track.duration), -_bytes(track), track.id


def _bytes(track: Track) -> int:
    try:
        return os.stat(track.audio_path).st_size  # noqa: PTH116
    except OSError:
        return 0


def _merge(best: Track, group: list[Track]) -> Track:
    """Take the audio of `best`, everything that others know and it does not, and all captions, the most trusted first."""
    ordered = sorted(group, key=lambda track: (_TRUST[track.captions[0].origin], track.id))
    captions: dict[str, Caption] = {}
    for caption in sorted((each for track in ordered for each in track.captions), key=lambda each: _TRUST[each.origin]):
        captions.setdefault(caption.text, caption)
    filled: dict[str, Any] = {
        field: next((value for track in [best, *ordered] if (value := getattr(track, field))), "")
        for field in ("artist", "title", "genre", "recording", "artist_id", "attribution", "url", "sha256")
    }
    extra = {name: value for track in reversed([best, *ordered]) for name, value in track.extra.items()}
    extra["merged"] = sorted(track.id for track in group if track.id != best.id)
    splits = {track.split for track in group}
    return replace(
        best,
        captions=tuple(captions.values()),
        tags=list(dict.fromkeys(tag for track in [best, *ordered] for tag in track.tags)),
        split=next((split for split in HELD_OUT_FIRST if split in splits), None),
        extra=extra,
        **filled,
    )
