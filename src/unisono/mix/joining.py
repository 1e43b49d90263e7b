"""By what tracks are joined into the groups that splits keep together, beside their recording, their artist and their file.

Whether two tracks are joined depends on nothing but the two and the datasets that they are in: more data only ever joins
more. That is what lets splits promise that adding a dataset moves nothing out of test.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from unisono.mix.groups import Identity
from unisono.mix.matching import SHORTEST_CAPTION_WORDS, SIMILAR_CAPTIONS, Published, words
from unisono.track import Track

COMMON = 10
"""A caption that so many recordings of one dataset have says nothing about which music it is."""

Caption = frozenset[str]
"""The words of a caption."""


def further_identities(
    tracks: Sequence[Track],
    published: Published,
    *,
    captions: bool = False,
    alike: Iterable[tuple[int, int]] = (),
) -> list[tuple[Identity, ...]]:
    """Give what joins each track to others: published hashes of its recording's files, and its title and artist.

    With `captions`, also captions that share nine words in ten; `alike` are pairs of places of tracks that sound the same.
    """
    fold = lru_cache(maxsize=4096)(_folded)  # songs of one artist mostly stand together
    known: dict[tuple[str, str, str], tuple[Identity, ...]] = {}  # a song's excerpts have the same identities
    found: list[tuple[Identity, ...]] = []
    for track in tracks:
        song = track.recording, track.title, track.artist
        identities = known.get(song)
        if identities is None:
            by_hash = [("sha256", sha256) for sha256 in published.get(track.recording, ())]
            title, artist = fold(track.title), fold(track.artist)
            by_title = [("title", f"{title}\n{artist}")] if title and artist else []
            identities = known[song] = (*by_hash, *by_title)
        found.append(identities)
    if captions:
        found = [(*own, *more) for own, more in zip(found, _caption_identities(tracks), strict=True)]
    for one, other in alike:
        pair = ("audio", f"{tracks[one].id}\n{tracks[other].id}")
        found[one] += (pair,)
        found[other] += (pair,)
    return found


def _folded(text: str) -> str:
    return " ".join(words(text))


def _caption_identities(tracks: Sequence[Track]) -> list[list[Identity]]:
    """Give each track an identity for every caption that it shares with few, and for every pair of captions alike."""
    of_track = [list(_own_captions(track)) for track in tracks]
    recordings: dict[tuple[str, Caption], set[str]] = defaultdict(set)
    for track, its_captions in zip(tracks, of_track, strict=True):
        for caption in its_captions:
            recordings[track.dataset, caption].add(track.recording or track.id)
    telling = [
        [caption for caption in its_captions if len(recordings[track.dataset, caption]) < COMMON]
        for track, its_captions in zip(tracks, of_track, strict=True)
    ]
    identities: dict[Caption, list[Identity]] = {}
    for number, caption in enumerate(dict.fromkeys(caption for its_captions in telling for caption in its_captions)):
        identities[caption] = [("caption", str(number))]
    for one, other in _similar(list(identities)):
        identities[one].append(identities[other][0])
    return [[identity for caption in its_captions for identity in identities[caption]] for its_captions in telling]


def _own_captions(track: Track) -> Iterator[Caption]:
    """Give the captions that somebody wrote, if they have enough words to tell them apart."""
    for caption, origin in zip(track.captions, track.origins, strict=True):
        if origin != "tags":
            found = words(caption)
            if len(found) >= SHORTEST_CAPTION_WORDS:
                yield frozenset(found)


def _similar(captions: Sequence[Caption]) -> Iterator[tuple[Caption, Caption]]:
    """Yield the pairs of captions that share nine words in ten: such two share one of their few rarest words."""
    frequency = Counter(word for caption in captions for word in caption)
    by_word: dict[str, list[Caption]] = defaultdict(list)
    for caption in captions:
        count = len(caption) - math.ceil(SIMILAR_CAPTIONS * len(caption) - 1e-9) + 1
        rarest = sorted(caption, key=lambda word: (frequency[word], word))[:count]
        for other in {other for word in rarest for other in by_word[word]}:
            shared = len(caption & other)
            if shared >= SIMILAR_CAPTIONS * (len(caption) + len(other) - shared):
                yield caption, other
        for word in rarest:
            by_word[word].append(caption)
