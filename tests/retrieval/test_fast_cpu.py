import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from unisono.retrieval.fast_cpu import Dropout, info_nce, normalize
from unisono.retrieval.positives import Positives, positives
from unisono.retrieval.train.losses.infonce import info_nce as reference

SCALE = torch.tensor(10.0, dtype=torch.float64)


def cosines_of(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def pairs(mask: list[list[int]]) -> Positives:
    return Positives(*torch.tensor(mask).nonzero(as_tuple=True))


def dense(positive: Positives, rows: int, columns: int) -> torch.Tensor:
    mask = torch.zeros(rows, columns, dtype=torch.bool)
    mask[positive.row, positive.column] = True
    return mask


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
@pytest.mark.parametrize(("symmetric", "rows"), [(False, slice(None)), (False, slice(2, 5)), (True, slice(None))])
def test_loss_and_gradient_are_those_of_the_reference(scale: float, symmetric: bool, rows: slice):
    texts, recordings = np.array([0, 1, 2, 0, 3, 4, 5, 1]), np.array([0, 1, 2, 3, 4, 2, 5, 6])
    positive = positives(texts, recordings, rows)
    cosines = cosines_of(8, 8)[rows].requires_grad_()
    factor = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    found = info_nce(cosines, factor, positive, symmetric=symmetric)
    expected = reference(cosines, factor, positive, symmetric=symmetric)
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
    exact = reference(cosines.double(), scale.double(), pairs(torch.eye(3).int().tolist()))
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(exact.item(), abs=1e-6)
    (expected,) = torch.autograd.grad(exact, cosines)
    assert torch.allclose(cosines.grad, expected, rtol=1e-4)


both = pytest.mark.parametrize("loss", [info_nce, reference])


@both
def test_with_one_positive_a_row_it_is_the_cross_entropy(loss):
    cosines = cosines_of(7, 7)
    assert loss(cosines, SCALE, pairs(torch.eye(7).int().tolist())).item() == pytest.approx(
        functional.cross_entropy(SCALE * cosines, torch.arange(7)).item()
    )


@both
def test_several_positives_by_hand(loss):
    cosines = torch.tensor([[0.1, 0.2, 0.05, -0.1]])
    negatives = math.exp(0.5) + math.exp(-1)
    by_hand = -sum(math.log(math.exp(score) / (math.exp(score) + negatives)) for score in (1.0, 2.0)) / 2
    found = loss(cosines, torch.tensor(10.0), pairs([[1, 1, 0, 0]]))
    assert found.item() == pytest.approx(by_hand, rel=1e-6)


@both
def test_a_row_without_negatives_costs_nothing(loss):
    cosines = cosines_of(3, 3).requires_grad_()
    found = loss(cosines, SCALE, pairs(torch.ones(3, 3).int().tolist()), symmetric=True)
    found.backward()
    assert found.item() == 0
    assert torch.equal(cosines.grad, torch.zeros(3, 3))


def test_normalize_has_the_gradient_of_its_reference():
    vectors = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vectors[3] = 0
    mine, theirs = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    weights = torch.arange(30.0, dtype=torch.float64).reshape(6, 5)
    found, expected = normalize(mine), torch.nn.functional.normalize(theirs, dim=-1)
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
