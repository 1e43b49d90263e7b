"""InfoNCE and SIGReg, which spreads the embeddings of each side evenly over the sphere.

SIGReg compares the projections x of the embeddings on random directions with a standard normal distribution, by the
statistic of Epps and Pulley (1983): the integral over t of |mean(exp(i t x)) - exp(-t^2 / 2)|^2 exp(-t^2 / 2), times the
number of embeddings. Here the embeddings are unit vectors of D dimensions, times sqrt(D): if they are spread evenly over the
sphere, their projections are nearly normal.

Source: Balestriero and LeCun 2025 (arXiv 2511.08544), with its weight, its number of directions and its points of t.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from unisono.retrieval.train.losses import EmbeddedBatch, infonce

INITIAL_BIAS = None
WEIGHT = 0.05
DIRECTIONS = 256
POINTS, WIDEST = 17, 5.0


def loss(batch: EmbeddedBatch, scale: Tensor, bias: Tensor) -> Tensor:
    """Return the weighted mean of InfoNCE and of SIGReg of both sides; the bias is not used."""
    directions = draw_directions(batch.text.shape[1], batch.seed).to(batch.text)
    spread = (sigreg(batch.all_text, directions) + sigreg(batch.all_audio, directions)) / 2
    return (1 - WEIGHT) * infonce.loss(batch, scale, bias) + WEIGHT * spread


def draw_directions(dim: int, seed: int) -> Tensor:
    """Draw random unit vectors [dim, DIRECTIONS]; the same on all devices."""
    drawn = torch.randn(dim, DIRECTIONS, generator=torch.Generator().manual_seed(seed % 2**63))
    return functional.normalize(drawn, dim=0)


def sigreg(vectors: Tensor, directions: Tensor) -> Tensor:
    """Return the mean over the directions [D, K] of the statistic of unit vectors [B, D]."""
    count, dim = vectors.shape
    points = torch.linspace(-WIDEST, WIDEST, POINTS, dtype=vectors.dtype, device=vectors.device)
    normal = (-0.5 * points**2).exp()
    angles = (math.sqrt(dim) * vectors @ directions).unsqueeze(-1) * points
    apart = (angles.cos().mean(dim=0) - normal) ** 2 + angles.sin().mean(dim=0) ** 2
    return count * torch.trapezoid(apart * normal, points, dim=-1).mean()
