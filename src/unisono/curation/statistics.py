"""The statistics of tracks, counted in one pass; captions are not kept, identities and words are."""

import itertools
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from operator import attrgetter
from os import PathLike
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, as_path
from unisono.base.table import Table
from unisono.base.words import counted
from unisono.curation.groups import whole
from unisono.tracks.files import iter_entries
from unisono.tracks.licenses import terms
from unisono.tracks.record import Entry
from unisono.tracks.track import CAPTION_ORIGINS, SPLITS, UNKNOWN_LICENSE, Track, batched

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

AT_A_TIME = 256
MOST_PIECES = 200_000
"""What texts are cut into is remembered up to this number of different pieces."""
_CODES: dict[str | None, int] = {origin: code for code, origin in enumerate((*CAPTION_ORIGINS, None))}
_ORIGINS = (*CAPTION_ORIGINS, UNKNOWN_ORIGIN)

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_FUNCTION_WORDS = {
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "for", "from", "has", "have", "in", "into", "is",
    "it", "its", "like", "of", "on", "or", "some", "that", "the", "their", "there", "this", "to", "very", "was",
    "which", "while", "who", "with",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PartStatistics:
    """The tracks of one dataset, of one split, or of all."""

    seconds: float
    origins: Counter[str]
    """Origin, or "unknown" -> captions."""
    splits: Counter[str]
    durations_s: NDArray[np.float64]
    """[tracks]."""
    caption_words: NDArray[np.uint32]
    """[captions]."""

    @property
    def tracks(self) -> int:
        """How many tracks there are."""
        return len(self.durations_s)

    @property
    def captions(self) -> int:
        """How many captions there are."""
        return len(self.caption_words)

    @property
    def hours(self) -> str:
        """How many hours of audio there are, in words."""
        return f"{self.seconds / 3600:,.2f}" if self.seconds < 36_000 else f"{self.seconds / 3600:,.0f}"

    def as_json(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        counts = {name: getattr(self, name) for name in ("tracks", "seconds", "captions", "origins", "splits")}
        lengths: dict[str, NDArray[Any]] = {"duration_s": self.durations_s, "caption_words": self.caption_words}
        return counts | {name: quantiles(values) for name, values in lengths.items() if len(values)}


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
            if len(values):
                numbers = [*quantiles(values).values(), float(np.cumsum(values)[-1]) / len(values)]
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


def quantiles(values: NDArray[Any]) -> dict[str, float]:
    """Return the values at `QUANTILES`."""
    return dict(zip(QUANTILES, np.quantile(values.astype(float), list(QUANTILES.values())).tolist(), strict=True))


def describe(tracks: AnyPath | Iterable[Track], *, most_frequent: int = 20) -> Statistics:
    """Count what tracks hold.

    Args:
        tracks: a unified file, of which .jsonl and .parquet are read in bounded memory, or tracks.
        most_frequent: how many of the most frequent words to list.

    Raises:
        UsageError, DataError: the file is missing or broken.
    """
    entries: Iterable[Entry] = iter_entries(as_path(tracks)) if isinstance(tracks, (str, PathLike)) else tracks
    words, columns = _Words(), _Columns()
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("license", "genre", "tags")}
    filled = dict.fromkeys(FILLED, 0)
    for some in batched(entries, AT_A_TIME):
        texts = [track.texts for track in some]
        columns.add(some, texts, words.lengths([text for its_texts in texts for text in its_texts]))
        counts["license"].update([track.license for track in some])
        counts["genre"].update([track.genre for track in some if track.genre])
        counts["tags"].update(itertools.chain.from_iterable([track.tags for track in some]))
        for name in FILLED:
            values = list(map(attrgetter(name), some))
            filled[name] += len(values) - values.count([] if name == "tags" else "") - values.count(UNKNOWN_LICENSE)
    vocabulary = words.counted()
    return Statistics(
        all=columns.part(),
        datasets=dict(sorted(columns.parts(0).items())),
        splits=dict(sorted(columns.parts(1).items(), key=lambda item: (-item[1].tracks, item[0]))),
        distinct=columns.distinct(),
        filled=filled,
        licenses=_ordered(counts["license"]),
        genres=_ordered(counts["genre"]),
        tags=_ordered(counts["tags"]),
        vocabulary=Vocabulary(
            words=vocabulary.total(),
            distinct=len(vocabulary),
            once=sum(count == 1 for count in vocabulary.values()),
            most_frequent=[
                (word, count) for word, count in _ordered(vocabulary).items() if word not in _FUNCTION_WORDS
            ][:most_frequent],
            distinct_captions=_distinct(columns.texts),
        ),
        shared=columns.shared(),
    )


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


class _Words:
    """Counts the words of texts.

    Texts are cut at blanks, which no word contains, and what is between them is searched for words only once for all its
    occurrences.
    """

    def __init__(self) -> None:
        self._words, self._pieces = Counter[str](), Counter[str]()
        self._odd: set[str] = set()
        """Those of `_pieces` that are not one word."""

    def lengths(self, texts: Iterable[str]) -> list[int]:
        """Count the words of some texts, and return how many each has."""
        cut = [text.split() for text in texts]
        known, odd = len(self._pieces), self._odd
        self._pieces.update(itertools.chain.from_iterable(cut))
        new = itertools.islice(reversed(self._pieces), len(self._pieces) - known)
        odd.update([piece for piece in new if len(_WORD.findall(piece)) != 1])
        lengths = [
            len(its) if not odd or odd.isdisjoint(its) else sum(len(_WORD.findall(piece)) for piece in its)
            for its in cut
        ]
        if len(self._pieces) > MOST_PIECES:
            self.counted()
        return lengths

    def counted(self) -> Counter[str]:
        """Return word -> how often it occurs."""
        for piece, count in self._pieces.items():
            for word in _WORD.findall(piece):
                self._words[word.casefold()] += count
        self._pieces.clear()
        self._odd.clear()
        return self._words


class _Columns:
    """What is counted by dataset and split: 50 bytes a track and 16 a caption."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        """(dataset, split) -> its number, a place."""
        self._where, self._durations = array("I"), array("d")
        self._hashes: dict[Shareable, array[int]] = {name: array("q") for name in SHAREABLE}
        """Of what identifies a track's recording, artist and file; 0 if it is not named."""
        self.texts = array("q")
        """Of each caption, the hash of its text; then the number of its words, the place of its track, and its origin."""
        self._words, self._place_of, self._origin_of = array("I"), array("I"), array("B")

    def add(self, tracks: Sequence[Entry], texts: Sequence[Sequence[str]], words: Iterable[int]) -> None:
        """Add tracks, with the texts of their captions and how many words each of all these texts has."""
        numbers = self._numbers
        places = [
            numbers.setdefault((track.dataset or UNNAMED, track.split or UNASSIGNED), len(numbers)) for track in tracks
        ]
        self._where.extend(places)
        self._durations.extend([track.duration for track in tracks])
        self._hashes["recordings"].extend([hash(whole(track.recording)) for track in tracks])
        self._hashes["artists"].extend([hash(track.artist_id) for track in tracks])
        self._hashes["files"].extend([hash(track.audio_path) for track in tracks])
        self.texts.extend([hash(text) for its_texts in texts for text in its_texts])
        self._words.extend(words)
        self._place_of.frombytes(np.repeat(np.array(places, dtype=np.uint32), list(map(len, texts))).tobytes())
        self._origin_of.extend([_CODES[origin] for track in tracks for origin in track.origins])

    def parts(self, at: int) -> dict[str, PartStatistics]:
        """Return the statistics of each dataset (0) or split (1), in the order in which they came."""
        numbers: dict[str, list[int]] = defaultdict(list)
        for name, number in self._numbers.items():
            numbers[name[at]].append(number)
        return {name: self.part(its_numbers) for name, its_numbers in numbers.items()}

    def part(self, numbers: Sequence[int] | None = None) -> PartStatistics:
        """Return the statistics of all tracks, or of those in some places."""
        of_tracks: Any = slice(None) if numbers is None else np.isin(np.asarray(self._where), numbers)
        of_captions: Any = slice(None) if numbers is None else np.isin(np.asarray(self._place_of), numbers)
        durations = np.asarray(self._durations)[of_tracks]
        origins = _in_order(np.asarray(self._origin_of)[of_captions])
        splits = [split for _, split in self._numbers]
        found = Counter[str]()
        for place, count in _in_order(np.asarray(self._where)[of_tracks]):
            found[splits[place]] += count
        return PartStatistics(
            seconds=float(np.cumsum(durations)[-1]) if len(durations) else 0.0,
            origins=Counter({_ORIGINS[code]: count for code, count in origins}),
            splits=found,
            durations_s=durations,
            caption_words=np.asarray(self._words)[of_captions],
        )

    def distinct(self) -> dict[Shareable, int]:
        """Return how many different recordings, artists and files there are."""
        return {name: _distinct(hashes) for name, hashes in self._hashes.items()}

    def shared(self) -> list[SharedMusic]:
        """Return what datasets, and splits, have in common."""
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
        hashes, where = np.asarray(self._hashes[name]), np.asarray(self._where)
        hashes, where = hashes[hashes != 0], where[hashes != 0]
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


def _in_order(codes: NDArray[Any]) -> list[tuple[int, int]]:
    """Return (code, how often it occurs), in the order of first occurrences."""
    found, first, counts = np.unique(codes, return_index=True, return_counts=True)
    order = np.argsort(first)
    return list(zip(found[order].tolist(), counts[order].tolist(), strict=True))


def _distinct(hashes: "array[int]") -> int:
    """Return how many different numbers there are, without 0."""
    ranked = np.sort(np.asarray(hashes))  # `unique` takes ten times as long
    return int(np.count_nonzero((np.diff(ranked, prepend=ranked[:1] - 1) != 0) & (ranked != 0)))
