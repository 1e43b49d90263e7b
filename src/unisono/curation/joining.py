"""Identities that join tracks into groups, in addition to their recording, artist and file.

Whether two tracks are joined depends only on the two and on their datasets: more data never separates them. So splits can
promise that adding a dataset moves no track out of test.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unisono.base.texts import numbered
from unisono.curation.groups import Identity
from unisono.curation.matching import Published
from unisono.curation.splits import Further
from unisono.curation.word_sets import WordSets
from unisono.curation.wording import words, written_captions
from unisono.tracks.record import Entry

COMMON = 10
"""A caption of at least this number of recordings of one dataset does not identify music."""


def further_identities(
    tracks: Iterable[Entry],
    published: Published,
    *,
    captions: bool = False,
    sounds: Iterable[tuple[int, int]] = (),
) -> Further:
    """Return what returns further identities of a track: the hashes of its recording, and its title with its artist.

    Args:
        tracks: all tracks; iterated only for their captions.
        published: hashes of recordings, as publishers list them.
        captions: whether captions by people or models that share nine words in ten join tracks, too.
        sounds: pairs of places of tracks that sound the same.
    """
    of_song = names_and_hashes(published)
    of_captions = _caption_identities(tracks) if captions else lambda at: ()
    of_sounds: dict[int, list[Identity]] = defaultdict(list)
    for number, pair in enumerate(sounds):
        for at in pair:
            of_sounds[at].append(("audio", str(number)))
    return lambda at, track: (*of_song(track), *of_captions(at), *of_sounds.get(at, ()))


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


def _caption_identities(tracks: Iterable[Entry]) -> Callable[[int], Iterable[Identity]]:
    """Return what returns identities of a track: one for each caption that few recordings have, and for those like it."""
    owner, telling = array("I"), _Telling()
    captions = WordSets(telling.captions(tracks, owner))
    hashes = captions.hashes()
    rare = np.flatnonzero(telling.recordings_of(hashes) < COMMON)
    first, which = numbered(hashes[rare])
    pairs = np.array([found[:2] for found in captions.at(rare[first]).within()], dtype=np.int64).reshape(-1, 2)
    begin = np.searchsorted(pairs[:, 0], np.arange(len(first) + 1))
    of_track = np.searchsorted(np.asarray(owner)[rare], np.arange(telling.tracks + 1))

    def of(at: int) -> Iterable[Identity]:
        for number in which[of_track[at] : of_track[at + 1]].tolist():
            for one in (number, *pairs[begin[number] : begin[number + 1], 1].tolist()):
                yield "caption", str(one)

    return of


class _Telling:
    """How many recordings of a dataset have a caption: one that many have does not tell them apart."""

    def __init__(self) -> None:
        self.tracks = 0
        self._datasets, self._recordings = array("q"), array("q")

    def captions(self, tracks: Iterable[Entry], owner: "array[int]") -> Iterator[list[str]]:
        """Yield the captions of tracks as words; list the place of the track of each."""
        for at, track in enumerate(tracks):
            self.tracks = at + 1
            for caption in written_captions(track, surely=True):
                owner.append(at)
                self._datasets.append(hash(track.dataset))
                self._recordings.append(hash(track.recording or track.id))
                yield caption

    def recordings_of(self, captions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each caption [n], as hashes, how many recordings of its dataset have it."""
        caption = numbered(captions ^ numbered(np.asarray(self._datasets))[1])[1]
        recording = numbered(np.asarray(self._recordings))[1]
        most = int(recording.max(initial=0)) + 1
        counts = np.bincount(np.unique(caption * most + recording) // most)
        return counts[caption]
