"""Acoustic fingerprints: recognise one recording in two files that differ in every byte.

A fingerprint has two parts. Both look at the energies of 33 bands from 300 to 2000 Hz, 43 times a second.

- `bits` decide. As Haitsma and Kalker describe (A Highly Robust Audio Fingerprinting System, ISMIR 2002), 32 bits a frame
  say whether the energy rises or falls between neighbouring bands and neighbouring frames. Gain does not change them,
  encoding, resampling and trimming change few. Two fingerprints are of one recording if fewer than three bits in ten
  differ where they overlap; of unrelated music, half of them differ.
- `words` select the pairs to compare. At about three places a second, where the music is least ambiguous, 60 bits say how
  the shape of the spectrum changes over the next two seconds. These places depend on the sound and not on where the file
  begins, the averages behind the bits change little with the encoder, and 60 bits hardly ever agree by chance: two files
  with a word in common are nearly always copies. A sorted table of the words is all that a search needs; its cost grows
  with the number of files and of copies, not of pairs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 5512
HOP = 128
FRAME = 2048
BANDS = 33
LOWEST_HZ, HIGHEST_HZ = 300.0, 2000.0
FRAMES_A_SECOND = RATE_HZ / HOP
METHOD = "bits and words, 2"
"""Changes when the same sound gets another fingerprint."""

SPAN = 16
"""Frames in each average that a word compares (0.37 s)."""
CHANGES = 4
"""Changes from one average to the next in a word."""
GROUPS = 16
"""Pairs of bands; a word has one bit for each step from a pair to the next, and each change."""
FAINT = 0.3
"""Energy below this share of the bands' average counts little: encoders leave it out."""
LIKELY_ERROR = 0.05
"""How much encoding may change the logarithm of a ratio of energies: values nearer to zero may change their sign."""
FEWEST_SURE = 0.1
"""A place has a word if this share of its bits are surer than that."""
APART = 3
"""A place is surer than any other within this many frames."""
DOUBTFUL = 2
"""The number of a word's bits, the least sure ones, that may differ."""

COMMON = 50
"""The most fingerprints that one is compared with for one shared word."""
LOOKED_UP_AT_ONCE = 1 << 16
SORTED_AT_ONCE = 1 << 23
"""Words of the table; more are looked up in parts."""
OFFSETS_TRIED = 3
MOST_DIFFERENT = 0.3
"""Share of the bits that may differ."""
SHORTEST_OVERLAP_S = 3.0

_MIXING = np.uint64(0x9E3779B97F4A7C15)
"""Odd and irregular: its products with words that have much in common differ in their upper bits."""

Words = NDArray[np.uint64]


class Fingerprint(NamedTuple):
    """The fingerprint of an excerpt."""

    bits: NDArray[np.uint32]
    """[frames]: 32 bits for each."""
    words: Words
    """[places, 1 + DOUBTFUL]: 60 bits, and each of the doubtful ones as a mask."""
    places: NDArray[np.int32]
    """[places]: the frames where the words begin."""


NOTHING = Fingerprint(np.zeros(0, np.uint32), np.zeros((0, 1 + DOUBTFUL), np.uint64), np.zeros(0, np.int32))
"""The fingerprint of an excerpt that cannot be listened to; it is like no other."""


class SameAudio(NamedTuple):
    """Two fingerprints of one recording."""

    first: int
    second: int
    offset_s: float
    """How much later the second begins."""
    different: float
    """Share of the bits that differ where they overlap."""


def of_samples(samples: NDArray[np.float32]) -> Fingerprint:
    """Return the fingerprint of mono samples at `RATE_HZ`."""
    return of_energies(band_energies(samples)) if len(samples) >= FRAME + HOP else NOTHING


def band_energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the energies of the bands, `[frames, BANDS]`, of at least `FRAME` samples at `RATE_HZ`."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) / RATE_HZ * FRAME
    starts = np.round(edges).astype(int)
    window = np.hanning(FRAME).astype(np.float32)
    energies = [
        np.add.reduceat(np.abs(np.fft.rfft(part * window, axis=1)) ** 2, starts, axis=1)[:, :BANDS]
        for part in np.array_split(frames, max(1, len(frames) // 512))
    ]
    return np.concatenate(energies).astype(np.float32, copy=False)


def of_energies(energies: NDArray[np.floating]) -> Fingerprint:
    """Return the fingerprint of band energies `[frames, BANDS]`."""
    rises = np.diff(np.diff(energies, axis=1), axis=0) > 0
    bits = np.packbits(rises, axis=1).view(">u4")[:, 0].astype(np.uint32)
    changes = _changes(energies.astype(np.float64))
    if not len(changes):
        return Fingerprint(bits, NOTHING.words, NOTHING.places)
    sizes = np.abs(changes)
    sureness = np.log1p(-0.5 * np.exp(-sizes / LIKELY_ERROR)).sum(axis=1)
    padded = np.pad(sureness, APART, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * APART + 1)
    before, after = around[:, :APART].max(axis=1), around[:, APART + 1 :].max(axis=1)
    enough = (sizes > LIKELY_ERROR).mean(axis=1) >= FEWEST_SURE
    places = np.flatnonzero((sureness > before) & (sureness >= after) & enough)
    values = np.left_shift(np.uint64(1), np.arange(changes.shape[1], dtype=np.uint64))
    words = np.where(changes[places] > 0, values, np.uint64(0)).sum(axis=1, dtype=np.uint64)
    least_sure = np.argsort(sizes[places], axis=1, kind="stable")[:, :DOUBTFUL]
    return Fingerprint(bits, np.column_stack([words, values[least_sure]]), places.astype(np.int32))


def _changes(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the changes of the spectrum's shape from span to span, `[places, CHANGES * (GROUPS - 1)]`."""
    loudness = energies.mean(axis=1, keepdims=True)
    wide = 4 * SPAN
    around = _averages(np.pad(loudness, ((wide // 2, wide // 2 - 1), (0, 0)), mode="edge"), wide)
    levels = np.log(energies + FAINT * around + 1e-12)[:, : 2 * GROUPS].reshape(len(energies), GROUPS, 2).mean(axis=2)
    shapes = _averages(np.diff(levels, axis=1), SPAN)
    count = max(len(shapes) - SPAN * CHANGES, 0)
    spans = [shapes[at * SPAN : at * SPAN + count] for at in range(CHANGES + 1)]
    return np.concatenate(np.diff(spans, axis=0), axis=1)


def _averages(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Average every `count` consecutive rows."""
    sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), values]), axis=0)
    averages: NDArray[np.float64] = (sums[count:] - sums[:-count]) / count
    return averages


def same_audio(first: Sequence[Fingerprint], second: Sequence[Fingerprint] | None = None) -> Iterator[SameAudio]:
    """Yield the pairs of a fingerprint of the first list and one of the second that are of one recording.

    Without the second list, yield pairs within the first, the lower index first. If one sound is in more than `COMMON`
    files, not all of its pairs are found, but enough to join them all.
    """
    others = first if second is None else second
    for one, other, offsets in _candidates(first, others, within=second is None):
        tried = {offset + shift for offset in offsets for shift in (-2, -1, 0, 1, 2)}
        compared = [(*_differing(first[one].bits, others[other].bits, offset), offset) for offset in sorted(tried)]
        long_enough = [item for item in compared if item[1] >= SHORTEST_OVERLAP_S * FRAMES_A_SECOND]
        different, _, offset = min(long_enough, default=(1.0, 0, 0))
        if different <= MOST_DIFFERENT:
            yield SameAudio(one, other, offset / FRAMES_A_SECOND, different)


def _candidates(
    first: Sequence[Fingerprint], second: Sequence[Fingerprint], *, within: bool
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield (first, second, offsets in frames) of all pairs that share a word, the offsets with most words first."""
    parts = 1 + sum(len(fingerprint.words) for fingerprint in second) // SORTED_AT_ONCE
    found = [_counted(hits) for part in range(parts) for hits in _hits(first, second, part, parts, within=within)]
    counted = _counted(np.concatenate([np.zeros((0, 4), np.int64), *found]))
    counted = counted[np.lexsort((counted[:, 2], -counted[:, 3], counted[:, 1], counted[:, 0]))]
    for (one, other), rows in groupby(map(tuple, counted.tolist()), key=itemgetter(0, 1)):
        yield one, other, [offset for _, _, offset, _ in islice(rows, OFFSETS_TRIED)]


def _hits(
    first: Sequence[Fingerprint], second: Sequence[Fingerprint], part: int, parts: int, *, within: bool
) -> Iterator[NDArray[np.int64]]:
    """Yield rows of (first, second, offset, 1), one for each word in common of one part of all words."""
    words, owners, places = _table(enumerate(second), part, parts)
    order = np.argsort(words, kind="stable")
    words, owners, places = words[order], owners[order], places[order]
    for some in _portions(first):
        spelled, wanting, wanted_places = _table(some, part, parts, _spellings)
        asking = np.argsort(spelled)  # in order, look-ups stay within the processor's cache
        spelled = spelled[asking]
        at = np.searchsorted(words, spelled, "left")
        there = at < len(words)
        there[there] = words[at[there]] == spelled[there]
        at, asking, spelled = at[there], asking[there], spelled[there]
        count = np.searchsorted(words, spelled, "right") - at
        if within:  # of many copies, each is compared with the next ones, so that all of them are joined
            for long in np.flatnonzero(count > COMMON):
                row = owners[at[long] : at[long] + count[long]]
                passed = np.searchsorted(row, wanting[asking[long]], "right")
                at[long], count[long] = at[long] + passed, len(row) - passed
        count = np.minimum(count, COMMON)
        asking = np.repeat(asking, count)
        hits = np.repeat(at, count) + np.arange(len(asking)) - np.repeat(np.cumsum(count) - count, count)
        offsets = wanted_places[asking] - places[hits]
        found = np.column_stack([wanting[asking], owners[hits], offsets, np.ones_like(hits)])
        yield found[found[:, 0] < found[:, 1]] if within else found


def _counted(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distinct (first, second, offset) of rows, each with the sum of their counts."""
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    begins = np.flatnonzero(np.any(np.diff(rows[:, :3], axis=0, prepend=-1), axis=1))
    if not len(begins):
        return rows
    return np.column_stack([rows[begins, :3], np.add.reduceat(rows[:, 3], begins)])


def _portions(fingerprints: Iterable[Fingerprint]) -> Iterator[list[tuple[int, Fingerprint]]]:
    """Yield portions of numbered fingerprints whose words fit into memory when they are looked up."""
    portion: list[tuple[int, Fingerprint]] = []
    words = 0
    for each in enumerate(fingerprints):
        portion.append(each)
        words += len(each[1].words)
        if words > LOOKED_UP_AT_ONCE:
            yield portion
            portion, words = [], 0
    if portion:
        yield portion


def _table(
    fingerprints: Iterable[tuple[int, Fingerprint]],
    part: int,
    parts: int,
    spelled: Callable[[Words], Words] = lambda words: words[:, :1],
) -> tuple[Words, NDArray[np.int64], NDArray[np.int64]]:
    """Return the words of one part of all words, in all their spellings, the number of the owner of each, and its frame."""
    words: list[Words] = [np.zeros(0, np.uint64)]
    owners, lengths, places = [], [], [NOTHING.places]
    for number, fingerprint in fingerprints:
        spellings = spelled(fingerprint.words)
        its_places = np.repeat(fingerprint.places, spellings.shape[1])
        its = spellings.ravel()
        if parts > 1:
            chosen = (its * _MIXING >> np.uint64(40)) % np.uint64(parts) == part
            its, its_places = its[chosen], its_places[chosen]
        words.append(its)
        places.append(its_places)
        owners.append(number)
        lengths.append(len(its))
    return (
        np.concatenate(words),
        np.repeat(np.array(owners, np.int64), np.array(lengths, np.int64)),
        np.concatenate(places).astype(np.int64),
    )


def _spellings(words: Words) -> Words:
    """Return each word `[places, 1 + DOUBTFUL]` with all choices for its doubtful bits, `[places, 2 ** DOUBTFUL]`."""
    spellings = words[:, :1]
    for doubtful in range(1, words.shape[1]):
        spellings = np.concatenate([spellings, spellings ^ words[:, doubtful : doubtful + 1]], axis=1)
    return spellings


def _differing(one: NDArray[np.uint32], other: NDArray[np.uint32], offset: int) -> tuple[float, int]:
    """Return the share of bits that differ if `other` begins `offset` frames later, and the number of common frames."""
    a, b = one[max(offset, 0) :], other[max(-offset, 0) :]
    frames = min(len(a), len(b))
    if not frames:
        return 1.0, 0
    return float(np.bitwise_count(a[:frames] ^ b[:frames]).sum()) / (32 * frames), frames
