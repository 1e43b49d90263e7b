"""Tell speech from music by three measures of its sound, while it is decoded.

- Speech is full of gaps between syllables: many short frames are far below the level of the second they are in (the
  percentage of low-energy frames; Saunders 1996, Scheirer and Slaney 1997). A held or a dense sound has few.
- Speech changes its sound from syllable to syllable, while notes are held: its spectrum differs from that of a tenth of
  a second before.
- Music has a beat: its level rises and falls at one rate more than at all others. Speech has none.

Each alone is wrong about some music; music with gaps, without held notes and without a beat is rare. Only frequencies
below 3.4 kHz are measured, so that recordings of telephones and of studios are treated alike.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.032
HIGHEST_HZ = 3400.0
LAG_FRAMES = 6
"""Spectra are compared with the one this many half frames before: a tenth of a second."""
FRAMES_A_SECOND = 62
SHORTEST_S = 5.0
LOW = 0.5
"""A frame is low below this share of the mean level of its second."""
SILENT_SECOND = 1e-3
"""A second whose level is below this share of the loudest one's is left out."""
AUDIBLE = 0.1
"""The spectrum of a frame below this share of the mean level is left out."""
GAPS = 0.2
"""In speech, more than this share of the frames is low."""
HELD = 0.65
"""In speech, the median similarity (cosine) of spectra a tenth of a second apart is below this."""
BEAT_SECONDS = 8
BEAT_HZ = (1.0, 9.0)
BEAT = 8.0
"""In speech, no rate at which the level changes is stronger than this many times the average."""

Numbers = NDArray[np.float32]


class Talk(NamedTuple):
    """The three measures."""

    gaps: float
    """Share of the frames that are far below the level of their second."""
    held: float
    """Median similarity of spectra a tenth of a second apart."""
    beat: float
    """Strength of the strongest rate at which the level changes, over that of the average one."""


class SpeechMeter:
    """Listens to the decoded blocks of one excerpt; memory grows by two numbers a frame."""

    def __init__(self, rate_hz: int) -> None:
        # A multiple of 32 samples: transforms of such lengths are fast.
        self._frame = max(32, 32 * round(FRAME_S * rate_hz / 32))
        self._hop = self._frame // 2
        self._window = np.hanning(self._frame).astype(np.float32)
        self._bins = 1 + math.floor(HIGHEST_HZ * self._frame / rate_hz)
        self._rest = np.zeros(0, np.float32)
        self._last = np.zeros((0, self._bins), np.float32)
        self._levels: list[Numbers] = []
        self._similarities: list[Numbers] = []

    def push(self, samples: Numbers) -> None:
        """Take the next mono samples."""
        samples = np.concatenate([self._rest, samples])
        count = 1 + (len(samples) - self._frame) // self._hop if len(samples) >= self._frame else 0
        self._rest = samples[count * self._hop :].copy()
        if not count:
            return
        frames = np.lib.stride_tricks.sliding_window_view(samples, self._frame)[:: self._hop]
        spectra = np.abs(np.fft.rfft(frames * self._window, axis=1)[:, : self._bins]).astype(np.float32)
        levels = np.sqrt(np.einsum("ij,ij->i", spectra, spectra))
        directions = np.concatenate([self._last, spectra / (levels[:, None] + np.float32(1e-9))])
        self._levels.append(levels)
        self._similarities.append(np.einsum("ij,ij->i", directions[LAG_FRAMES:], directions[:-LAG_FRAMES]))
        self._last = directions[-LAG_FRAMES:].copy()

    def measure(self) -> Talk | None:
        """Return the measures of all samples so far; None if they are too short or silent."""
        levels = np.concatenate([np.zeros(0, np.float32), *self._levels])
        seconds = len(levels) // FRAMES_A_SECOND
        audible = levels > AUDIBLE * levels.mean() if len(levels) else levels > 0
        audible = audible[LAG_FRAMES:] & audible[:-LAG_FRAMES]
        if seconds < SHORTEST_S or not audible.any():
            return None
        by_second = levels[: seconds * FRAMES_A_SECOND].reshape(seconds, FRAMES_A_SECOND)
        means = by_second.mean(axis=1)
        is_audible = means > SILENT_SECOND * means.max()
        low = (by_second < LOW * means[:, None]).mean(axis=1)[is_audible]
        held = np.median(np.concatenate(self._similarities)[audible])
        return Talk(float(low.mean()), float(held), _beat(levels))

    def finding(self) -> str:
        """Return what sounds like speech; empty if nothing does."""
        talk = self.measure()
        if talk is None or talk.gaps <= GAPS or talk.held >= HELD or talk.beat >= BEAT:
            return ""
        return f"{talk.gaps:.0%} gaps, spectra a tenth of a second apart agree by {talk.held:.2f}, beat {talk.beat:.1f}"


def _beat(levels: Numbers) -> float:
    """Return how much stronger the strongest rate of the level is than the average, over overlapping stretches."""
    length = min(BEAT_SECONDS * FRAMES_A_SECOND, len(levels))
    stretches = np.lib.stride_tricks.sliding_window_view(levels, length)[:: max(1, length // 4)]
    stretches = stretches - stretches.mean(axis=1, keepdims=True)
    stretches = stretches / (stretches.std(axis=1, keepdims=True) + np.float32(1e-9))
    power = (np.abs(np.fft.rfft(stretches * np.hanning(length).astype(np.float32), axis=1)) ** 2).mean(axis=0)
    rates_hz = np.fft.rfftfreq(length, 1 / FRAMES_A_SECOND)
    power = power[(rates_hz >= BEAT_HZ[0]) & (rates_hz <= BEAT_HZ[1])]
    return float(power.max() / power.mean()) if power.any() else 0.0
