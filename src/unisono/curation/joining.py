"""Identities that join tracks into groups, in addition to their recording, artist and file.

Whether two tracks are joined depends only on the two and on their datasets: more data never separates them. So splits can
promise that adding a dataset moves no track out of test.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from unisono.curation.groups import Identity
from unisono.curation.matching import Published
from unisono.curation.wording import WordSet, alike, words, written_captions
from unisono.tracks.record import Entry

COMMON = 10
"""A caption of at least this number of recordings of one dataset does not identify music."""


def further_identities(
    tracks: Sequence[Entry],
    published: Published,
    *,
    captions: bool = False,
    sounds: Iterable[tuple[int, int]] = (),
) -> list[tuple[Identity, ...]]:
    """Return further identities of each track: the published hashes of its recording, and its title with its artist.

    Args:
        tracks: all tracks.
        published: hashes of recordings, as publishers list them.
        captions: whether captions by people or models that share nine words in ten join tracks, too.
        sounds: pairs of places of tracks that sound the same.
    """
    found = list(map(names_and_hashes(published), tracks))
    if captions:
        found = [(*own, *more) for own, more in zip(found, _caption_identities(tracks), strict=True)]
    for one, other in sounds:
        pair = ("audio", f"{tracks[one].id}\n{tracks[other].id}")
        found[one] += (pair,)
        found[other] += (pair,)
    return found


def names_and_hashes(published: Published) -> Callable[[Entry], tuple[Identity, ...]]:
    """Return what returns the published hashes of the recording of a track, and its title with its artist."""
    fold = lru_cache(maxsize=4096)(_folded)  # songs of one artist are mostly neighbours

    @lru_cache(maxsize=4096)  # excerpts of a song have the same identities, and are mostly neighbours
    def of_song(recording: str, title: str, artist: str) -> tuple[Identity, ...]:
        title, artist = fold(title), fold(artist)
        by_title = [("title", f"{title}\n{artist}")] if title and artist else []
        return (*(("sha256", sha256) for sha256 in published.get(recording, ())), *by_title)

    return lambda track: of_song(track.recording, track.title, track.artist)


def _folded(text: str) -> str:
    return " ".join(words(text))


def _caption_identities(tracks: Sequence[Entry]) -> list[list[Identity]]:
    """Return identities of each track: one for each caption that few recordings have, and one for each similar pair."""
    of_track = [[frozenset(caption) for caption in written_captions(track, surely=True)] for track in tracks]
    recordings: dict[tuple[str, WordSet], set[str]] = defaultdict(set)
    for track, its_captions in zip(tracks, of_track, strict=True):
        for caption in its_captions:
            recordings[track.dataset, caption].add(track.recording or track.id)
    rare = [
        [caption for caption in its_captions if len(recordings[track.dataset, caption]) < COMMON]
        for track, its_captions in zip(tracks, of_track, strict=True)
    ]
    identities: dict[WordSet, list[Identity]] = {}
    for number, caption in enumerate(dict.fromkeys(caption for its_captions in rare for caption in its_captions)):
        identities[caption] = [("caption", str(number))]
    captions = list(identities)
    for one, other, *_ in alike(captions, captions):
        if other < one:
            identities[captions[one]].append(identities[captions[other]][0])
    return [[identity for caption in its_captions for identity in identities[caption]] for its_captions in rare]
