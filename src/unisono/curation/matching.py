"""Finding the same music in two lists of tracks, each match with its evidence.

There are six kinds of evidence, from certain to doubtful:

- `ids`: the same recording by an identity that datasets share (`jamendo:1004034`), the same id, or the same path of the
  audio file; excerpts of one video count as one.
- `sha256`: the same file, by the track's own hash or one that a publisher lists for its recording; needs no audio.
- `decoded`: the same samples once decoded, in a file with other tags or another lossless format; needs decoded audio.
- `audio`: the same sound in any encoding (see `audio.fingerprint`); needs decoded audio.
- `artists`: the same artist. Not the same music, but a model may know the artist's sound.
- `text`: the same title by the same artist, or nearly the same caption; captions made from tags are ignored. Titles and
  captions recur, so this may be chance.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from unisono.base.arguments import AnyPath, as_path
from unisono.base.errors import DataError
from unisono.curation.groups import whole
from unisono.curation.wording import WordSet, alike, words, written_captions
from unisono.sources import registry
from unisono.tracks.track import Track

Kind = Literal["ids", "sha256", "decoded", "audio", "artists", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CERTAIN: frozenset[Kind] = frozenset({"ids", "sha256", "decoded", "audio"})
BY_LISTENING: frozenset[Kind] = frozenset({"decoded", "audio"})
"""The kinds that need decoded audio."""

Published = Mapping[str, tuple[str, ...]]
"""Recording -> hashes of its files, as publishers list them."""


@dataclass(frozen=True, slots=True)
class Match:
    """One track of the first list and one of the second that may be the same music."""

    first: int
    second: int
    kind: Kind
    evidence: str


def find_matches(
    first: Sequence[Track],
    second: Sequence[Track],
    kinds: Iterable[Kind],
    published: Published | None = None,
    copies: Mapping[str, str] | None = None,
) -> list[Match]:
    """Compare each track of one list with each of another; at most one match for a pair and kind.

    What is held in memory grows with the second list, not with the first.

    For a track of the first list and a key, only the first track of the second list with that key is named. That is enough
    to tell that it leaks, and bounds the number of matches if a key is common.
    """
    found: list[Match] = []
    for kind in KINDS:
        if kind in kinds and kind in _KEYS:
            found.extend(_joined(first, second, kind, _KEYS[kind](published or {}, copies or {})))
    if "text" in kinds:
        matched = {match.first for match in found if match.kind == "text"}
        found.extend(match for match in _similar_captions(first, second) if match.first not in matched)
    return found


def hash_lists(given: Iterable[AnyPath], data_root: Path) -> tuple[Path, ...]:
    """Return the given lists of hashes; if none are given, those that came with datasets and are on disk."""
    return tuple(map(as_path, given)) or registry.hash_lists(data_root)


def read_published(paths: Iterable[Path]) -> dict[str, tuple[str, ...]]:
    """Read lists of `<sha256> <NN/track id>.mp3`.

    Raises:
        DataError: a line is not of that form.
    """
    hashes: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            sha256, _, name = line.partition(" ")
            track_id = name.strip().rpartition("/")[2].partition(".")[0]
            if len(sha256) != 64 or not track_id.isdecimal():
                raise DataError(f"{path}: line {number}: expected '<sha256> NN/<track id>.mp3', found {line[:100]!r}.")
            hashes[f"jamendo:{int(track_id)}"] += (sha256.lower(),)
    return dict(hashes)


def _joined(
    first: Sequence[Track], second: Sequence[Track], kind: Kind, keys: Callable[[Track], Iterable[str]]
) -> Iterator[Match]:
    """Match by a hash join: index the second list, look up the first."""
    places: dict[str, int] = {}
    for at, track in enumerate(second):
        for key in keys(track):
            places.setdefault(key, at)
    for at, track in enumerate(first):
        for key in keys(track):
            other = places.get(key)
            if other is not None:
                yield Match(at, other, kind, key)
                break


def _recordings(_: Published, __: Mapping[str, str]) -> Callable[[Track], Iterable[str]]:
    return lambda track: (*((whole(track.recording),) if track.recording else ()), track.id, track.audio_path)


def _hashes(published: Published, copies: Mapping[str, str]) -> Callable[[Track], Iterable[str]]:
    def keys(track: Track) -> Iterable[str]:
        sha256 = track.sha256 or copies.get(track.audio_path, "")
        own = (sha256.lower(),) if sha256 else ()
        return (*own, *published.get(track.recording, ()))

    return keys


def _artists(_: Published, __: Mapping[str, str]) -> Callable[[Track], Iterable[str]]:
    return lambda track: (track.artist_id,) if track.artist_id else ()


def _titles_and_captions(_: Published, __: Mapping[str, str]) -> Callable[[Track], Iterable[str]]:
    def keys(track: Track) -> Iterator[str]:
        if track.title and (artist := words(track.artist)) and (title := words(track.title)):
            yield f"title {' '.join(title)!r} by {' '.join(artist)!r}"
        for caption in written_captions(track):
            yield f"caption {' '.join(caption)!r}"

    return keys


_KEYS: dict[Kind, Callable[[Published, Mapping[str, str]], Callable[[Track], Iterable[str]]]] = {
    "ids": _recordings,
    "sha256": _hashes,
    "artists": _artists,
    "text": _titles_and_captions,
}


class _WordSets(Iterable[WordSet]):
    """The captions of tracks as sets of words; once iterated, it knows which track each is of."""

    def __init__(self, tracks: Iterable[Track]) -> None:
        self._tracks = tracks
        self.owner = array("I")

    def __iter__(self) -> Iterator[WordSet]:
        self.owner = array("I")
        for at, track in enumerate(self._tracks):
            for caption in written_captions(track):
                self.owner.append(at)
                yield frozenset(caption)


def _similar_captions(first: Sequence[Track], second: Sequence[Track]) -> Iterator[Match]:
    """Match each track of the first list with the first track of the second that has a similar caption."""
    mine, theirs = _WordSets(first), _WordSets(second)
    others = list(theirs)
    done: set[int] = set()
    for one, other in alike(mine, others):
        at = mine.owner[one]
        if at not in done:
            done.add(at)
            caption = list(_WordSets([first[at]]))[one - bisect_left(mine.owner, at)]
            shared, altogether = len(caption & others[other]), len(caption | others[other])
            yield Match(at, theirs.owner[other], "text", f"captions that share {shared} of {altogether} words")
