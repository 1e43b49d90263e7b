"""Acoustic fingerprints: finding one recording in two files that differ in every byte.

The method is that of Haitsma and Kalker (A Highly Robust Audio Fingerprinting System, ISMIR 2002): for every 23 ms, 32 bits
say whether the energy rises or falls between neighbouring bands and neighbouring frames. Gain does not change them at
all; encoding, resampling and trimming change few. Two fingerprints are of one recording if, laid over each other where
some of their frames agree exactly, less than three bits in ten differ; of unrelated music, half of them do.

Searching is sub-quadratic: only frames whose bits fall into a quarter of all values are looked up, the same quarter in
every file whatever its beginning, by sorting; only pairs that agree in several such frames at one offset are compared whole.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.audio import Decoder, Excerpt, Fault

RATE_HZ = 5512
HOP = 128
FRAME = 2048
BANDS = 33
LOWEST_HZ, HIGHEST_HZ = 300.0, 2000.0
LONGEST_S = 120.0
"""Longer excerpts are known by their first two minutes."""
SAMPLED = 4
"""One in so many values is looked up."""
COMMON = 50
"""A value that so many files share (silence, a constant tone) says nothing and is not looked up."""
FEWEST_AGREEING = 2
"""Frames that must agree exactly at one offset before two fingerprints are compared whole."""
MOST_DIFFERENT = 0.3
"""Share of the bits that may differ."""
SHORTEST_OVERLAP_S = 3.0

Fingerprint = NDArray[np.uint32]
"""[frames]: 32 bits for each."""

FRAMES_A_SECOND = RATE_HZ / HOP


class SameAudio(NamedTuple):
    """Two files that hold one recording."""

    first: int
    second: int
    offset_s: float
    """How much later the second begins."""
    different: float
    """Share of the bits that differ where they overlap."""


def fingerprint(decoder: Decoder, excerpt: Excerpt) -> Fingerprint | Fault:
    """Decode an excerpt and take its fingerprint. `decoder` must give `RATE_HZ`."""
    blocks = []
    for item in decoder.blocks(excerpt._replace(duration_s=min(excerpt.duration_s, LONGEST_S)), {RATE_HZ}):
        if isinstance(item, Fault):
            return item
        blocks.append(item[RATE_HZ].copy())
    return of_samples(np.concatenate(blocks))


def of_samples(samples: NDArray[np.float32]) -> Fingerprint:
    """Take the fingerprint of mono samples at `RATE_HZ`."""
    if len(samples) < FRAME + HOP:
        return np.zeros(0, np.uint32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) / RATE_HZ * FRAME
    starts = np.round(edges).astype(int)
    window = np.hanning(FRAME).astype(np.float32)
    energies = [
        np.add.reduceat(np.abs(np.fft.rfft(part * window, axis=1)) ** 2, starts, axis=1)[:, :BANDS]
        for part in np.array_split(frames, max(1, len(frames) // 512))
    ]
    across = np.diff(np.concatenate(energies), axis=1)
    bits = np.diff(across, axis=0) > 0
    return np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)


def same_audio(first: Sequence[Fingerprint], second: Sequence[Fingerprint]) -> Iterator[SameAudio]:
    """Find which of the first are of one recording with which of the second; one result a pair."""
    for one, other, offset in _candidates(first, second):
        different, frames = _differing(first[one], second[other], offset)
        if frames >= SHORTEST_OVERLAP_S * FRAMES_A_SECOND and different <= MOST_DIFFERENT:
            yield SameAudio(one, other, offset / FRAMES_A_SECOND, different)


def _candidates(first: Sequence[Fingerprint], second: Sequence[Fingerprint]) -> Iterator[tuple[int, int, int]]:
    """Yield (first, second, offset in frames): for each pair the offset at which most sampled frames agree."""
    values, owners, times = _sampled(first)
    other_values, other_owners, other_times = _sampled(second)
    order = np.argsort(other_values, kind="stable")
    other_values, other_owners, other_times = other_values[order], other_owners[order], other_times[order]
    begin = np.searchsorted(other_values, values, "left")
    count = np.searchsorted(other_values, values, "right") - begin
    count[count > COMMON] = 0
    hits = np.repeat(np.arange(len(values)), count)
    within = np.arange(len(hits)) - np.repeat(np.cumsum(count) - count, count)
    others = np.repeat(begin, count) + within
    found = np.stack([owners[hits], other_owners[others], times[hits] - other_times[others]], axis=1)
    unique, agreeing = np.unique(found, axis=0, return_counts=True)
    best: dict[tuple[int, int], tuple[int, int]] = {}
    for (one, other, offset), number in zip(unique.tolist(), agreeing.tolist(), strict=True):
        if number >= FEWEST_AGREEING and number > best.get((one, other), (0, 0))[0]:
            best[one, other] = (number, offset)
    for (one, other), (_, offset) in best.items():
        yield one, other, offset


def _sampled(fingerprints: Sequence[Fingerprint]) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """Give the values to look up, whose they are, and at which frames; a value is taken by what it is, not where."""
    places = [np.flatnonzero(bits * np.uint32(2654435761) < 2**32 // SAMPLED) for bits in fingerprints]
    owners = np.repeat(np.arange(len(fingerprints)), [len(at) for at in places])
    values = [bits[at] for bits, at in zip(fingerprints, places, strict=True)]
    nothing = np.zeros(0, np.int64)
    return np.concatenate([nothing.astype(np.uint32), *values]), owners, np.concatenate([nothing, *places])


def _differing(one: Fingerprint, other: Fingerprint, offset: int) -> tuple[float, int]:
    """Lay one over the other, `other` beginning `offset` frames later; give the share of differing bits, and the frames."""
    a, b = one[max(offset, 0) :], other[max(-offset, 0) :]
    frames = min(len(a), len(b))
    if not frames:
        return 1.0, 0
    return float(np.bitwise_count(a[:frames] ^ b[:frames]).sum()) / (32 * frames), frames
