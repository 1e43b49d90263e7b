"""What makes a training step faster on a CPU: the same computations as their references, in fewer passes over memory.

| here         | reference                           |
|--------------|-------------------------------------|
| `info_nce`   | `train/losses/infonce.py: info_nce` |
| `normalize`  | `torch.nn.functional.normalize`     |
| `Dropout`    | `torch.nn.Dropout`                  |

The tests compare each with its reference. On other devices the references are used. `benchmarks/train.py` measures a
step with and without this module.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisono.retrieval.positives import Positives

WIDE_FROM = 40.0
"""Scale from which exp(-2 scale), the smallest exponential, may underflow in float32 (at about exp(-87))."""
SHORTEST = 1e-12
"""Vectors are divided by at least this length."""
DRAWS = 4
"""16-bit numbers in one 64-bit draw."""

Side = tuple[Tensor, Tensor]
"""The rows (or columns) of the positives [P]; the sums [b] of the negatives' exponentials in each row (or column)."""


def info_nce(cosines: Tensor, scale: Tensor, positive: Positives, *, symmetric: bool = False) -> Tensor:
    """Compute InfoNCE as its reference does, and its gradient in the same pass, from the same exponentials."""
    apply = cast("Callable[..., Tensor]", _InfoNCE.apply)
    return apply(cosines, scale, positive, symmetric)


class _InfoNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cosines: Tensor, scale: Tensor, positive: Positives, symmetric: bool) -> Tensor:
        factor = float(scale)
        wide = cosines.double() if factor > WIDE_FROM else cosines
        row, column = positive.row, positive.column
        scores = factor * wide[row, column]
        # exp(scale * cosine - scale): scale is the largest possible logit
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
    """Return the loss of one direction, minus the gradient of each positive's score [P], and a factor [b].

    The gradient of the negative in row i and column j is exponential[i, j] * factor[i].
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


def normalize(vectors: Tensor) -> Tensor:
    """Scale vectors [B, D] to length 1; the gradient takes three passes over them instead of ten."""
    if vectors.device.type != "cpu":
        return functional.normalize(vectors, dim=-1)
    apply = cast("Callable[[Tensor], Tensor]", _Normalize.apply)
    return apply(vectors)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_(min=SHORTEST)
        scaled: Tensor = vectors / length
        ctx.save_for_backward(scaled, length)
        return scaled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        scaled, length = ctx.saved_tensors
        (gradient,) = gradients
        along = torch.linalg.vecdot(gradient, scaled).unsqueeze(-1)
        across: Tensor = torch.addcmul(gradient, scaled, along, value=-1).div_(length)
        return across


class Dropout(nn.Dropout):
    """Dropout whose random numbers take a tenth of the time: four 16-bit numbers from each 64-bit draw."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Zero each input with probability `p`, rounded to a multiple of 1/65536, and scale the others up."""
        if not self.training or not self.p or inputs.device.type != "cpu":
            return super().forward(inputs)
        draws = torch.empty(-(-inputs.numel() // DRAWS), dtype=torch.int64, device=inputs.device)
        numbers = draws.random_(-(2**63), None).view(torch.int16)[: inputs.numel()].view(inputs.shape)
        kept: Tensor = (numbers >= round(self.p * 2**16) - 2**15).to(inputs.dtype)
        return inputs * kept.mul_(1 / (1 - self.p))
