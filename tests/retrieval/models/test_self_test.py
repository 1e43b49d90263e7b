"""The self-test passes towers that work and refuses those that do not, with what was measured."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unisono.base.errors import DataError
from unisono.embeddings.encoders import audio, self_test
from unisono.embeddings.encoders.self_test import TEXTS, check_audio, check_text
from unisono.retrieval import models

RNG = np.random.default_rng(0)
SPREAD = RNG.normal(size=(len(TEXTS), 64)).astype(np.float32)


def test_spread_vectors_pass() -> None:
    check_text(lambda _: SPREAD, "good")


@pytest.mark.parametrize("noise", [0, 0.001, 0.1])
def test_collapsed_vectors_are_refused(noise: float) -> None:
    """An untrained CLAP has a mean cosine of 0.999."""
    with pytest.raises(DataError, match=r"text tower of bad does not work: 12 .* mean cosine of (1\.0000|0\.9\d+)"):
        check_text(lambda _: 1 + noise * SPREAD, "bad")


def test_the_bound_is_0_98() -> None:
    def with_cosine(cosine: float) -> np.ndarray:
        own = np.eye(len(TEXTS), 64) * np.sqrt(1 - cosine)
        own[:, -1] = np.sqrt(cosine)
        return own.astype(np.float32)

    check_text(lambda _: with_cosine(0.975), "good")
    with pytest.raises(DataError, match=r"0\.985"):
        check_text(lambda _: with_cosine(0.985), "bad")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_must_be_finite(value: float) -> None:
    broken = SPREAD.copy()
    broken[3, 5] = value
    with pytest.raises(DataError, match="vectors of texts are not finite"):
        check_text(lambda _: broken, "bad")
    with pytest.raises(DataError, match="vectors of audio are not finite"):
        check_audio(lambda windows: windows[:, :4] + value, "bad", rate_hz=8000, window_s=1)


def test_vectors_of_zeros_are_refused() -> None:
    with pytest.raises(DataError, match="does not work"):
        check_text(lambda _: np.zeros((len(TEXTS), 8), np.float32), "bad")


def test_a_sweep_and_silence_must_differ() -> None:
    def spectrum(windows: np.ndarray) -> np.ndarray:
        assert windows.shape == (2, 8000)
        assert np.abs(windows[0]).max() == pytest.approx(0.5, abs=0.01) and not windows[1].any()
        return np.abs(np.fft.rfft(windows))[:, :50]

    check_audio(spectrum, "good", rate_hz=8000, window_s=1)
    with pytest.raises(DataError, match=r"sine sweep and silence differ by 0\.0e"):
        check_audio(lambda windows: np.ones((2, 8), np.float32), "bad", rate_hz=8000, window_s=1)


def test_the_taggers_tell_a_sweep_from_silence() -> None:
    if not models.get("tags").is_here():
        pytest.skip("the weights of tags are not here")
    encoder = audio.build("tags")
    check_audio(lambda windows: encoder.embed(torch.from_numpy(windows)).numpy(), "tags", rate_hz=16_000, window_s=3)


def test_a_collapsed_model_is_refused_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each time: only weights that passed are not tested again."""

    class Collapsed:
        text_encoder = SimpleNamespace(spec=SimpleNamespace(revision="1"))

        def embed_text(self, texts: list[str]) -> np.ndarray:
            return np.ones((len(texts), 4), np.float32)

    monkeypatch.setattr(models.get("tags"), "build", lambda device: Collapsed())
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    for _ in range(2):
        with pytest.raises(DataError, match=r"text tower of tags does not work"):
            models.load_model("tags")
    self_test.note_passed("tags", "text", "1")
    assert models.load_model("tags")
    (tmp_path / ".tested" / "tags.json").write_text("[")
    with pytest.raises(DataError, match="does not work"):
        models.load_model("tags")


@pytest.mark.parametrize("name", ["muq", "clap"])
def test_weights_that_hear_nothing_are_refused(
    weights_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The first time that they are loaded, whether for `prepare` or for a joint model."""
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    shutil.copytree(weights_root / name, tmp_path / name)
    encoder = type(audio.build(name))
    self_test._note(name).unlink()
    monkeypatch.setattr(encoder, "embed", lambda self, windows: torch.ones(len(windows), self.spec.dim))
    with pytest.raises(DataError, match=rf"audio tower of {name} does not work: a sine sweep and silence differ by 0"):
        audio.build(name)
    if name in models.names():
        with pytest.raises(DataError, match="audio tower"):
            models.load_model(name)
