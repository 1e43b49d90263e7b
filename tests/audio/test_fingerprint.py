"""Copies of a recording are found whatever was done to them, and nothing else is."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.planted import BITRATES_KBIT, SOURCE_HZ, alike_by_all_pairs, music, write_copy, write_mp3
from unisono.audio import fingerprint
from unisono.audio.decode import Decoder, Excerpt
from unisono.audio.fingerprint import (
    BANDS,
    COMMON,
    NOTHING,
    RATE_HZ,
    Fingerprint,
    of_energies,
    of_samples,
    same_audio,
)
from unisono.audio.listening import hear


def take(path: Path, start_s: float = 0, duration_s: float = 60) -> Fingerprint:
    heard = hear(Decoder({RATE_HZ}), Excerpt(str(path), start_s, duration_s))
    assert not heard.fault, heard
    return heard.fingerprint


def at_rate(sound: np.ndarray) -> np.ndarray:
    resampled: np.ndarray = soxr.resample(sound, SOURCE_HZ, RATE_HZ).astype(np.float32)
    return resampled


def test_planted_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    originals, copies, trimmed_s = [], [], []
    for number in range(12):
        sound = music(number)
        path = tmp_path / "sound"
        soundfile.write(path, sound, SOURCE_HZ, format="WAV", subtype="PCM_24")
        originals.append(take(path))
        trimmed_s.append(write_copy(path, sound, number))
        copies.append(take(path))
    found = list(same_audio(originals, copies))
    assert {(same.first, same.second) for same in found} == {(number, number) for number in range(12)}
    assert alike_by_all_pairs(originals, copies) == {(number, number) for number in range(12)}
    for same in found:
        assert same.offset_s == pytest.approx(trimmed_s[same.first], abs=0.03)
        assert same.different < 0.2
    assert list(same_audio(originals[:6], copies[6:])) == []
    within = {(same.first, same.second) for same in same_audio([*originals, *copies])}
    assert within == {(number, 12 + number) for number in range(12)}


def demo_excerpts(count: int) -> Iterator[tuple[np.ndarray, int]]:
    """Read some of the demo's music, evenly over its datasets."""
    path = Path(__file__).parents[2] / "data/demo/unified_dataset.json"
    if not path.is_file():
        pytest.skip("the demo's music is not there: make demo")
    records = json.loads(path.read_text())
    for record in records[:: len(records) // count][:count]:
        with soundfile.SoundFile(record["audio_path"]) as file:
            file.seek(round(record.get("start", 0) * file.samplerate))
            yield file.read(round(record["duration"] * file.samplerate), always_2d=True).mean(axis=1), file.samplerate


def test_copies_of_the_demos_music_are_found_at_every_bitrate(tmp_path: Path) -> None:
    originals, copies, planted = [], [], set()
    for number, (sound, rate_hz) in enumerate(demo_excerpts(8)):
        path = tmp_path / "sound"
        soundfile.write(path, sound, rate_hz, format="WAV", subtype="PCM_24")
        originals.append(take(path))
        planted |= {(number, 2 * number), (number, 2 * number + 1)}
        write_copy(path, sound, number, rate_hz)
        copies.append(take(path))
        write_mp3(path, soxr.resample(sound, rate_hz, 44_100), 44_100, BITRATES_KBIT[number % 6])
        copies.append(take(path))
    found = {(same.first, same.second) for same in same_audio(originals, copies)}
    assert alike_by_all_pairs(originals, copies) == planted
    assert found <= planted
    assert len(found) >= 0.98 * len(planted)


def test_an_excerpt_in_the_middle_of_another_is_found(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, music(5, 30), SOURCE_HZ)
    (same,) = same_audio([take(path)], [take(path, 10, 8)])
    assert same.offset_s == pytest.approx(10, abs=0.03)
    (same,) = same_audio([take(path, 10, 8)], [take(path)])
    assert same.offset_s == pytest.approx(-10, abs=0.03)


def test_gain_changes_nothing() -> None:
    sound = at_rate(music(1))
    for one, other in zip(of_samples(sound), of_samples((sound / 4).astype(np.float32)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0), np.zeros(3000), np.zeros(RATE_HZ * 10), np.sin(np.arange(RATE_HZ * 10)), np.ones(RATE_HZ * 10)],
    ids=["nothing", "shred", "silence", "tone", "constant"],
)
def test_silence_tones_and_shreds_match_nothing_else(samples: np.ndarray) -> None:
    taken = of_samples(samples.astype(np.float32))
    assert list(same_audio([taken], [of_samples(at_rate(music(1)))])) == []
    assert list(same_audio([], [taken])) == list(same_audio([taken], [])) == list(same_audio([NOTHING, NOTHING])) == []


def test_silence_around_music_joins_nothing(tmp_path: Path) -> None:
    quiet = np.zeros(SOURCE_HZ * 4)
    prints = [of_samples(at_rate(np.concatenate([quiet, music(seed), quiet]))) for seed in range(12)]
    assert list(same_audio(prints)) == []


def test_many_copies_of_one_sound_are_all_joined() -> None:
    """More than are compared with each: whoever merges duplicates still finds all of them."""
    sound = at_rate(music(3, 6))
    noise = np.random.default_rng(0)
    copies = [of_samples(sound + noise.normal(0, 1e-4, len(sound)).astype(np.float32)) for _ in range(3 * COMMON)]
    others = [of_samples(at_rate(music(seed, 6))) for seed in range(10, 15)]
    joined = {0}
    pairs = [(same.first, same.second) for same in same_audio([*copies, *others])]
    for _ in range(10):
        joined |= {at for pair in pairs if joined & {*pair} for at in pair}
    assert joined == set(range(3 * COMMON))
    assert len(pairs) < len(copies) * COMMON * 2


def test_a_table_that_is_searched_in_parts_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs, their order, and their offsets: the words of a pair may all be in different parts."""
    noise = np.random.default_rng(1)
    sounds = [at_rate(music(seed, 8)) for seed in range(6)]
    copies = [sound[seed * 900 :] + noise.normal(0, 1e-3, len(sound) - seed * 900) for seed, sound in enumerate(sounds)]
    first, second = map(of_samples, sounds), [of_samples(copy.astype(np.float32)) for copy in copies]
    prints = [*first, *second]
    expected = list(same_audio(prints)), list(same_audio(prints[:6], second))
    assert [(same.first, same.second) for same in expected[0]] == [(number, number + 6) for number in range(6)]
    monkeypatch.setattr(fingerprint, "SORTED_AT_ONCE", 5)
    monkeypatch.setattr(fingerprint, "LOOKED_UP_AT_ONCE", 30)
    assert (list(same_audio(prints)), list(same_audio(prints[:6], second))) == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.sampled_from([1, 7]))
def test_the_order_and_the_side_change_nothing(seed: int, cut: int, rolled: int) -> None:
    source = np.random.default_rng(seed)
    energies = [np.exp(np.cumsum(source.normal(0, 0.1, (500, BANDS)), axis=0)) for _ in range(8)]
    first, second = [of_energies(one) for one in energies], [of_energies(one[cut // 4 :]) for one in energies]
    found = {(same.first, same.second) for same in same_audio(first, second)}
    assert found == {(number, number) for number in range(8)}
    assert {(same.second, same.first) for same in same_audio(second, first)} == found
    turned = second[rolled:] + second[:rolled]
    assert {(same.first, (same.second + rolled) % 8) for same in same_audio(first, turned)} == found
