"""Terms that may be added to any loss. Each is of the rows of one process; the mean over all is that of the batch."""

from torch import Tensor
from torch.nn import functional


def false_captions_term(text: Tensor, audio: Tensor, false: Tensor, there: Tensor, scale: Tensor) -> Tensor:
    """Return the mean over the rows of -log softmax(the caption among itself and its false caption), for the row's music.

    A false caption is contrasted with its own music only: it may be true of other music of the batch.

    Args:
        text: [b, D] unit vectors of the captions.
        audio: [b, D], of the music.
        false: [b, D], of the false captions.
        there: [b] bool, whether there is one; the loss of a row without is 0.
        scale: 1 / temperature.
    """
    apart = scale * ((false - text) * audio).sum(dim=1)
    return (functional.softplus(apart) * there).mean()
