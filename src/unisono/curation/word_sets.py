"""Sets of words as columns, 4 bytes a word, in which similar ones are found."""

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.tracks.track import batched

Ints = NDArray[np.int64]

SIMILAR = 0.9
"""Sets are similar from this Jaccard index on."""
AT_A_TIME = 4096
"""Sets looked for at a time."""
PAIRS_AT_A_TIME = 1 << 17
"""Pairs of sets compared at a time, or those of one set."""


class SimilarSets(NamedTuple):
    """Two sets that share nine words in ten."""

    first: int
    second: int
    shared: int
    """Words that both have."""
    altogether: int
    """Words that one of them has."""


class _Sets(NamedTuple):
    """Sets of ranks, ascending within each set."""

    ranks: Ints
    ends: Ints
    """[n + 1]: set i is ranks[ends[i]:ends[i + 1]]."""

    def prefixes(self) -> tuple[Ints, Ints]:
        """Return the lowest ranks of each set, of which similar sets share at least one, and whose they are."""
        sizes = np.diff(self.ends)
        counts = sizes - np.ceil(SIMILAR * sizes - 1e-9).astype(np.int64) + (sizes > 0)
        return self.ranks[_slices(self.ends[:-1], counts)], np.repeat(np.arange(len(sizes)), counts)


class _Index(NamedTuple):
    """Which sets have which words among their rarest."""

    begin: Ints
    """[words + 1]: those of word w are places[begin[w]:begin[w + 1]]."""
    places: NDArray[np.uint32]


class WordSets:
    """Sets of words.

    Two sets that share nine words in ten have at least one of their few rarest words in common, so only such pairs are
    compared (prefix filter: Chaudhuri, Ganti and Kaushik, A Primitive Operator for Similarity Joins in Data Cleaning, ICDE
    2006). Rare is what these sets have seldom; words that none of them has are rarer than all others.
    """

    def __init__(self, sets: Iterable[Iterable[str]]) -> None:
        """Take sets, which are not empty; a word that stands there twice counts once."""
        self._numbers: dict[str, int] = {}
        numbers, words, ends = self._numbers, array("I"), array("q", [0])
        for its_words in sets:
            words.extend([numbers.setdefault(word, len(numbers)) for word in dict.fromkeys(its_words)])
            ends.append(len(words))
        self._words, self._ends = np.asarray(words), np.asarray(ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def hashes(self) -> Ints:
        """Return a hash of each set [n]: two of ten million have the same by chance once in 370,000 runs."""
        found = np.empty(len(self), dtype=np.int64)
        for begin in range(0, len(self), AT_A_TIME):
            sets = self._sorted(begin, min(begin + AT_A_TIME, len(self)))
            content = sets.ranks.astype(np.uint32).tobytes()
            ends = (4 * sets.ends).tolist()
            found[begin : begin + len(ends) - 1] = [hash(content[at:end]) for at, end in itertools.pairwise(ends)]
        return found

    def at(self, places: Ints) -> "WordSets":
        """Return the sets at some places."""
        found = object.__new__(WordSets)
        sizes = np.diff(self._ends)[places]
        found._numbers, found._words = self._numbers, self._words[_slices(self._ends[places], sizes)]
        found._ends = np.concatenate([[0], np.cumsum(sizes)])
        return found

    def like(self, others: Iterable[Iterable[str]]) -> Iterator[SimilarSets]:
        """Yield each of other sets with those of these that are similar, in order."""
        numbers, rank, count = self._numbers, self._rank, 0
        for some in batched(others, AT_A_TIME):
            sets = [dict.fromkeys(its_words) for its_words in some]
            known = np.array([numbers.get(word, -1) for its_words in sets for word in its_words], dtype=np.int64)
            absent = -1 - np.arange(len(known))  # each is a word of its own
            ranks = np.where(known < 0, absent, rank[known]) if len(rank) else absent
            yield from self._similar(_ascending(ranks, [len(its_words) for its_words in sets]), count)
            count += len(sets)

    def within(self) -> Iterator[SimilarSets]:
        """Yield each set with those before it that are similar, in order."""
        for begin in range(0, len(self), AT_A_TIME):
            sets = self._sorted(begin, min(begin + AT_A_TIME, len(self)))
            yield from self._similar(sets, begin, earlier=True)

    @cached_property
    def _rank(self) -> Ints:
        """[words]: 0 for the rarest one."""
        frequency = np.bincount(self._words, minlength=len(self._numbers))
        rank = np.empty(len(frequency), dtype=np.int64)
        rank[np.argsort(frequency, kind="stable")] = np.arange(len(frequency))
        return rank

    @cached_property
    def _index(self) -> _Index:
        words, places = [], []
        for begin in range(0, len(self), AT_A_TIME):
            its_words, its_places = self._sorted(begin, min(begin + AT_A_TIME, len(self))).prefixes()
            words.append(its_words.astype(np.uint32))
            places.append((its_places + begin).astype(np.uint32))
        every = np.concatenate([np.empty(0, np.uint32), *words])
        order = np.argsort(every, kind="stable")
        counts = np.bincount(every, minlength=len(self._numbers))
        begins = np.concatenate([[0], np.cumsum(counts)])
        return _Index(begins, np.concatenate([np.empty(0, np.uint32), *places])[order])

    def _sorted(self, begin: int, end: int) -> _Sets:
        """Return some sets with their words from the rarest to the most frequent one."""
        words = self._words[self._ends[begin] : self._ends[end]]
        return _ascending(self._rank[words], np.diff(self._ends[begin : end + 1]))

    def _similar(self, sets: _Sets, before: int, *, earlier: bool = False) -> Iterator[SimilarSets]:
        """Find what is similar to some sets, before which others came; of what came earlier only, if they are of these."""
        ranks, owners = sets.prefixes()
        ranks, owners = ranks[ranks >= 0], owners[ranks >= 0]
        first, counts = self._index.begin[ranks], self._index.begin[ranks + 1] - self._index.begin[ranks]
        of_set = np.concatenate([[0], np.cumsum(np.bincount(owners, counts, len(sets.ends) - 1))]).astype(np.int64)
        begin = 0
        while begin < len(of_set) - 1:
            end = max(begin + 1, int(np.searchsorted(of_set, of_set[begin] + PAIRS_AT_A_TIME, "right")) - 1)
            low, high = np.searchsorted(owners, [begin, end])
            one = np.repeat(owners[low:high], counts[low:high])
            other = self._index.places[_slices(first[low:high], counts[low:high])].astype(np.int64)
            if earlier:
                one, other = one[other < one + before], other[other < one + before]
            for found in self._compared(sets, np.unique(one * len(self) + other)):
                yield found._replace(first=found.first + before)
            begin = end

    def _compared(self, sets: _Sets, pairs: Ints) -> Iterator[SimilarSets]:
        """Compare pairs, each a place among some sets times the number of these plus a place among these."""
        one, other = np.divmod(pairs, max(1, len(self)))
        sizes, its_sizes = np.diff(sets.ends)[one], self._ends[other + 1] - self._ends[other]
        near = np.minimum(sizes, its_sizes) >= SIMILAR * np.maximum(sizes, its_sizes)
        one, other, sizes, its_sizes = one[near], other[near], sizes[near], its_sizes[near]
        pair = np.arange(len(one)) << 32
        ranks = sets.ranks[_slices(sets.ends[one], sizes)]
        keys = np.concatenate(
            [
                (np.repeat(pair, sizes) | ranks)[ranks >= 0],
                np.repeat(pair, its_sizes) | self._rank[self._words[_slices(self._ends[other], its_sizes)]],
            ]
        )
        keys.sort()
        shared = np.bincount(keys[1:][keys[1:] == keys[:-1]] >> 32, minlength=len(one))
        altogether = sizes + its_sizes - shared
        alike = np.flatnonzero(shared >= SIMILAR * altogether)
        columns: Sequence[Ints] = (one, other, shared, altogether)
        yield from map(SimilarSets._make, zip(*(column[alike].tolist() for column in columns), strict=True))


def _ascending(values: Ints, sizes: Sequence[int] | Ints) -> _Sets:
    """Sort the values of each of some sets."""
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return _Sets(values[np.lexsort((values, np.repeat(np.arange(len(sizes)), sizes)))], ends)


def _slices(begin: Ints, counts: Ints) -> Ints:
    """Return the places from each begin on, so many of each, one after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(begin - before, counts) + np.arange(int(counts.sum()))
