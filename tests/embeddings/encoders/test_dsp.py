"""dsp hears what is there: pitch classes, tempo, brightness, loudness."""

import numpy as np
import pytest
import torch

from unisono.embeddings.encoders.audio import dsp

RATE_HZ = dsp.RATE_HZ
TIME_S = np.arange(10 * RATE_HZ) / RATE_HZ
CHROMA = slice(256 + 60, 256 + 60 + 12)
CENTROID = 256 + 60 + 24
FLATNESS = CENTROID + 2
RHYTHM = slice(dsp.SPEC.dim - 128, dsp.SPEC.dim)
PITCH_CLASSES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def embed(samples: np.ndarray) -> np.ndarray:
    return dsp.build().embed(torch.tensor(samples, dtype=torch.float32)[None])[0].numpy()


@pytest.mark.parametrize(("hertz", "name"), [(440.0, "A"), (261.63, "C"), (987.77, "B"), (185.0, "F#")])
def test_the_strongest_pitch_class_is_the_one_played(hertz: float, name: str) -> None:
    chroma = embed(0.3 * np.sin(2 * np.pi * hertz * TIME_S))[CHROMA]
    assert PITCH_CLASSES[int(chroma.argmax())] == name


@pytest.mark.parametrize("beats_a_minute", [90, 120, 150])
def test_the_onsets_repeat_with_the_beat(beats_a_minute: int) -> None:
    clicks = np.zeros(len(TIME_S))
    period = round(60 / beats_a_minute * RATE_HZ)
    noise = np.random.default_rng(0).standard_normal(600)
    for begin in range(0, len(clicks) - 600, period):
        clicks[begin : begin + 600] = 0.3 * noise
    rhythm = embed(clicks)[RHYTHM]
    lag = period / dsp.HOP_SAMPLES  # in frames; index 0 is a lag of 1
    assert abs(rhythm[10:40].argmax() + 11 - lag) <= 1


def test_the_log_mel_mean_equals_its_formula() -> None:
    samples = 0.1 * np.random.default_rng(1).standard_normal(len(TIME_S))
    padded = np.pad(samples, 1024, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    frames = np.stack([padded[512 * i : 512 * i + 2048] * hann for i in range(1 + len(samples) // 512)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    filters = dsp.build()._mel_filters.double().numpy()
    decibels = 10 * np.log10(np.maximum(power @ filters, 1e-10))
    found = embed(samples)
    np.testing.assert_allclose(found[:128], decibels.mean(axis=0) / 20, atol=1e-4)
    np.testing.assert_allclose(found[128:256], decibels.std(axis=0, ddof=1) / 10, atol=1e-4)
    share = (power + 1e-10) / (power + 1e-10).sum(axis=1, keepdims=True)
    centroid = (share * np.linspace(0, 1, 1025)).sum(axis=1)
    np.testing.assert_allclose(found[CENTROID], centroid.mean(), atol=1e-4)


def test_the_cepstrum_is_the_orthonormal_cosine_transform() -> None:
    matrix = dsp._dct_matrix(128, 128).double().numpy()
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(128), atol=1e-5)
    band = np.arange(128)
    np.testing.assert_allclose(matrix[:, 3], np.sqrt(2 / 128) * np.cos(np.pi * 3 * (2 * band + 1) / 256), atol=1e-6)


def test_noise_is_flatter_than_a_tone_and_louder_is_louder() -> None:
    noise = np.random.default_rng(2).standard_normal(len(TIME_S))
    tone = np.sin(2 * np.pi * 440 * TIME_S)
    assert embed(0.1 * noise)[FLATNESS] > 10 * embed(0.1 * tone)[FLATNESS]
    np.testing.assert_allclose(
        embed(0.1 * noise)[:128] - embed(0.01 * noise)[:128], 1.0, atol=1e-3
    )  # 20 dB, in units of 20
