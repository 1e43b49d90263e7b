"""The contract of every loss of the registry."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from unisono.base.errors import UsageError
from unisono.retrieval.positives import Positives, positives
from unisono.retrieval.train import losses
from unisono.retrieval.train.losses import EmbeddedBatch, infonce_sigreg
from unisono.retrieval.train.terms import false_captions_term, maxsim, maxsim_term

SEED = 2**63 + 5
SCALE, BIAS = torch.tensor(7.0, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)
TEXTS, RECORDINGS = np.array([0, 1, 2, 0, 3, 4, 5, 1]), np.array([0, 1, 2, 3, 4, 2, 5, 6])
every_loss = pytest.mark.parametrize("name", losses.names())


def vectors(seed: int, size: int = 8) -> Tensor:
    drawn = torch.randn(size, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return functional.normalize(drawn, dim=1)


def whole(text: Tensor, audio: Tensor, positive: Positives) -> EmbeddedBatch:
    return EmbeddedBatch(text, audio, text, audio, positive, SEED)


def by_hand(name: str, text: Tensor, audio: Tensor, positive: Positives) -> float:
    """The definition, pair by pair in Python's floats."""
    logits = (SCALE * text @ audio.T).tolist()
    right = set(zip(positive.row.tolist(), positive.column.tolist(), strict=True))
    if name == "siglip":
        signed = [
            (1 if (i, j) in right else -1) * (logit + BIAS.item())
            for i, row in enumerate(logits)
            for j, logit in enumerate(row)
        ]
        return sum(math.log1p(math.exp(-value)) for value in signed) / len(logits)
    if name == "infonce_sigreg":
        spread = (spread_by_hand(text.numpy()) + spread_by_hand(audio.numpy())) / 2
        return 0.95 * by_hand("infonce", text, audio, positive) + 0.05 * spread
    directions = []
    for flipped in (False, True):
        rows = []
        for i in range(len(logits)):
            row = {j: logits[j][i] if flipped else logits[i][j] for j in range(len(logits))}
            good = [j for j in row if ((j, i) if flipped else (i, j)) in right]
            wrong = sum(math.exp(row[j]) for j in row if j not in good)
            apart = [wrong / math.exp(row[j]) for j in good]
            rows.append(sum(map(math.log if name == "dcl" else math.log1p, apart)) / len(good))
        directions.append(sum(rows) / len(rows))
    return sum(directions) / 2


def spread_by_hand(vectors: np.ndarray) -> float:
    """The statistic of Epps and Pulley with complex numbers, direction by direction."""
    points = np.linspace(-5, 5, 17)
    normal = np.exp(-(points**2) / 2)
    found = []
    for direction in infonce_sigreg.draw_directions(vectors.shape[1], SEED).double().numpy().T:
        projected = np.sqrt(vectors.shape[1]) * vectors @ direction
        apart = np.abs(np.exp(1j * np.outer(points, projected)).mean(axis=1) - normal) ** 2
        found.append(len(vectors) * np.trapezoid(apart * normal, points))
    return float(np.mean(found))


def test_sigreg_is_small_for_vectors_all_around_and_large_for_a_bundle():
    directions = infonce_sigreg.draw_directions(16, SEED).double()
    around = functional.normalize(torch.randn(512, 16, generator=torch.Generator().manual_seed(0)).double(), dim=1)
    bundle = functional.normalize(around + 3, dim=1)
    spread, crowded = (infonce_sigreg.sigreg(each, directions).item() for each in (around, bundle))
    assert spread < 2 and crowded > 20 * spread
    assert torch.allclose(directions.norm(dim=0), torch.ones(256).double())
    assert not torch.equal(directions, infonce_sigreg.draw_directions(16, SEED + 1).double())


@every_loss
def test_it_is_what_its_definition_says(name: str):
    text, audio, positive = vectors(0), vectors(1), positives(TEXTS, RECORDINGS)
    found = losses.get(name).compute(whole(text, audio, positive), SCALE, BIAS)
    assert found.item() == pytest.approx(by_hand(name, text, audio, positive), rel=1e-12)


@every_loss
def test_its_gradient_is_that_of_finite_differences(name: str):
    positive = positives(TEXTS, RECORDINGS)
    inputs = [each.clone().requires_grad_() for each in (vectors(0), vectors(1), SCALE, BIAS)]

    def compute(text: Tensor, audio: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        return losses.get(name).compute(whole(text, audio, positive), scale, bias)

    assert torch.autograd.gradcheck(compute, inputs)


@every_loss
@pytest.mark.parametrize("processes", [2, 4])
def test_the_mean_over_processes_is_the_loss_of_the_batch(name: str, processes: int):
    compute = losses.get(name).compute
    text, audio = vectors(2).requires_grad_(), vectors(3).requires_grad_()
    expected = compute(whole(text, audio, positives(TEXTS, RECORDINGS)), SCALE, BIAS)
    parts: list[Tensor] = []
    for process in range(processes):
        rows = slice(process * 8 // processes, (process + 1) * 8 // processes)
        batch = EmbeddedBatch(text[rows], audio[rows], text, audio, positives(TEXTS, RECORDINGS, rows), SEED)
        parts.append(compute(batch, SCALE, BIAS))
    found = torch.stack(parts).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    for one, other in zip(
        torch.autograd.grad(found, (text, audio)), torch.autograd.grad(expected, (text, audio)), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in losses.names() if not name.endswith("_sigreg")])
@given(st.lists(st.integers(0, 3), min_size=2, max_size=9), st.integers(0, 1000))
def test_positives_attract_and_negatives_repel(name: str, groups: list[int], seed: int):
    size = len(groups)
    cosines = torch.rand(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
    cosines.requires_grad_()
    positive = positives(np.arange(size), np.array(groups))
    batch = whole(cosines, torch.eye(size, dtype=torch.float64), positive)  # text @ audio.T is `cosines`
    losses.get(name).compute(batch, SCALE, BIAS).backward()
    mask = positive.mask(cosines)
    assert cosines.grad is not None and torch.isfinite(cosines.grad).all()
    assert (cosines.grad[mask] <= 0).all() and (cosines.grad[~mask] >= 0).all()


@every_loss
def test_a_bias_is_learned_if_and_only_if_the_loss_has_one(name: str):
    loss = losses.get(name)
    bias = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    text = vectors(0).requires_grad_()
    found = loss.compute(whole(text, vectors(1), positives(TEXTS, RECORDINGS)), SCALE, bias)
    (gradient,) = torch.autograd.grad(found, bias, allow_unused=True)
    assert (gradient is not None) == (loss.initial_bias is not None)


def test_a_false_caption_is_contrasted_with_its_own_music_alone():
    text, audio, false = (vectors(seed).requires_grad_() for seed in range(3))
    there = torch.arange(8) % 3 > 0
    found = false_captions_term(text, audio, false, there, SCALE)
    apart = (SCALE * ((false - text) * audio).sum(dim=1)).tolist()
    assert found.item() == pytest.approx(sum(math.log1p(math.exp(apart[row])) for row in (1, 2, 4, 5, 7)) / 8)
    found.backward()
    assert not false.grad[~there].any() and (false.grad[there] * audio.detach()[there]).sum(dim=1).min() > 0


def of_length_one(seed: int, *shape: int) -> Tensor:
    drawn = torch.randn(*shape, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return functional.normalize(drawn, dim=-1)


def test_maxsim_is_the_mean_over_the_tokens_of_the_window_that_fits_best():
    tokens, windows, there = of_length_one(0, 8, 4), of_length_one(1, 8, 3), torch.ones(8, 4).double()
    there[2, 1:] = there[5, 3] = 0
    found = maxsim(tokens, there, windows)
    for text, music in np.ndindex(8, 8):
        heard = [
            max(float(tokens[text, token] @ windows[music, window]) for window in range(3))
            for token in range(4)
            if there[text, token]
        ]
        assert found[text, music].item() == pytest.approx(np.mean(heard), rel=1e-12)
    positive = positives(TEXTS, RECORDINGS)
    term = maxsim_term(tokens, there, windows, positive, SCALE)
    logits = torch.eye(8).double()  # cosines of the definition: found @ identity
    assert term.item() == pytest.approx(by_hand("infonce", found, logits, positive), rel=1e-12)
    inputs = [tokens.requires_grad_(), windows.requires_grad_(), SCALE.clone().requires_grad_()]
    assert torch.autograd.gradcheck(lambda t, w, s: maxsim_term(t, there, w, positive, s), inputs)


def test_the_registry():
    assert losses.names() == ("dcl", "infonce", "infonce_sigreg", "siglip")
    with pytest.raises(UsageError, match=r"There is no loss 'sigclip'\. Did you mean 'siglip'"):
        losses.get("sigclip")
