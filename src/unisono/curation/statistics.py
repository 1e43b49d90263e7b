"""What is counted for a card, in one pass over the tracks; captions are not kept, identities and words are."""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from unisono.curation.groups import whole
from unisono.tracks.track import Track

UNNAMED = "(unnamed)"
UNASSIGNED = "(none)"
UNSAID = "(not said)"
QUANTILES = {"shortest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "longest": 1.0}
FILLED = ("artist", "title", "genre", "tags", "license", "recording", "artist_id", "url")
"""Optional fields whose presence is told."""

Identity = Literal["recordings", "artists", "files"]
IDENTITIES: tuple[Identity, ...] = get_args(Identity)
By = Literal["dataset", "split"]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_FUNCTION_WORDS = {
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "for", "from", "has", "have", "in", "into", "is",
    "it", "its", "like", "of", "on", "or", "some", "that", "the", "their", "there", "this", "to", "very", "was",
    "which", "while", "who", "with",
}  # fmt: skip


@dataclass
class Part:
    """The tracks of one dataset, of one split, or all."""

    tracks: int = 0
    seconds: float = 0.0
    captions: int = 0
    origins: Counter[str] = field(default_factory=Counter)
    """Who wrote the captions -> captions."""
    splits: Counter[str] = field(default_factory=Counter)
    durations_s: "array[float]" = field(default_factory=lambda: array("d"))
    caption_words: "array[int]" = field(default_factory=lambda: array("L"))

    def add(self, track: Track, words: Sequence[int]) -> None:
        """Count a track, whose captions have so many words."""
        self.tracks += 1
        self.seconds += track.duration
        self.captions += len(words)
        self.origins.update(caption.origin or UNSAID for caption in track.captions)
        self.splits[track.split or UNASSIGNED] += 1
        self.durations_s.append(track.duration)
        self.caption_words.extend(words)


@dataclass(frozen=True)
class Overlap:
    """What two datasets, or two splits, share."""

    by: By
    first: str
    second: str
    shared: dict[Identity, int]


@dataclass(frozen=True)
class Vocabulary:
    """The words of all captions, without case."""

    words: int
    distinct: int
    once: int
    """Words that occur a single time."""
    most_frequent: list[tuple[str, int]]
    """Without articles, prepositions and the like."""
    distinct_captions: int


@dataclass(frozen=True)
class Card:
    """All that is told of a unified file."""

    all: Part
    datasets: dict[str, Part]
    splits: dict[str, Part]
    distinct: dict[Identity, int]
    """How many recordings, artists and files there are, as far as they are named."""
    filled: dict[str, int]
    """Optional field -> tracks that have it."""
    licenses: dict[str, int]
    genres: dict[str, int]
    tags: dict[str, int]
    vocabulary: Vocabulary
    overlaps: list[Overlap]


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """Give the shortest, the longest and what lies between."""
    found = np.quantile(np.fromiter(values, float), list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def measure(tracks: Iterable[Track], most_frequent: int = 20) -> Card:
    """Count everything."""
    every = Part()
    parts: dict[By, dict[str, Part]] = {"dataset": defaultdict(Part), "split": defaultdict(Part)}
    words: Counter[str] = Counter()
    captions: set[int] = set()
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("license", "genre", "tags", "filled")}
    met = _Met()
    for track in tracks:
        lengths = []
        for caption in track.captions:
            its_words = [word.casefold() for word in _WORD.findall(caption.text)]
            words.update(its_words)
            lengths.append(len(its_words))
            captions.add(hash(caption.text))
        dataset, split = track.dataset or UNNAMED, track.split or UNASSIGNED
        for part in (every, parts["dataset"][dataset], parts["split"][split]):
            part.add(track, lengths)
        counts["license"][track.license] += 1
        counts["genre"].update([track.genre] if track.genre else [])
        counts["tags"].update(track.tags)
        counts["filled"].update(name for name in FILLED if getattr(track, name) not in ("", [], "unknown"))
        met.add(track, dataset, split)
    return Card(
        all=every,
        datasets=dict(sorted(parts["dataset"].items())),
        splits=dict(sorted(parts["split"].items(), key=lambda item: (-item[1].tracks, item[0]))),
        distinct=met.distinct(),
        filled={name: counts["filled"][name] for name in FILLED},
        licenses=_ordered(counts["license"]),
        genres=_ordered(counts["genre"]),
        tags=_ordered(counts["tags"]),
        vocabulary=Vocabulary(
            words=words.total(),
            distinct=len(words),
            once=sum(count == 1 for count in words.values()),
            most_frequent=[(word, count) for word, count in _ordered(words).items() if word not in _FUNCTION_WORDS][
                :most_frequent
            ],
            distinct_captions=len(captions),
        ),
        overlaps=met.overlaps(),
    )


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


class _Met:
    """In which datasets and splits an identity was met."""

    def __init__(self) -> None:
        self._places: dict[Identity, dict[str, frozenset[tuple[By, str]]]] = {name: {} for name in IDENTITIES}
        self._known: dict[frozenset[tuple[By, str]], frozenset[tuple[By, str]]] = {}

    def add(self, track: Track, dataset: str, split: str) -> None:
        here: frozenset[tuple[By, str]] = frozenset({("dataset", dataset), ("split", split)})
        identities = {"recordings": whole(track.recording), "artists": track.artist_id, "files": track.audio_path}
        for name in IDENTITIES:
            if value := identities[name]:
                places = self._places[name].get(value, frozenset()) | here
                self._places[name][value] = self._known.setdefault(places, places)  # few differ: keep each once

    def distinct(self) -> dict[Identity, int]:
        return {name: len(values) for name, values in self._places.items()}

    def overlaps(self) -> list[Overlap]:
        shared: dict[tuple[By, str, str], Counter[Identity]] = defaultdict(Counter)
        for name, values in self._places.items():
            for places, count in Counter(values.values()).items():
                for by in get_args(By):
                    names = sorted(place for kind, place in places if kind == by)
                    for first, second in combinations(names, 2):
                        shared[by, first, second][name] += count
        return [
            Overlap(by, first, second, {name: counts[name] for name in IDENTITIES})
            for (by, first, second), counts in sorted(shared.items())
        ]
