from typing import Any

import numpy as np
import pytest
import torch

from unisono.retrieval.model import Architecture, AudioScaling, Dropout, RetrievalModel, fit_scaling, unit


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
    model = RetrievalModel(architecture(dim=3, scaled_dim=3))
    fit_scaling(model.scaling, audio, "whiten")
    z = (audio.double()[:, 0] - audio.double().mean(dim=0)) / audio.double().std(dim=0, correction=0)
    values = torch.linalg.eigvalsh(z.T @ z / len(z)).flip(0)[:3]
    rotated = model.scaling(audio.float())[:, 0] @ model.scaling.rotation
    covariance = (rotated.T @ rotated / len(rotated)).double()
    expected = values.sqrt() / values.sqrt().mean()
    assert (covariance - torch.diag(expected)).abs().max() < 1e-3


def test_the_projection_text_without_scaling_searches_the_raw_space(audio: torch.Tensor):
    model = RetrievalModel(architecture())
    fit_scaling(model.scaling, audio, "none")
    raw = audio.float()[:, 0]
    found = model.embed_audio(audio[:, 0].float())
    assert torch.allclose(found, torch.nn.functional.normalize(raw, dim=1))


def test_layers_are_summed_with_learned_weights():
    model = RetrievalModel(architecture(layers=2))
    assert model.layer_weights.requires_grad
    model.layer_weights.data = torch.tensor([0.0, 50.0])
    audio = torch.randn(3, 2, 5)
    assert torch.allclose(model.embed_audio(audio), torch.nn.functional.normalize(audio[:, 1], dim=1), atol=1e-6)


@pytest.mark.parametrize("projection", ["text", "joint"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_both_sides_give_unit_vectors_of_one_size(projection: str, head: str):
    dim = 5 if projection == "text" else 7
    model = RetrievalModel(architecture(projection=projection, dim=dim, text_head=head, audio_head=head, layers=3))
    for embedded in (model.embed_text(torch.randn(4, 6)), model.embed_audio(torch.randn(4, 3, 5), noise=0.5)):
        assert embedded.shape == (4, dim)
        assert torch.allclose(embedded.norm(dim=1), torch.ones(4))


def test_unit_vectors_have_the_gradient_of_normalize():
    vectors = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vectors[3] = 0
    mine, theirs = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    weights = torch.arange(30.0, dtype=torch.float64).reshape(6, 5)
    found, expected = unit(mine), torch.nn.functional.normalize(theirs, dim=-1)
    assert torch.allclose(found, expected)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(mine.grad, theirs.grad)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_leaves_out_the_share_and_keeps_the_mean(share: float):
    torch.manual_seed(1)
    inputs = torch.ones(401, 501, requires_grad=True)  # not a multiple of the four numbers of a draw
    dropped = Dropout(share)(inputs)
    assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=0.005)
    assert dropped.mean().item() == pytest.approx(1, abs=0.01 / (1 - share))
    dropped.sum().backward()
    assert torch.equal(inputs.grad, dropped.detach())
    # neither rows nor neighbours are dropped together
    gone = (dropped == 0).double()
    assert torch.corrcoef(torch.stack([gone[:, :-1].flatten(), gone[:, 1:].flatten()]))[0, 1].abs() < 0.02
    torch.manual_seed(1)
    assert torch.equal(Dropout(share)(inputs), dropped)
    assert torch.equal(Dropout(share).eval()(inputs), inputs)
