"""The losses. A module each, registered by being in this folder: `loss(batch, scale, bias)` and `INITIAL_BIAS`.

A batch holds B pairs of a text and music. A text may describe several of them, and a recording may be there more than
once; so the right answers are a list of positives, and a positive is never a negative of another one.

A loss may also draw at random, from the seed of the batch alone.

A loss takes the b rows of one process against the columns of all processes. The mean over the processes is the loss of
the whole batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unisono.base.registry import Registry

if TYPE_CHECKING:  # torch is slow to load, and the options of `unisono train` are checked here
    from torch import Tensor

    from unisono.retrieval.positives import Positives


@dataclass(frozen=True)
class EmbeddedBatch:
    """A batch in the common space, as one process sees it; all vectors have length 1."""

    text: "Tensor"
    """[b, D], of this process."""
    audio: "Tensor"
    """[b, D], of this process."""
    all_text: "Tensor"
    """[B, D], of all processes; `text` itself if there is only one."""
    all_audio: "Tensor"
    """[B, D], of all processes; `audio` itself if there is only one."""
    positive: "Positives"
    """Of b x B; the same for text against music and for music against text."""
    seed: int = 0
    """Of what is random in the loss; the same in all processes."""


@dataclass(frozen=True)
class Loss:
    """One entry of the registry."""

    name: str
    compute: "Callable[[EmbeddedBatch, Tensor, Tensor], Tensor]"
    """The loss of this process's rows, given 1 / temperature and the bias."""
    initial_bias: float | None
    """The bias at the beginning of training, if the loss has one to learn."""


_LOSSES = Registry(__name__, "loss", parameter="loss")
names = _LOSSES.names


def get(name: str) -> Loss:
    """Return the loss of that name.

    Raises:
        UsageError: there is none; the message says which there are.
    """
    module = _LOSSES.module(name)
    return Loss(name, module.loss, module.INITIAL_BIAS)
