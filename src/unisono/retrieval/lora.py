"""Tune the text encoder with LoRA adapters."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from unisono.base.errors import UsageError
from unisono.embeddings.encoders import adapters as lora
from unisono.embeddings.encoders.text import TextEncoder, tunable

TARGETS = "all-linear"
UNUSED = r".*pooler.*"
"""Layers of BERT models that no sentence embedding uses."""


def add_adapters(encoder: TextEncoder, rank: int, dropout: float) -> list[nn.Parameter]:
    """Add adapters to all linear layers of a text encoder, and return their parameters.

    Raises:
        MissingExtraError: the peft library is not installed.
        UsageError: the encoder cannot be tuned.
    """
    lora.add(tunable(encoder).backbone, rank, dropout, to=TARGETS, unused=UNUSED)
    return adapters(encoder)


def adapters(encoder: TextEncoder) -> list[nn.Parameter]:
    """Return the parameters of the adapters."""
    return lora.parameters(_module(encoder))


def load_adapters(encoder: TextEncoder, state: dict[str, Tensor], rank: int, dropout: float) -> list[nn.Parameter]:
    """Add adapters with these weights, and return their parameters.

    Raises:
        UsageError: they are of another encoder.
    """
    parameters = add_adapters(encoder, rank, dropout)
    if lora.state(_module(encoder)).keys() != state.keys():
        raise UsageError(f"The adapters of the checkpoint do not fit the text encoder {encoder.spec.name}.")
    _module(encoder).load_state_dict(state, strict=False)
    return parameters


def _module(encoder: TextEncoder) -> nn.Module:
    module = tunable(encoder)
    assert isinstance(module, nn.Module)
    return module


class TunedTexts:
    """Captions that go through the text encoder at each step, since it is tuned."""

    def __init__(self, encoder: TextEncoder, captions: Sequence[str]) -> None:
        self.encoder = encoder
        self._module = _module(encoder)
        distinct = {caption: place for place, caption in enumerate(dict.fromkeys(captions))}
        self._tokens = tunable(encoder).tokens(list(distinct))
        self._place = np.array([distinct[caption] for caption in captions], dtype=np.int64)

    def __call__(self, captions: NDArray[np.int64]) -> Tensor:
        """Return the text embeddings [b, T] of the captions at these places."""
        embeddings: Tensor = self._module([self._tokens[place] for place in self._place[captions]])
        return embeddings

    def parameters(self) -> list[nn.Parameter]:
        """Return what is trained in it."""
        return adapters(self.encoder)

    def state(self) -> dict[str, Tensor]:
        """Return the weights of what is trained in it."""
        return lora.state(self._module)

    def train(self, mode: bool) -> None:
        """Switch the dropout of the adapters on or off; the encoder itself has none."""
        lora.switch_dropout(self._module, mode)
