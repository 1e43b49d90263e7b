import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from unisono.train.losses import info_nce, positives, siglip, symmetric_info_nce


def logits_of(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3


def test_positives_are_the_same_text_or_the_same_recording():
    texts, recordings = torch.tensor([0, 1, 0, 2]), torch.tensor([5, 6, 7, 6])
    expected = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]).bool()
    assert torch.equal(positives(texts, recordings), expected)
    assert torch.equal(positives(texts, recordings, slice(1, 3)), expected[1:3])


def test_with_one_positive_a_row_it_is_the_cross_entropy():
    logits = logits_of(7, 7)
    assert info_nce(logits, torch.eye(7).bool()).item() == pytest.approx(
        functional.cross_entropy(logits, torch.arange(7)).item()
    )


def test_several_positives_by_hand():
    logits = torch.tensor([[1.0, 2.0, 0.5, -1.0]])
    positive = torch.tensor([[True, True, False, False]])
    negatives = math.exp(0.5) + math.exp(-1)
    by_hand = -sum(math.log(math.exp(score) / (math.exp(score) + negatives)) for score in (1.0, 2.0)) / 2
    assert info_nce(logits, positive).item() == pytest.approx(by_hand, rel=1e-6)


@given(st.integers(2, 9), st.integers(0, 1000), st.data())
def test_no_positive_is_ever_pushed_away(size: int, seed: int, data: st.DataObject):
    groups = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
    logits = logits_of(size, size, seed).requires_grad_()
    positive = positives(torch.arange(size), groups)
    info_nce(logits, positive).backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[positive] <= 0).all()
    assert (logits.grad[~positive] >= 0).all()


def test_a_row_without_negatives_costs_nothing():
    logits = logits_of(3, 3).requires_grad_()
    loss = info_nce(logits, torch.ones(3, 3).bool())
    loss.backward()
    assert loss.item() == pytest.approx(0)
    assert torch.equal(logits.grad, torch.zeros(3, 3))


def test_siglip_by_hand():
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    by_hand = sum(
        -math.log(1 / (1 + math.exp(-sign * score))) for sign, score in ((1, 2.0), (-1, -1.0), (-1, 0.5), (1, 3.0))
    )
    assert siglip(logits, torch.eye(2).bool()).item() == pytest.approx(by_hand / 2, rel=1e-6)


def test_symmetric_averages_both_directions():
    text, audio = (functional.normalize(logits_of(5, 8, seed), dim=1) for seed in (1, 2))
    scale = torch.tensor(10.0)
    logits = scale * text @ audio.T
    target = torch.arange(5)
    expected = (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
    found = symmetric_info_nce(text, audio, text, audio, torch.eye(5).bool(), scale)
    assert found.item() == pytest.approx(expected.item())
