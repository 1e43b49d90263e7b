"""Tuning the text encoder with it: LoRA adapters, small matrices beside the frozen ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from unisono.base.errors import UnisonoError, UsageError
from unisono.embeddings.encoders.text import tunable

TARGETS = "all-linear"
UNUSED = r".*pooler.*"
"""What BERT models carry along and no sentence embedding reads."""


def add_adapters(encoder: Any, rank: int, dropout: float) -> list[nn.Parameter]:
    """Put adapters beside all linear layers of a text encoder, and give their parameters.

    Args:
        encoder: a built text encoder of this package.
        rank: of the adapters.
        dropout: of their inputs, in training.

    Raises:
        UnisonoError: the peft library is not installed.
        UsageError: the encoder is not a transformer that can be tuned.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UnisonoError("--lora needs the peft library.", hint="pip install 'unisono[lora]'") from error
    backbone = tunable(encoder).backbone
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=dropout, target_modules=TARGETS, exclude_modules=UNUSED
    )
    inject_adapter_in_model(config, backbone)
    for parameter in adapters(encoder):
        parameter.data = parameter.data.float()
    return adapters(encoder)


def adapters(encoder: Any) -> list[nn.Parameter]:
    """List the parameters of the adapters."""
    return [parameter for name, parameter in encoder.named_parameters() if "lora_" in name]


def adapter_state(encoder: Any) -> dict[str, Tensor]:
    """Give the adapters' weights by name."""
    return {name: tensor for name, tensor in encoder.state_dict().items() if "lora_" in name}


def load_adapters(encoder: Any, state: dict[str, Tensor], rank: int, dropout: float) -> list[nn.Parameter]:
    """Add adapters with these weights, and give their parameters.

    Raises:
        UsageError: they are of another encoder.
    """
    parameters = add_adapters(encoder, rank, dropout)
    if adapter_state(encoder).keys() != state.keys():
        raise UsageError(f"The checkpoint's adapters do not fit the text encoder {encoder.spec.name}.")
    encoder.load_state_dict(state, strict=False)
    return parameters


class TunedTexts:
    """Captions that go through the text encoder at each step, because it is tuned."""

    def __init__(self, encoder: Any, captions: list[str]) -> None:
        self.encoder = encoder
        distinct = {caption: place for place, caption in enumerate(dict.fromkeys(captions))}
        self._tokens = encoder.tokens(list(distinct))
        self._place = np.array([distinct[caption] for caption in captions], dtype=np.int64)

    def __call__(self, captions: NDArray[np.int64]) -> Tensor:
        """Return the text embeddings [b, T] of the captions at these places."""
        embeddings: Tensor = self.encoder([self._tokens[place] for place in self._place[captions]])
        return embeddings

    def parameters(self) -> list[nn.Parameter]:
        """List what is trained in it."""
        return adapters(self.encoder)

    def state(self) -> dict[str, Tensor]:
        """Give the weights of what is trained in it."""
        return adapter_state(self.encoder)

    def train(self, mode: bool) -> None:
        """Switch the dropout of the adapters on or off; the encoder itself stays as it is used."""
        for name, module in self.encoder.named_modules():
            if "lora_dropout" in name:
                module.train(mode)
