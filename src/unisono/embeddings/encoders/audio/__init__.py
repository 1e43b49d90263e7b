"""The audio encoders: one module each, registered by being in this folder.

Each module holds a docstring that is the model card, `SPEC`, and `build(device, weights) -> AudioEncoder`. Modules import
torch and friends inside `build` or below, so that `SPEC` can be read without them.
"""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log

if TYPE_CHECKING:
    import torch


Layers = Literal["last", "all"] | tuple[int, ...]
"""Which hidden states an embedding holds: the model's output, all of them, or some by number (0 is the first layer's
input, the highest is the output)."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """What is known of an encoder before its weights are loaded; recorded in `embeddings.h5`."""

    name: str
    title: str
    rate_hz: int
    """Sample rate of the audio it wants, mono."""
    window_s: float
    """Length of the windows it is given; every window is exactly `round(window_s * rate_hz)` samples."""
    hop_s: float
    """Distance of the windows' beginnings; the last one is shifted back to end with the excerpt."""
    dim: int
    """Size D of one window's embedding (of one layer, if there are several)."""
    layers: int = 1
    """How many layers an embedding holds; more than one makes it [L, D]."""
    weights_license: str
    noncommercial: bool = False
    source: str = ""
    """Where the weights come from: a hub repository, or a package."""
    revision: str = ""
    """Pinned revision of the source, or the sha256 of the weights."""
    size: int = 0
    """Bytes to download; 0 for none."""


class WeightsAbsentError(UnisonoError):
    """The weights of an encoder are not on this machine."""

    def __init__(self, name: str, hint: str, *, where: str = "") -> None:
        super().__init__(f"The weights of {name} are not here{f' (looked in {where})' if where else ''}.", hint=hint)
        self.name = name


class AudioEncoder(Protocol):
    """A built encoder on one device."""

    spec: EncoderSpec
    """As built: dimension, layers and revision of the weights at hand, which may differ from the module's `SPEC`."""

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, samples] float32 on the encoder's device as [B, D] (or [B, L, D]) float32.

        Row i depends on window i alone, not on its neighbours nor on B. Several threads may call this at once, so a
        built encoder keeps no state from or during a call.
        """
        ...


def names() -> list[str]:
    """List the encoders, in alphabetical order, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def module(name: str) -> ModuleType:
    """Give the module of the encoder of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in names():
        raise UsageError(f"There is no audio encoder {name!r}.", hint="Known encoders: " + ", ".join(names()))
    return importlib.import_module(f"{__name__}.{name}")


def spec(name: str) -> EncoderSpec:
    """Give the spec of the encoder of that name."""
    found: EncoderSpec = module(name).SPEC
    return found


def build(name: str, device: str = "cpu", weights: Path | None = None, *, layers: Layers | None = None) -> AudioEncoder:
    """Load an encoder onto a device.

    Args:
        name: one of `names()`.
        device: "cpu", "cuda:0", ...
        weights: folder or file of the weights; None takes them from where `unisono encoders fetch` puts them.
        layers: which hidden states to embed with, for the encoders that have several; None: the encoder's default.

    Raises:
        UnisonoError: the weights are not here (the message says how to get them), cut short, or of another model.
        UsageError: the encoder has no layers to choose from, or not that one.
    """
    found = module(name)
    if layers is None:
        encoder: AudioEncoder = found.build(device, weights)
    elif "layers" in inspect.signature(found.build).parameters:
        encoder = found.build(device, weights, layers=layers)
    else:
        raise UsageError(f"The encoder {name} has one embedding, no layers to choose from.")
    _warn_once_of_noncommercial(encoder.spec)
    return encoder


_warned: set[str] = set()


def _warn_once_of_noncommercial(spec: EncoderSpec) -> None:
    if spec.noncommercial and spec.name not in _warned:
        _warned.add(spec.name)
        log.warning(
            "%s: its weights are %s, NOT for commercial use; the same goes for what is made with them.",
            spec.title,
            spec.weights_license,
        )
