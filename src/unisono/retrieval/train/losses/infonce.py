"""Symmetric InfoNCE: each text against the batch's music, and each piece of music against the batch's texts.

Source: van den Oord et al. 2018 (InfoNCE), Radford et al. 2021 (CLIP, symmetric), extended to several positives a row.
"""

import math

from torch import Tensor
from torch.nn import functional

from unisono.retrieval import fast_cpu
from unisono.retrieval.positives import Positives
from unisono.retrieval.train.losses import EmbeddedBatch

INITIAL_BIAS = None


def loss(batch: EmbeddedBatch, scale: Tensor, bias: Tensor) -> Tensor:
    """Return the mean of both directions; the bias is not used."""
    one_direction = fast_cpu.info_nce if batch.text.device.type == "cpu" else info_nce
    by_text = batch.text @ batch.all_audio.T
    if batch.text is batch.all_text:  # one process: both directions read the same matrix
        return one_direction(by_text, scale, batch.positive, symmetric=True)
    by_audio = batch.audio @ batch.all_text.T
    return (one_direction(by_text, scale, batch.positive) + one_direction(by_audio, scale, batch.positive)) / 2


def info_nce(cosines: Tensor, scale: Tensor, positive: Positives, *, symmetric: bool = False) -> Tensor:
    """Return the mean over the rows of -log softmax(a positive among itself and the row's negatives).

    The positives of a row count equally, each against the negatives only. With one positive a row this is the cross
    entropy of the logits scale * cosines. The loss of a row without negatives is 0.

    Args:
        cosines: [b, B].
        scale: 1 / temperature; a single number.
        positive: at least one a row (and, if symmetric, a column).
        symmetric: average this with the same over the columns.
    """
    if symmetric:
        flipped = Positives(positive.column, positive.row)
        return (info_nce(cosines, scale, positive) + info_nce(cosines.T, scale, flipped)) / 2
    logits, mask = scale * cosines, positive.mask(cosines)
    negatives = logits.masked_fill(mask, -math.inf).logsumexp(dim=1, keepdim=True)
    of_pair = functional.softplus(negatives - logits) * mask
    return (of_pair.sum(dim=1) / mask.sum(dim=1)).mean()
