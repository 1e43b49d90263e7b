"""What holds for every audio encoder, found by registry: with tiny random weights on the way that real ones take."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tests.embeddings.encoders import tiny
from unisono.base.errors import UsageError
from unisono.embeddings.encoders import audio, tuned
from unisono.embeddings.encoders.audio import AudioEncoder
from unisono.embeddings.prepare.run import DEFAULT_ENCODERS


@pytest.fixture(scope="module", params=audio.names())
def encoder(request: pytest.FixtureRequest, weights_root: Path) -> Iterator[AudioEncoder]:
    name = request.param
    if hasattr(audio.module(name), "WEIGHTS") and name not in tiny.WRITERS:
        pytest.fail(f"{name} has weights to fetch, but tests/embeddings/encoders/tiny.py has no tiny ones of it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNISONO_WEIGHTS", str(weights_root))
        yield audio.build(name)


@pytest.fixture(scope="module")
def windows(encoder: AudioEncoder) -> torch.Tensor:
    """Noise, a chord that swells, and a beat: [3, samples]."""
    samples = round(encoder.spec.window_s * encoder.spec.rate_hz)
    seconds = torch.arange(samples) / encoder.spec.rate_hz
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(0)) / 8
    chord = sum(torch.sin(2 * torch.pi * pitch * seconds) for pitch in (220, 277, 330)) / 4 * seconds / seconds[-1]
    beat = noise * (seconds * 2 % 1 < 0.1)
    return torch.stack([noise, chord, beat])


@pytest.fixture(scope="module")
def embeddings(encoder: AudioEncoder, windows: torch.Tensor) -> torch.Tensor:
    """Of the windows, which are left as they are."""
    given = windows.clone()
    found = encoder.embed(given)
    assert torch.equal(given, windows)
    return found


def test_shape_and_type_are_as_declared(encoder: AudioEncoder, embeddings: torch.Tensor) -> None:
    spec = encoder.spec
    assert embeddings.shape == ((3, spec.dim) if spec.layers == 1 else (3, spec.layers, spec.dim))
    assert embeddings.dtype == torch.float32
    assert embeddings.isfinite().all()
    assert not embeddings.requires_grad


def test_different_music_has_different_embeddings(embeddings: torch.Tensor) -> None:
    rows = embeddings.flatten(1)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert (rows[i] - rows[j]).abs().max() > 1e-4


def test_a_window_alone_and_among_others_is_the_same(
    encoder: AudioEncoder, windows: torch.Tensor, embeddings: torch.Tensor
) -> None:
    alone = encoder.embed(windows[2:])
    torch.testing.assert_close(alone[0], embeddings[2], rtol=1e-4, atol=2e-5)
    assert torch.equal(encoder.embed(windows[2:]), alone), "not even the same again"


def test_a_window_does_not_see_its_neighbours(
    encoder: AudioEncoder, windows: torch.Tensor, embeddings: torch.Tensor
) -> None:
    broken = torch.full_like(windows[0], torch.nan)
    found = encoder.embed(torch.stack([broken, windows[1]]))[1]
    torch.testing.assert_close(found, embeddings[1], rtol=1e-4, atol=2e-5)


def test_one_that_follows_another_goes_on_from_its_rows(
    encoder: AudioEncoder, windows: torch.Tensor, embeddings: torch.Tensor
) -> None:
    if follows := getattr(encoder, "follows", None):
        cut = ("rate_hz", "window_s", "hop_s", "tail", "shortest_s", "whole")
        assert all(getattr(follows, name) == getattr(encoder.spec, name) for name in cut)
        rows = audio.build(follows.name).embed(windows)
        assert torch.equal(encoder.embed_after(rows, windows), embeddings)  # type: ignore[attr-defined]


def test_silence_clipping_and_overs_are_finite(encoder: AudioEncoder, windows: torch.Tensor) -> None:
    silence = torch.zeros_like(windows[0])
    clipped = (windows[1] * 100).clamp(-1, 1) * 1.5
    nearly_silent = windows[0] * 1e-30
    assert encoder.embed(torch.stack([silence, clipped, nearly_silent])).isfinite().all()


def test_several_threads_may_embed_at_once(
    encoder: AudioEncoder, windows: torch.Tensor, embeddings: torch.Tensor
) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda row: encoder.embed(windows[row : row + 1])[0], range(3)))
    torch.testing.assert_close(torch.stack(found), embeddings, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", audio.names())
def test_the_spec_says_what_a_user_must_know(name: str) -> None:
    spec = audio.spec(name)
    assert spec.name == name
    assert spec.title
    assert spec.weights_license
    assert spec.rate_hz > 0
    assert 0 < spec.hop_s <= spec.window_s
    assert spec.noncommercial == ("-NC" in spec.weights_license)
    if spec.size:
        assert spec.source
        assert spec.revision


def test_specs_are_read_without_torch() -> None:
    code = (
        "import sys; from unisono.embeddings.encoders import audio; [audio.spec(name) for name in audio.names()]; "
        "sys.exit(', '.join({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_three_defaults_fit_into_80_megabytes_per_thousand_tracks() -> None:
    specs = [audio.spec(name) for name in DEFAULT_ENCODERS]
    assert [spec.name for spec in specs] == ["muq", "mert", "latent"]
    assert sum(1000 * spec.dim * spec.layers * 2 for spec in specs) <= 80e6


def test_an_unknown_name_has_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"no audio encoder 'musicn'\. Did you mean 'musicnn'"):
        audio.spec("musicn")
    with pytest.raises(UsageError, match=r"no audio encoder 'zzzz'\.\n"):
        audio.build("zzzz")


def test_an_encoder_without_layers_says_so() -> None:
    with pytest.raises(UsageError, match="The encoder dsp has one embedding"):
        audio.build("dsp", layers="all")


SAME_CLASS = {"clap_general", "clap_unfused", "mert", "musicfm"}
"""Encoders whose class is that of another one."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in audio.names() for kind in ("full", "lora") if kind == "full" or name not in SAME_CLASS],
)
def test_it_can_be_tuned_or_says_that_it_cannot(
    name: str, kind: tuned.Tuning, weights_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(weights_root))
    encoder = audio.build(name)
    if name in ("dsp", "tags"):
        with pytest.raises(UsageError, match=f"{name} can embed music, but it cannot be tuned: it has no"):
            audio.tunable(encoder)
        return
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(1, round(encoder.spec.window_s * encoder.spec.rate_hz), generator=generator) / 8
    untouched = encoder.embed(windows)
    tower = tuned.TunedTower(encoder, kind, rank=2, frozen=1)
    assert not tower.stages[0] and any(tower.stages)
    torch.testing.assert_close(tower.encoder.forward(windows), untouched, rtol=1e-4, atol=2e-5)
    with torch.no_grad():  # the second matrix of an adapter begins as zero, and the first has no gradient then
        for each in (each for stage in tower.stages for each in stage if kind == "lora"):
            each.add_(0.01 * torch.randn(each.shape, generator=generator))
    found = tower.embed(windows[:, None])
    assert found.shape == (1, 1, encoder.spec.dim)
    (found * torch.randn(found.shape, generator=generator)).sum().backward()
    unused = [key for key, each in tower.state().items() if each.grad is None or not each.grad.any()]
    assert len(unused) <= len(tower.state()) // 10, unused
    tower.keep_few_activations()
    again = tower.embed(windows[:, None])
    torch.testing.assert_close(again, found)
    with torch.no_grad():
        for stage in tower.stages:
            for each in stage:
                each.mul_(1.1)
    rebuilt = tuned.with_weights(audio.build(name), tower.weights())
    one, other = rebuilt.embed(windows), encoder.embed(windows)
    assert (one - other).norm() < 1e-4 * other.norm() < (one - untouched).norm()
    assert rebuilt.spec.revision == tower.weights().revision() != audio.build(name).spec.revision
