"""The statistics of tracks, counted in one pass; captions are not kept, identities and words are."""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from os import PathLike
from typing import Any, Literal, get_args

import numpy as np

from unisono.base.arguments import AnyPath, as_path
from unisono.base.table import Table
from unisono.base.words import counted
from unisono.curation.groups import whole
from unisono.tracks.files import iter_tracks
from unisono.tracks.licenses import terms
from unisono.tracks.track import SPLITS, Track

UNNAMED = "(unnamed)"
UNASSIGNED = "(none)"
UNKNOWN_ORIGIN = "unknown"
QUANTILES = {"shortest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "longest": 1.0}
FILLED = ("artist", "title", "genre", "tags", "license", "recording", "artist_id", "url")
"""Optional fields of which it is counted how many tracks have them."""
ALLOWS = {True: "yes", False: "no", None: "unknown"}
MOST = 12
"""Rows of a table in a terminal."""

Shareable = Literal["recordings", "artists", "files"]
"""What two datasets or two splits may have in common."""
SHAREABLE: tuple[Shareable, ...] = get_args(Shareable)
By = Literal["dataset", "split"]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_FUNCTION_WORDS = {
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "for", "from", "has", "have", "in", "into", "is",
    "it", "its", "like", "of", "on", "or", "some", "that", "the", "their", "there", "this", "to", "very", "was",
    "which", "while", "who", "with",
}  # fmt: skip


@dataclass
class PartStatistics:
    """The tracks of one dataset, of one split, or of all."""

    tracks: int = 0
    seconds: float = 0.0
    captions: int = 0
    origins: Counter[str] = field(default_factory=Counter)
    """Origin, or "unknown" -> captions."""
    splits: Counter[str] = field(default_factory=Counter)
    durations_s: "array[float]" = field(default_factory=lambda: array("d"))
    caption_words: "array[int]" = field(default_factory=lambda: array("I"))

    @property
    def hours(self) -> str:
        """How many hours of audio there are, in words."""
        return f"{self.seconds / 3600:,.2f}" if self.seconds < 36_000 else f"{self.seconds / 3600:,.0f}"

    def add(self, track: Track, words: Sequence[int]) -> None:
        """Count a track; `words` are the numbers of words of its captions."""
        self.tracks += 1
        self.seconds += track.duration
        self.captions += len(words)
        self.origins.update(caption.origin or UNKNOWN_ORIGIN for caption in track.captions)
        self.splits[track.split or UNASSIGNED] += 1
        self.durations_s.append(track.duration)
        self.caption_words.extend(words)

    def as_json(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        counts = {name: getattr(self, name) for name in ("tracks", "seconds", "captions", "origins", "splits")}
        lengths: dict[str, Sequence[float]] = {"duration_s": self.durations_s, "caption_words": self.caption_words}
        return counts | {name: quantiles(values) for name, values in lengths.items() if values}


@dataclass(frozen=True)
class SharedMusic:
    """How much two datasets, or two splits, have in common."""

    by: By
    first: str
    second: str
    shared: dict[Shareable, int]


@dataclass(frozen=True)
class Vocabulary:
    """Counts of the words of all captions, ignoring case."""

    words: int
    distinct: int
    once: int
    """How many words occur only once."""
    most_frequent: list[tuple[str, int]]
    """Without function words such as articles and prepositions."""
    distinct_captions: int


@dataclass(frozen=True, repr=False)
class Statistics:
    """The statistics of tracks. Printed, they are a list of tables."""

    all: PartStatistics
    datasets: dict[str, PartStatistics]
    splits: dict[str, PartStatistics]
    distinct: dict[Shareable, int]
    """How many different recordings, artists and files there are, as far as they are named."""
    filled: dict[str, int]
    """Optional field -> how many tracks have it."""
    licenses: dict[str, int]
    genres: dict[str, int]
    tags: dict[str, int]
    vocabulary: Vocabulary
    shared: list[SharedMusic]

    def __repr__(self) -> str:
        return "\n\n".join([self.headline, *map(str, self.tables()), self.words])

    def _repr_html_(self) -> str:
        return "".join([f"<p>{self.headline}</p>", *(table.html() for table in self.tables()), f"<p>{self.words}</p>"])

    def as_json(self) -> dict[str, Any]:
        """Return the counts as plain values, durations and numbers of words as quantiles."""
        return {
            "all": self.all.as_json(),
            "datasets": {name: part.as_json() for name, part in self.datasets.items()},
            "splits": {name: part.as_json() for name, part in self.splits.items()},
            **{name: getattr(self, name) for name in ("distinct", "filled", "licenses", "genres", "tags")},
            "vocabulary": asdict(self.vocabulary),
            "shared": [asdict(each) for each in self.shared],
        }

    @property
    def headline(self) -> str:
        """How much there is, in a sentence."""
        distinct = ", ".join(counted(self.distinct[name], name[:-1]) for name in SHAREABLE if self.distinct[name])
        named = f"; {distinct} as far as they are named" if distinct else ""
        tracks, captions = counted(self.all.tracks, "track"), counted(self.all.captions, "caption")
        return f"{tracks}, {self.all.hours} hours, {captions}{named}."

    @property
    def words(self) -> str:
        """How rich the vocabulary of the captions is, in a sentence."""
        found = self.vocabulary
        once = found.once / found.distinct if found.distinct else 0
        return (
            f"Vocabulary: {counted(found.distinct, 'word')}, {once:.0%} of which occur once, in {found.words:,} running "
            f"words. Different captions: {found.distinct_captions:,} of {self.all.captions:,}."
        )

    def tables(self, most: int = MOST) -> list[Table]:
        """Return the tables that are not empty; lists of licences, genres and tags have at most `most` rows."""
        found = [self.parts_table(), self.splits_table(), self.lengths_table(), self.licenses_table(most)]
        found.append(self.fields_table())
        found += [
            self._counts_table(name, counts, most) for name, counts in (("genre", self.genres), ("tag", self.tags))
        ]
        found.append(self.shared_table())
        return [table for table in found if table.rows]

    def parts_table(self) -> Table:
        """Return the table of datasets."""
        parts = [*self.datasets.items(), *([("all", self.all)] if len(self.datasets) > 1 else [])]
        headings = ("dataset", "tracks", "hours", "captions", "a track", "words", "written by")
        rows = [_part_row(name, part) for name, part in parts if part.tracks]
        return Table("Datasets (words: the median of a caption)", headings, rows, words=(0, 6))

    def splits_table(self) -> Table:
        """Return the table of splits."""
        named = sorted(self.splits.items(), key=lambda found: [*SPLITS, found[0]].index(found[0]))
        rows = [(name, f"{part.tracks:,}", part.hours, f"{part.captions:,}") for name, part in named]
        return Table("Splits", ("split", "tracks", "hours", "captions"), rows)

    def lengths_table(self) -> Table:
        """Return the table of durations and of lengths of captions."""
        rows = []
        for name, values in (("duration, s", self.all.durations_s), ("caption, words", self.all.caption_words)):
            if values:
                numbers = [*quantiles(values).values(), sum(values) / len(values)]
                rows.append((name, *(f"{number:,.1f}" for number in numbers)))
        return Table("Lengths", ("", *QUANTILES, "mean"), rows)

    def licenses_table(self, most: int | None = None) -> Table:
        """Return the table of licences and of what they allow."""
        rows = []
        for name, count in list(self.licenses.items())[:most]:
            allowed = terms(name)
            rows.append((name, self._share(count), ALLOWS[allowed.commercial_use], ALLOWS[allowed.derivatives]))
        headings = ("licence", "tracks", "commercial use", "derivatives")
        return Table(_title("Licences", self.licenses, most), headings, rows, words=(0, 2, 3))

    def fields_table(self) -> Table:
        """Return the table of optional fields."""
        filled = self.filled if self.all.tracks else {}
        return Table(
            "Fields that are filled",
            ("field", "tracks"),
            [(name, self._share(count)) for name, count in filled.items()],
        )

    def shared_table(self) -> Table:
        """Return the table of what datasets and splits have in common."""
        rows = [
            (f"{each.by} {each.first}", each.second, *(f"{each.shared[name]:,}" for name in SHAREABLE))
            for each in self.shared
        ]
        return Table("What is shared", ("between", "and", *SHAREABLE), rows, words=(0, 1))

    def _counts_table(self, name: str, counts: Mapping[str, int], most: int) -> Table:
        rows = [(value, self._share(count)) for value, count in list(counts.items())[:most]]
        return Table(_title(f"{name.capitalize()}s", counts, most), (name, "tracks"), rows)

    def _share(self, count: int) -> str:
        return f"{count:,} ({count / self.all.tracks:.1%})"


def _title(name: str, counts: Mapping[str, int], most: int | None) -> str:
    is_cut = most is not None and len(counts) > most
    return f"{name}, the {most} most frequent of {len(counts):,}" if is_cut else name


def _part_row(name: str, part: PartStatistics) -> tuple[str, ...]:
    origins = ", ".join(
        origin if count == part.captions else f"{origin} {count / part.captions:.0%}"
        for origin, count in part.origins.most_common()
    )
    words = f"{quantiles(part.caption_words)['median']:.0f}" if part.captions else "-"
    counts = (f"{part.tracks:,}", part.hours, f"{part.captions:,}", f"{part.captions / part.tracks:.1f}")
    return (name, *counts, words, origins)


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """Return the values at `QUANTILES`."""
    found = np.quantile(np.fromiter(values, float), list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def describe(tracks: AnyPath | Iterable[Track], *, most_frequent: int = 20) -> Statistics:
    """Count what tracks hold.

    Args:
        tracks: a unified file, of which .jsonl and .parquet are read in bounded memory, or tracks.
        most_frequent: how many of the most frequent words to list.

    Raises:
        UsageError, DataError: the file is missing or broken.
    """
    if isinstance(tracks, (str, PathLike)):
        tracks = iter_tracks(as_path(tracks))
    every = PartStatistics()
    datasets: dict[str, PartStatistics] = defaultdict(PartStatistics)
    splits: dict[str, PartStatistics] = defaultdict(PartStatistics)
    words: Counter[str] = Counter()
    captions = array("q")
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("license", "genre", "tags", "filled")}
    places = _Places()
    for track in tracks:
        lengths = []
        for caption in track.captions:
            its_words = [word.casefold() for word in _WORD.findall(caption.text)]
            words.update(its_words)
            lengths.append(len(its_words))
            captions.append(hash(caption.text))
        dataset, split = track.dataset or UNNAMED, track.split or UNASSIGNED
        for part in (every, datasets[dataset], splits[split]):
            part.add(track, lengths)
        counts["license"][track.license] += 1
        counts["genre"].update([track.genre] if track.genre else [])
        counts["tags"].update(track.tags)
        counts["filled"].update(name for name in FILLED if getattr(track, name) not in ("", [], "unknown"))
        places.add(track, dataset, split)
    return Statistics(
        all=every,
        datasets=dict(sorted(datasets.items())),
        splits=dict(sorted(splits.items(), key=lambda item: (-item[1].tracks, item[0]))),
        distinct=places.distinct(),
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
            distinct_captions=len(np.unique(np.asarray(captions))),
        ),
        shared=places.shared(),
    )


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


class _Places:
    """The datasets and splits in which a recording, an artist or a file occurs, by the hash of its name."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._hashes: dict[Shareable, array[int]] = {name: array("q") for name in SHAREABLE}
        self._where: dict[Shareable, array[int]] = {name: array("I") for name in SHAREABLE}

    def add(self, track: Track, dataset: str, split: str) -> None:
        here = self._numbers.setdefault((dataset, split), len(self._numbers))
        identities = {"recordings": whole(track.recording), "artists": track.artist_id, "files": track.audio_path}
        for name in SHAREABLE:
            if value := identities[name]:
                self._hashes[name].append(hash(value))
                self._where[name].append(here)

    def distinct(self) -> dict[Shareable, int]:
        return {name: len(np.unique(np.asarray(hashes))) for name, hashes in self._hashes.items()}

    def shared(self) -> list[SharedMusic]:
        counted: dict[tuple[By, str, str], Counter[Shareable]] = defaultdict(Counter)
        for name in SHAREABLE:
            for numbers, count in self._together(name).items():
                for at, by in enumerate(get_args(By)):
                    names = sorted({[*self._numbers][number][at] for number in numbers})
                    for first, second in combinations(names, 2):
                        counted[by, first, second][name] += count
        return [
            SharedMusic(by, first, second, {name: counts[name] for name in SHAREABLE})
            for (by, first, second), counts in sorted(counted.items())
        ]

    def _together(self, name: Shareable) -> Counter[tuple[int, ...]]:
        """Count the names that occur in several places, by the numbers of the places."""
        hashes, where = np.asarray(self._hashes[name]), np.asarray(self._where[name])
        order = np.lexsort((where, hashes))
        hashes, where = hashes[order], where[order]
        is_new = np.ones(len(hashes), dtype=bool)
        is_new[1:] = (hashes[1:] != hashes[:-1]) | (where[1:] != where[:-1])
        hashes, where = hashes[is_new], where[is_new]
        begin = np.flatnonzero(np.diff(hashes, prepend=hashes[:1] - 1))
        sizes = np.diff(begin, append=len(hashes))
        return Counter(
            tuple(where[first : first + size].tolist())
            for first, size in zip(begin[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True)
        )
