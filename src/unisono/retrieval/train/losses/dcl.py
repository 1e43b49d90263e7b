"""Decoupled contrastive loss: InfoNCE whose denominator holds the negatives only.

A pair that the model already tells apart keeps its gradient, which small batches profit from. MuQ-MuLan was trained with it.
Source: Yeh et al. 2022 (arXiv 2110.06848), without its weights of the positives; extended to several positives a row.
"""

import math

from torch import Tensor

from unisono.retrieval.positives import Positives
from unisono.retrieval.train.losses import EmbeddedBatch

INITIAL_BIAS = None


def loss(batch: EmbeddedBatch, scale: Tensor, bias: Tensor) -> Tensor:
    """Return the mean of both directions; the bias is not used."""
    by_text = decoupled(batch.text @ batch.all_audio.T, scale, batch.positive)
    by_audio = decoupled(batch.audio @ batch.all_text.T, scale, batch.positive)
    return (by_text + by_audio) / 2


def decoupled(cosines: Tensor, scale: Tensor, positive: Positives) -> Tensor:
    """Return the mean over the rows of log sum exp(negatives) - a positive.

    The positives of a row count equally. The loss of a row without negatives is 0.

    Args:
        cosines: [b, B].
        scale: 1 / temperature; a single number.
        positive: at least one a row.
    """
    logits, mask = scale * cosines, positive.mask(cosines)
    contrasted = (~mask).any(dim=1, keepdim=True)
    negatives = logits.masked_fill(mask & contrasted, -math.inf).logsumexp(dim=1, keepdim=True)
    of_pair = (negatives - logits) * (mask & contrasted)
    return (of_pair.sum(dim=1) / mask.sum(dim=1)).mean()
