import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from unisono.retrieval.train.losses import Positives, info_nce, positives, siglip, symmetric_info_nce

SCALE = torch.tensor(10.0, dtype=torch.float64)


def cosines_of(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def pairs(mask: list[list[int]]) -> Positives:
    return Positives(*torch.tensor(mask).nonzero(as_tuple=True))


def dense(positive: Positives, rows: int, columns: int) -> torch.Tensor:
    mask = torch.zeros(rows, columns, dtype=torch.bool)
    mask[positive.row, positive.column] = True
    return mask


def plain_info_nce(cosines: torch.Tensor, scale: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The definition, left to autograd."""
    logits = scale * cosines
    against = logits.masked_fill(mask, -math.inf).logsumexp(dim=1, keepdim=True)
    each = functional.softplus(against - logits)
    return ((each * mask).sum(dim=1) / mask.sum(dim=1)).mean()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12), st.data())
def test_positives_are_the_same_text_or_the_same_recording(names: list[tuple[int, int]], data: st.DataObject):
    texts, recordings = np.array(names).T
    begin = data.draw(st.integers(0, len(names) - 1))
    rows = slice(begin, data.draw(st.integers(begin + 1, len(names))))
    found = positives(texts, recordings, rows)
    expected = (texts[rows, None] == texts) | (recordings[rows, None] == recordings)
    assert len(found.row) == expected.sum()
    assert dense(found, *expected.shape).numpy().tolist() == expected.tolist()


@pytest.mark.parametrize("scale", [1.0, 20.0, 99.0])
@pytest.mark.parametrize("symmetric", [False, True])
def test_loss_and_gradient_are_those_of_the_definition(scale: float, symmetric: bool):
    texts, recordings = np.array([0, 1, 2, 0, 3, 4, 5, 1]), np.array([0, 1, 2, 3, 4, 2, 5, 6])
    positive = positives(texts, recordings)
    mask = dense(positive, 8, 8)
    cosines, factor = cosines_of(8, 8).requires_grad_(), torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    found = info_nce(cosines, factor, positive, symmetric=symmetric)
    expected = plain_info_nce(cosines, factor, mask)
    if symmetric:
        expected = (expected + plain_info_nce(cosines.T, factor, mask.T)) / 2
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    for one, other in zip(
        torch.autograd.grad(found, (cosines, factor)), torch.autograd.grad(expected, (cosines, factor)), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-12)


def test_cold_temperatures_do_not_underflow():
    cosines = torch.tensor([[1.0, -1.0, -1.0], [0.2, 1.0, 0.1], [-1.0, -0.9, -0.8]], requires_grad=True)
    scale = torch.tensor(100.0, requires_grad=True)
    loss = info_nce(cosines, scale, pairs(torch.eye(3).int().tolist()))
    loss.backward()
    exact = plain_info_nce(cosines.double(), scale.double(), torch.eye(3).bool())
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(exact.item(), abs=1e-6)
    (expected,) = torch.autograd.grad(exact, cosines)
    assert torch.allclose(cosines.grad, expected, rtol=1e-4)


def test_with_one_positive_a_row_it_is_the_cross_entropy():
    cosines = cosines_of(7, 7)
    assert info_nce(cosines, SCALE, pairs(torch.eye(7).int().tolist())).item() == pytest.approx(
        functional.cross_entropy(SCALE * cosines, torch.arange(7)).item()
    )


def test_several_positives_by_hand():
    cosines = torch.tensor([[0.1, 0.2, 0.05, -0.1]])
    negatives = math.exp(0.5) + math.exp(-1)
    by_hand = -sum(math.log(math.exp(score) / (math.exp(score) + negatives)) for score in (1.0, 2.0)) / 2
    found = info_nce(cosines, torch.tensor(10.0), pairs([[1, 1, 0, 0]]))
    assert found.item() == pytest.approx(by_hand, rel=1e-6)


@given(st.integers(2, 9), st.integers(0, 1000), st.data())
def test_no_positive_is_ever_pushed_away(size: int, seed: int, data: st.DataObject):
    groups = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
    cosines = cosines_of(size, size, seed).requires_grad_()
    positive = positives(np.arange(size), groups)
    info_nce(cosines, SCALE, positive, symmetric=True).backward()
    mask = dense(positive, size, size)
    assert torch.isfinite(cosines.grad).all()
    assert (cosines.grad[mask] <= 0).all()
    assert (cosines.grad[~mask] >= 0).all()


def test_a_row_without_negatives_costs_nothing():
    cosines = cosines_of(3, 3).requires_grad_()
    loss = info_nce(cosines, SCALE, pairs(torch.ones(3, 3).int().tolist()), symmetric=True)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(cosines.grad, torch.zeros(3, 3))


def test_siglip_by_hand():
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    by_hand = sum(
        -math.log(1 / (1 + math.exp(-sign * score))) for sign, score in ((1, 2.0), (-1, -1.0), (-1, 0.5), (1, 3.0))
    )
    assert siglip(logits, pairs([[1, 0], [0, 1]])).item() == pytest.approx(by_hand / 2, rel=1e-6)


def test_symmetric_averages_both_directions():
    text, audio = (functional.normalize(cosines_of(5, 8, seed), dim=1) for seed in (1, 2))
    scale = torch.tensor(10.0)
    logits = scale * text @ audio.T
    target = torch.arange(5)
    expected = (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
    found = symmetric_info_nce(text, audio, text, audio, pairs(torch.eye(5).int().tolist()), scale)
    assert found.item() == pytest.approx(expected.item())
