"""What sounds like talk is told from music, whatever the rate and however it is cut into blocks.

The thresholds were chosen and measured on recorded speech and music (see docs/clean-mix.md); here is what can be made.
"""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.planted import SOURCE_HZ, music
from unisono.audio.speech import SpeechMeter, Talk

RATE_HZ = 16_000


def babble(seed: int, seconds: float = 12) -> np.ndarray:
    """Syllables of uneven length: a gliding voice through changing resonances, hisses, and pauses between words."""
    source = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ))
    at = 0
    while at < len(sound):
        length = round(source.uniform(0.09, 0.26) * RATE_HZ)
        time_s = np.arange(length) / RATE_HZ
        pitch_hz = source.uniform(90, 140) * (1 + source.uniform(-0.3, 0.3) * time_s / time_s[-1])
        phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
        resonances = source.uniform([250, 800, 2200], [850, 2300, 3200])
        voice = np.zeros(length)
        for partial in range(1, 25):
            strength = np.exp(-(((partial * 115 - resonances) / 150) ** 2)).sum() + 0.02
            voice += strength * np.sin(partial * phase)
        syllable = voice * np.sin(np.pi * np.arange(length) / length) ** 0.5
        hiss = source.standard_normal(round(source.uniform(0.02, 0.09) * RATE_HZ)) * 0.3
        pause = np.zeros(
            round(source.choice([0.02, 0.06, 0.35], p=[0.5, 0.3, 0.2]) * source.uniform(0.7, 1.5) * RATE_HZ)
        )
        word = np.concatenate([hiss, syllable * source.uniform(0.4, 1), pause])[: len(sound) - at]
        sound[at : at + len(word)] = word
        at += len(word)
    return 0.3 * sound / np.abs(sound).max()


def drums(seed: int, seconds: float = 12) -> np.ndarray:
    source = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ))
    step = round(60 / source.uniform(80, 150) / 2 * RATE_HZ)
    for number, at in enumerate(range(0, len(sound), step)):
        time_s = np.arange(min(RATE_HZ // 5, len(sound) - at)) / RATE_HZ
        hit = source.standard_normal(len(time_s)) * np.exp(-60 * time_s)
        if number % 4 == 0:
            hit = np.sin(2 * np.pi * 60 * time_s) * np.exp(-15 * time_s)
        sound[at : at + len(hit)] += hit
    return 0.3 * sound / np.abs(sound).max()


def meter(sound: np.ndarray, rate_hz: int = RATE_HZ, block: int = 1 << 16) -> SpeechMeter:
    found = SpeechMeter(rate_hz)
    for at in range(0, len(sound), block):
        found.push(sound[at : at + block].astype(np.float32))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_babble_is_found_and_music_is_not(seed: int) -> None:
    assert meter(babble(seed, 30)).finding()
    assert not meter(music(seed), SOURCE_HZ).finding()
    assert not meter(drums(seed)).finding()
    assert not meter(babble(seed, 30) * 0.2 + drums(seed, 30)).finding()


def test_what_is_too_short_silent_or_steady_says_nothing() -> None:
    assert meter(babble(0)[: 4 * RATE_HZ]).measure() is None
    assert meter(np.zeros(10 * RATE_HZ)).measure() is None
    assert meter(np.zeros(0)).measure() is None
    tone = meter(np.sin(2 * np.pi * 440 * np.arange(10 * RATE_HZ) / RATE_HZ)).measure()
    assert tone is not None and tone.gaps == 0 and tone.held > 0.99
    noise = meter(np.random.default_rng(0).standard_normal(10 * RATE_HZ)).measure()
    assert noise is not None and noise.gaps < 0.01


def test_gaps_are_the_share_of_time_that_is_quiet() -> None:
    """A tone that is off for three tenths of each second; frames that lie half in the gap are not low."""
    time_s = np.arange(20 * RATE_HZ) / RATE_HZ
    found = meter(np.sin(2 * np.pi * 440 * time_s) * (time_s % 1 < 0.7)).measure()
    assert isinstance(found, Talk)
    assert abs(found.gaps - 0.3) < 0.03
    assert found.held > 0.99
    assert found.beat > 8


@settings(max_examples=20)
@given(st.integers(1, 40_000), st.integers(0, 1))
def test_blocks_do_not_matter(block: int, seed: int) -> None:
    sound = babble(seed, 6)
    assert meter(sound, block=max(block, 50)).measure() == pytest.approx(meter(sound).measure(), rel=1e-4)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_the_rate_of_the_file_hardly_matters(rate_hz: int) -> None:
    sound = babble(1)
    found, other = meter(sound).measure(), meter(soxr.resample(sound, RATE_HZ, rate_hz), rate_hz).measure()
    assert found is not None and other is not None
    assert abs(found.gaps - other.gaps) < 0.02 and abs(found.held - other.held) < 0.03
