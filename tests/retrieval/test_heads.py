from typing import Any

import numpy as np
import pytest
import torch

from unisono.retrieval.heads import Architecture, AudioScaling, ProjectionHeads, fit_scaling


def architecture(**changes: Any) -> Architecture:
    values: dict[str, Any] = {
        "text_dim": 6,
        "audio_dim": 5,
        "layers": 1,
        "projection": "text",
        "dim": 5,
        "scaled_dim": 5,
        "text_head": "mlp",
        "audio_head": "linear",
        "hidden": 8,
        "dropout": 0.0,
        **changes,
    }
    return Architecture(**values)


@pytest.fixture
def audio() -> torch.Tensor:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5)) + rng.normal(size=5) * 10
    return torch.from_numpy(mixed).to(torch.float16).unsqueeze(1)


def test_zscore(audio: torch.Tensor):
    scaling = AudioScaling(1, 5, 5)
    fit_scaling(scaling, audio, "zscore", block=64)
    scaled = scaling(audio.float())
    assert scaled.mean(dim=0).abs().max() < 1e-3
    assert (scaled.std(dim=0, correction=0) - 1).abs().max() < 1e-3


def test_an_input_that_does_not_vary_is_not_blown_up():
    scaling = AudioScaling(1, 2, 2)
    fit_scaling(scaling, torch.tensor([[[1.0, 3.0]], [[2.0, 3.0]]]), "zscore")
    assert scaling(torch.tensor([[[1.0, 3.5]]])).tolist() == [[[-1.0, 0.5]]]


def test_whitening_does_not_depend_on_the_number_of_threads():
    audio = torch.randn(700, 1, 600, generator=torch.Generator().manual_seed(1))
    before, rotations = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            scaling = AudioScaling(1, 600, 600, whitened=True)
            fit_scaling(scaling, audio, "whiten")
            assert torch.get_num_threads() == threads
            rotations.append(scaling.rotation)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*rotations)


def test_whitening_decorrelates_and_halves_the_differences(audio: torch.Tensor):
    heads = ProjectionHeads(architecture(dim=3, scaled_dim=3))
    fit_scaling(heads.scaling, audio, "whiten")
    z = (audio.double()[:, 0] - audio.double().mean(dim=0)) / audio.double().std(dim=0, correction=0)
    values = torch.linalg.eigvalsh(z.T @ z / len(z)).flip(0)[:3]
    rotated = heads.scaling(audio.float())[:, 0] @ heads.scaling.rotation
    covariance = (rotated.T @ rotated / len(rotated)).double()
    expected = values.sqrt() / values.sqrt().mean()
    assert (covariance - torch.diag(expected)).abs().max() < 1e-3


def test_the_projection_text_without_scaling_searches_the_raw_space(audio: torch.Tensor):
    heads = ProjectionHeads(architecture())
    fit_scaling(heads.scaling, audio, "none")
    raw = audio.float()[:, 0]
    found = heads.embed_audio(audio[:, 0].float())
    assert torch.allclose(found, torch.nn.functional.normalize(raw, dim=1))


def test_layers_are_summed_with_learned_weights():
    heads = ProjectionHeads(architecture(layers=2))
    assert heads.layer_weights.requires_grad
    heads.layer_weights.data = torch.tensor([0.0, 50.0])
    audio = torch.randn(3, 2, 5)
    assert torch.allclose(heads.embed_audio(audio), torch.nn.functional.normalize(audio[:, 1], dim=1), atol=1e-6)


@pytest.mark.parametrize("projection", ["text", "joint"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_both_sides_give_unit_vectors_of_one_size(projection: str, head: str):
    dim = 5 if projection == "text" else 7
    heads = ProjectionHeads(architecture(projection=projection, dim=dim, text_head=head, audio_head=head, layers=3))
    for embedded in (heads.embed_text(torch.randn(4, 6)), heads.embed_audio(torch.randn(4, 3, 5), noise=0.5)):
        assert embedded.shape == (4, dim)
        assert torch.allclose(embedded.norm(dim=1), torch.ones(4))
