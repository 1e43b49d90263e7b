"""The text encoders, behind one small protocol.

A module holds a docstring that is the model card, `SPEC`, and `build(device, weights) -> TextEncoder`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TextEncoderSpec:
    """What is known of a text encoder before its weights are loaded; recorded in checkpoints."""

    name: str
    title: str
    dim: int
    max_tokens: int
    weights_license: str
    source: str
    revision: str
    """Pinned revision of the source, or the sha256 of the weights."""
    instruction: str = ""
    """What is put before each caption, where the model wants to be told its task."""


class TextEncoder(Protocol):
    """A built text encoder on one device, frozen."""

    spec: TextEncoderSpec

    def embed(self, captions: list[str]) -> NDArray[np.float32]:
        """Embed captions as [n, D]; row i depends on caption i alone, not on its neighbours nor on their lengths."""
        ...
