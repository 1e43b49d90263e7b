"""SigLIP: each pair is classified on its own as belonging together or not. Source: Zhai et al. 2023."""

from torch import Tensor
from torch.nn import functional

from unisono.retrieval.train.losses import EmbeddedBatch

INITIAL_BIAS = -10.0
"""As published: most pairs are negatives."""


def loss(batch: EmbeddedBatch, scale: Tensor, bias: Tensor) -> Tensor:
    """Return the loss of all pairs, summed over the columns and averaged over the rows."""
    logits = (scale * batch.text) @ batch.all_audio.T + bias
    positive = logits[batch.positive.row, batch.positive.column]
    return (functional.softplus(logits).sum() - positive.sum()) / len(logits)  # softplus(-x) = softplus(x) - x
