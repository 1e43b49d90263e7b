"""Terms that may be added to any loss. Each is of the rows of one process; the mean over all is that of the batch."""

import torch
from torch import Tensor
from torch.nn import functional

from unisono.retrieval.positives import Positives
from unisono.retrieval.train import distributed
from unisono.retrieval.train.losses import infonce


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


def maxsim(tokens: Tensor, there: Tensor, windows: Tensor) -> Tensor:
    """Return the mean over the tokens of a text of the cosine with the window that fits each best: [b, B].

    Source: late interaction, Khattab and Zaharia 2020 (arXiv 2004.12832); of captions and frames of music, arXiv 2606.06615.

    Args:
        tokens: [b, T, D] unit vectors.
        there: [b, T], 1 for the tokens of a text and 0 for its padding.
        windows: [B, W, D] unit vectors.
    """
    best = torch.einsum("itd,jwd->ijtw", tokens, windows).amax(dim=3)
    return torch.einsum("ijt,it->ij", best, there / there.sum(dim=1, keepdim=True))


def maxsim_term(tokens: Tensor, there: Tensor, windows: Tensor, positive: Positives, scale: Tensor) -> Tensor:
    """Return symmetric InfoNCE of the MaxSim of texts and music, of the b rows of this process.

    Args:
        tokens: [b, T, D] unit vectors; T is the same in all processes.
        there: [b, T], 1 for the tokens of a text and 0 for its padding.
        windows: [b, W, D] unit vectors.
        positive: of b x B.
        scale: 1 / temperature.
    """
    all_tokens, all_there, all_windows = (distributed.gather(each) for each in (tokens, there, windows))
    by_text = infonce.info_nce(maxsim(tokens, there, all_windows), scale, positive)
    by_music = infonce.info_nce(maxsim(all_tokens, all_there, windows).T, scale, positive)
    return (by_text + by_music) / 2
