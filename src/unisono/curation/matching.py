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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from unisono.base.arguments import AnyPath, as_path
from unisono.base.errors import DataError
from unisono.curation.groups import whole
from unisono.curation.word_sets import WordSets
from unisono.curation.wording import words, written_captions
from unisono.sources import registry
from unisono.tracks.record import Entry

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


class Matching:
    """Compares tracks, as they come, with a list; at most one match for a pair and kind.

    What is held in memory grows with the list, not with what comes.

    For a track that comes and a key, only the first track of the list with that key is named. That is enough to tell that it
    leaks, and bounds the number of matches if a key is common.
    """

    def __init__(self, second: Sequence[Entry], kinds: Iterable[Kind], published: Published | None = None) -> None:
        """Take the list to compare with, the kinds of matches, and the hashes that publishers list."""
        self._second, self._kinds, self._published = second, frozenset(kinds), published or {}
        self._count = 0
        keys: dict[Kind, Callable[[Entry], Iterable[str]]] = {
            "ids": _recordings,
            "sha256": _hashes(self._published, {}),
            "artists": _artists,
            "text": _titles_and_captions,
        }
        self._joins = {kind: _Join(second, kind, its) for kind, its in keys.items() if kind in self._kinds}

    def look(self, first: Sequence[Entry]) -> None:
        """Compare further tracks by their keys."""
        for join in self._joins.values():
            join.look(first, self._count)
        self._count += len(first)

    def look_again(self, first: Iterable[Entry], copies: Mapping[str, str]) -> None:
        """Compare all tracks that came by hashes once more, as those of copies are known now."""
        self._joins["sha256"] = _Join(self._second, "sha256", _hashes(self._published, copies))
        self._joins["sha256"].look(first, 0)

    def found(self, first: Callable[[], Iterable[Entry]]) -> list[Match]:
        """Return the matches, and compare captions if that was asked for; `first` returns all tracks that came."""
        found = [match for kind in KINDS if kind in self._joins for match in self._joins[kind].matches]
        if "text" in self._kinds:
            matched = {match.first for match in self._joins["text"].matches}
            found += (each for each in _similar_captions(first(), self._second) if each.first not in matched)
        return found


class _Join:
    """A hash join: the keys of a list are indexed, those of other tracks looked up."""

    def __init__(self, second: Iterable[Entry], kind: Kind, keys: Callable[[Entry], Iterable[str]]) -> None:
        self.matches: list[Match] = []
        self._kind, self._keys = kind, keys
        self._places: dict[str, int] = {}
        for at, track in enumerate(second):
            for key in keys(track):
                self._places.setdefault(key, at)

    def look(self, first: Iterable[Entry], count: int) -> None:
        """Look up the keys of tracks, before which some others came."""
        places, keys = self._places, self._keys
        if not places:
            return
        for at, track in enumerate(first, count):
            for key in keys(track):
                if key in places:
                    self.matches.append(Match(at, places[key], self._kind, key))
                    break


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


def _recordings(track: Entry) -> Iterable[str]:
    return (*((whole(track.recording),) if track.recording else ()), track.id, track.audio_path)


def _hashes(published: Published, copies: Mapping[str, str]) -> Callable[[Entry], Iterable[str]]:
    def keys(track: Entry) -> Iterable[str]:
        sha256 = track.sha256 or copies.get(track.audio_path, "")
        own = (sha256.lower(),) if sha256 else ()
        return (*own, *published.get(track.recording, ()))

    return keys


def _artists(track: Entry) -> Iterable[str]:
    return (track.artist_id,) if track.artist_id else ()


def _titles_and_captions(track: Entry) -> Iterator[str]:
    if track.title and (artist := words(track.artist)) and (title := words(track.title)):
        yield f"title {' '.join(title)!r} by {' '.join(artist)!r}"
    for caption in written_captions(track):
        yield f"caption {' '.join(caption)!r}"


def _similar_captions(first: Iterable[Entry], second: Sequence[Entry]) -> Iterator[Match]:
    """Match each track of the first list with the first track of the second that has a similar caption."""
    mine, theirs = array("I"), array("I")
    there = WordSets(_captions(second, theirs))
    done: set[int] = set()
    for found in there.like(_captions(first, mine)):
        at = mine[found.first]
        if at not in done:
            done.add(at)
            evidence = f"captions that share {found.shared} of {found.altogether} words"
            yield Match(at, theirs[found.second], "text", evidence)


def _captions(tracks: Iterable[Entry], owners: "array[int]") -> Iterator[list[str]]:
    """Yield the captions of tracks as words, and list the place of the track of each."""
    for at, track in enumerate(tracks):
        for caption in written_captions(track):
            owners.append(at)
            yield caption
