"""The text encoders, behind one small protocol; a module each, registered by being in this folder.

A module holds a docstring that is the model card, `SPECS` (one entry a size of the model), and
`build(spec, device, weights) -> TextEncoder`. Modules import torch and friends inside `build` or below, so that the
specs can be read without them. A name with a slash is no module's: it is taken for a sentence-transformers model of the
hub, or a folder that holds one.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UsageError

DEFAULT = "minilm"


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


def names() -> list[str]:
    """List the names of the known text encoders, in alphabetical order."""
    return sorted(_registry())


def spec(name: str) -> TextEncoderSpec:
    """Give the spec of the encoder of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    registry = _registry()
    if name not in registry:
        raise UsageError(
            f"There is no text encoder {name!r}.",
            hint=f"Known: {', '.join(sorted(registry))}, or any sentence-transformers model as <owner>/<model>.",
        )
    return registry[name][0]


def module(name: str) -> ModuleType:
    """Give the module of the encoder of that name."""
    spec(name)
    return _registry()[name][1]


def build(name: str, device: str = "cpu", weights: Path | None = None) -> TextEncoder:
    """Load a text encoder onto a device.

    Args:
        name: one of `names()`, or `<owner>/<model>` of the hub, or the path of a sentence-transformers folder.
        device: "cpu", "cuda:0", ...
        weights: folder of the weights; None takes them from the package or the hub's cache.

    Raises:
        UsageError: there is no encoder of that name.
        UnisonoError: the weights are not here (the message says how to get them), or are not the expected ones.
    """
    if "/" in name:
        from unisono.embeddings.encoders.text._sentence_transformers import build as build_any

        return build_any(name, device)
    found = spec(name)
    encoder: TextEncoder = _registry()[name][1].build(found, device, weights)
    return encoder


def _registry() -> dict[str, tuple[TextEncoderSpec, ModuleType]]:
    modules = (
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    )
    return {found.name: (found, module) for module in modules for found in module.SPECS}
