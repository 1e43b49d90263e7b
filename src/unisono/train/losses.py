"""The losses: what makes a caption and its music alike, and unlike the rest of the batch.

A batch holds B pairs; what counts as a right answer is a matrix `positive` [B, B], since a text may describe several of
them and a recording may be there more than once. A positive is never a negative of another one. All functions take
some rows of the batch (b of B, those of one process) against all columns; the mean of the losses of all rows' parts is the
loss of the batch.
"""

import torch
from torch import Tensor
from torch.nn import functional

OUT = -1e4
"""A logit that counts for nothing beside any other; finite, so that a row without negatives has a gradient."""


def positives(texts: Tensor, recordings: Tensor, rows: slice = slice(None)) -> Tensor:
    """Tell which pairs of a batch belong together: the same text, or the same recording.

    Args:
        texts: [B] a number for each distinct text.
        recordings: [B] a number for each recording.
        rows: the rows wanted.

    Returns:
        [b, B] bool.
    """
    same_text = texts[rows].unsqueeze(1) == texts
    return same_text | (recordings[rows].unsqueeze(1) == recordings)


def info_nce(logits: Tensor, positive: Tensor) -> Tensor:
    """Contrast each row's positives with its negatives: the mean of -log softmax(positive among it and the negatives).

    Several positives of a row count equally, each against the negatives alone. With one positive a row this is the
    cross entropy.

    Args:
        logits: [b, B].
        positive: [b, B] bool; at least one a row.
    """
    row, column = positive.nonzero(as_tuple=True)
    against = logits.masked_fill(positive, OUT).logsumexp(dim=1)
    return _mean_over(row, against, logits[row, column])


def _mean_over(group: Tensor, against: Tensor, scores: Tensor) -> Tensor:
    """Average over groups the mean loss of a group's positives.

    Args:
        group: [P] the row (or column) of each positive pair.
        against: [b] the log of the summed exponentials of each row's negatives.
        scores: [P] the pairs' logits.
    """
    each = functional.softplus(against[group] - scores)
    share = torch.bincount(group, minlength=len(against)).to(each.dtype).reciprocal()
    return (each * share[group]).sum() / len(against)


def siglip(logits: Tensor, positive: Tensor) -> Tensor:
    """Decide for each pair on its own whether it belongs together; the sum over the columns, averaged over the rows.

    Args:
        logits: [b, B], with the bias added.
        positive: [b, B] bool.
    """
    return functional.softplus(torch.where(positive, -logits, logits)).sum() / len(logits)


def symmetric_info_nce(
    text: Tensor, audio: Tensor, all_text: Tensor, all_audio: Tensor, positive: Tensor, scale: Tensor
) -> Tensor:
    """Average InfoNCE over text to music and music to text.

    Args:
        text, audio: [b, D] unit vectors, the rows of this process.
        all_text, all_audio: [B, D] unit vectors of all processes.
        positive: [b, B] bool.
        scale: 1 / temperature.
    """
    by_text = (scale * text) @ all_audio.T
    if text is not all_text:
        return (info_nce(by_text, positive) + info_nce((scale * audio) @ all_text.T, positive)) / 2
    # one process: both directions read the same matrix, and it is masked once
    row, column = positive.nonzero(as_tuple=True)
    negatives = by_text.masked_fill(positive, OUT)
    scores = by_text[row, column]
    music_found = _mean_over(row, negatives.logsumexp(dim=1), scores)
    text_found = _mean_over(column, negatives.logsumexp(dim=0), scores)
    return (music_found + text_found) / 2
