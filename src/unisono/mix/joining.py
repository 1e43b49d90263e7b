"""By what tracks are joined into the groups that splits keep together, beside their recording, their artist and their file.

Whether two tracks are joined depends on nothing but the two and the datasets that they are in: more data only ever joins
more. That is what lets splits promise that adding a dataset moves nothing out of test.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

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
) -> list[list[Identity]]:
    """Give what joins each track to others: published hashes of its recording's files, and its title and artist.

    With `captions`, also captions that share nine words in ten; `alike` are pairs of places of tracks that sound the same.
    """
    titles: dict[tuple[str, str], str] = {}
    found: list[list[Identity]] = []
    for track in tracks:
        its_own = [("sha256", sha256) for sha256 in published.get(track.recording, ())]
        if track.title and track.artist:
            name = titles.get((track.title, track.artist))
            if name is None:
                name = titles[track.title, track.artist] = _name(track)
            if name:
                its_own.append(("title", name))
        found.append(its_own)
    if captions:
        for its_identities, more in zip(found, _caption_identities(tracks), strict=True):
            its_identities.extend(more)
    for one, other in alike:
        pair = ("audio", f"{tracks[one].id}\n{tracks[other].id}")
        found[one].append(pair)
        found[other].append(pair)
    return found


def _name(track: Track) -> str:
    title, artist = words(track.title), words(track.artist)
    return f"{' '.join(title)}\n{' '.join(artist)}" if title and artist else ""


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
