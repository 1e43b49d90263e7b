"""The losses: what makes a caption and its music alike, and unlike the rest of the batch.

A batch holds B pairs. What counts as a right answer is a list of positives, since a text may describe several of the batch
and a recording may be there more than once; a positive is never a negative of another one. The functions take some rows
of the batch (b of B, those of one process) against all columns; the mean of the losses of all rows' parts is the loss of
the batch.

InfoNCE is written with its gradient: both need the same exponentials, and what passes over [b, B] numbers costs on a CPU
is a good part of what the matrix products cost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

WIDE_FROM = 40.0
"""Scale from which exp(-2 scale), the smallest exponential there may be, is no float32 (it ends at about exp(-87))."""

Side = tuple[Tensor, Tensor]
"""Of the positives, the rows (or columns) [P]; and the sums [b] of the negatives' exponentials in each."""


@dataclass(frozen=True)
class Positives:
    """The pairs that belong together: P of the b x B."""

    row: Tensor
    """[P] int64."""
    column: Tensor
    """[P] int64."""

    def to(self, device: torch.device) -> "Positives":
        """Give the same on another device."""
        return Positives(self.row.to(device), self.column.to(device))


def positives(texts: NDArray[np.int64], recordings: NDArray[np.int64], rows: slice = slice(None)) -> Positives:
    """Find which pairs of a batch belong together: the same text, or the same recording.

    Args:
        texts: [B] a number for each distinct text.
        recordings: [B] a number for each recording.
        rows: the rows wanted; pairs count theirs from the first of them.
    """
    codes = np.unique(np.concatenate([_equal(names[rows], names) for names in (texts, recordings)]))
    row, column = np.divmod(codes, len(texts))
    return Positives(torch.from_numpy(row), torch.from_numpy(column))


def _equal(wanted: NDArray[np.int64], names: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give row * B + column of all pairs of equal names."""
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    begin, end = (np.searchsorted(ordered, wanted, side) for side in ("left", "right"))
    counts = end - begin
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    codes: NDArray[np.int64] = (
        np.repeat(np.arange(len(wanted)) * len(names), counts) + order[np.repeat(begin, counts) + within]
    )
    return codes


def info_nce(cosines: Tensor, scale: Tensor, positive: Positives, *, symmetric: bool = False) -> Tensor:
    """Contrast each row's positives with its negatives: the mean of -log softmax(positive among it and the negatives).

    Several positives of a row count equally, each against the negatives alone. With one positive a row this is the
    cross entropy of the logits scale * cosines. A row without negatives costs nothing.

    Args:
        cosines: [b, B], each between -1 and 1.
        scale: 1 / temperature; a single number.
        positive: at least one a row (and, if symmetric, a column).
        symmetric: average this with the same over the columns.
    """
    apply = cast("Callable[..., Tensor]", _InfoNCE.apply)
    return apply(cosines, scale, positive, symmetric)


class _InfoNCE(torch.autograd.Function):
    """InfoNCE, and its gradient while the exponentials are there."""

    @staticmethod
    def forward(ctx: Any, cosines: Tensor, scale: Tensor, positive: Positives, symmetric: bool) -> Tensor:
        factor = float(scale)
        wide = cosines.double() if factor > WIDE_FROM else cosines
        row, column = positive.row, positive.column
        scores = factor * wide[row, column]
        # exp(scale * cosine - scale): a scale is the most that a logit can be
        weights = torch.add(wide.new_tensor(-factor), wide, alpha=factor).exp_()
        weights[row, column] = 0
        sides = [(row, weights.sum(dim=1)), *([(column, weights.sum(dim=0))] if symmetric else [])]
        losses, pulls, pushes = zip(*(_side(side, scores, factor) for side in sides), strict=True)
        # the gradient of each logit, times the scale: that of each cosine
        share = factor / len(sides)
        push = pushes[0].mul_(share).unsqueeze(1)
        weights.mul_(push + pushes[1].mul_(share) if symmetric else push)
        weights[row, column] = sum(pulls) * -share
        gradient = weights.to(cosines.dtype)
        ctx.save_for_backward(gradient, torch.dot(gradient.flatten(), cosines.flatten()) / factor)
        loss: Tensor = sum(losses) / len(sides)
        return loss.to(cosines.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        by_cosine, by_scale = ctx.saved_tensors
        return gradients[0] * by_cosine, gradients[0] * by_scale, None, None


def _side(side: Side, scores: Tensor, factor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Give one side's loss, the gradient of each positive's score [P] (as a pull), and what its negatives' share of it is.

    The negative of row i and column j has the gradient exponential[i, j] * the third [i].
    """
    group, total = side
    count = len(total)
    against = total.log() + factor
    apart = against[group] - scores
    share = torch.bincount(group, minlength=count).to(total.dtype).reciprocal_()[group].div_(count)
    loss = (functional.softplus(apart) * share).sum()
    pull = torch.sigmoid(apart) * share
    push = torch.zeros_like(total).index_add_(0, group, pull) / total.clamp(min=torch.finfo(total.dtype).tiny)
    return loss, pull, push


def siglip(logits: Tensor, positive: Positives) -> Tensor:
    """Decide for each pair on its own whether it belongs together; the sum over the columns, averaged over the rows.

    Args:
        logits: [b, B], with the bias added.
        positive: the pairs that do.
    """
    # softplus(-x) = softplus(x) - x
    return (functional.softplus(logits).sum() - logits[positive.row, positive.column].sum()) / len(logits)


def symmetric_info_nce(
    text: Tensor, audio: Tensor, all_text: Tensor, all_audio: Tensor, positive: Positives, scale: Tensor
) -> Tensor:
    """Average InfoNCE over text to music and music to text.

    Args:
        text, audio: [b, D] unit vectors, the rows of this process.
        all_text, all_audio: [B, D] unit vectors of all processes.
        positive: the pairs of b x B that belong together.
        scale: 1 / temperature.
    """
    by_text = text @ all_audio.T
    if text is all_text:  # one process: both directions read the same matrix
        return info_nce(by_text, scale, positive, symmetric=True)
    return (info_nce(by_text, scale, positive) + info_nce(audio @ all_text.T, scale, positive)) / 2
