"""The text encoders: one module each, registered by being in this folder.

A module holds a docstring that is the model card, `SPECS` (an entry for each size of the model), and
`build(spec, device, weights) -> TextEncoder`. Modules import torch and other large packages inside `build` or below, so
that the specs can be read without them. A name with a slash names no module, but a sentence-transformers model of the hub,
or a folder that holds one.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.base.registry import Registry

if TYPE_CHECKING:
    import torch


_MODULES = Registry(__name__, "text encoder")


@dataclass(frozen=True, kw_only=True)
class TextEncoderSpec:
    """The properties of a text encoder that are known before its weights are loaded; stored in checkpoints."""

    name: str
    title: str
    dim: int
    max_tokens: int
    weights_license: str
    source: str
    revision: str
    """Pinned revision of the source, or the sha256 of the weights."""
    instruction: str = ""
    """Text put before each caption, for models that expect a description of the task."""


class TextEncoder(Protocol):
    """A built text encoder on one device, frozen: what is needed to embed."""

    spec: TextEncoderSpec

    def embed(self, captions: list[str]) -> NDArray[np.float32]:
        """Embed captions as [n, D]; row i depends on caption i alone, not on its neighbours or their lengths."""
        ...


class TokenEncoder(TextEncoder, Protocol):
    """A text encoder that has a vector for each token of a caption as well."""

    def embed_tokens(self, captions: list[str]) -> list[NDArray[np.float32]]:
        """Embed the tokens of each caption as [t, D] unit vectors, which depend on that caption alone."""
        ...


class TunableTextEncoder(TextEncoder, Protocol):
    """A text encoder that is a network in torch: what is needed to tune it with adapters.

    It is a `torch.nn.Module` as well.
    """

    @property
    def backbone(self) -> Any:
        """The network (a `torch.nn.Module`), to which adapters are added."""

    def tokens(self, captions: list[str]) -> list[list[int]]:
        """Cut captions into token ids, with the instruction before them."""
        ...

    def forward(self, tokens: list[list[int]]) -> "torch.Tensor":
        """Embed token lists of any lengths as [n, D] unit vectors; differentiable."""
        ...


class ExportableTextEncoder(TunableTextEncoder, Protocol):
    """A transformer whose captions may be padded: what is needed to export it."""

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of the transformers library."""

    def padded(self, tokens: list[list[int]]) -> "tuple[torch.Tensor, torch.Tensor]":
        """Pad token lists to one length: ids [n, T] and mask [n, T]."""
        ...

    def pooled(self, input_ids: "torch.Tensor", attention_mask: "torch.Tensor") -> "torch.Tensor":
        """Embed padded tokens [n, T] as [n, D] unit vectors; differentiable."""
        ...


def tunable(encoder: TextEncoder) -> TunableTextEncoder:
    """Return the encoder as one that can be tuned.

    Raises:
        UsageError: it can only embed; the message says what it lacks.
    """
    hint = f"Use one of these: {', '.join(names())}."
    _refuse_without(encoder, ("backbone", "tokens", "forward"), "tuned", hint)
    return cast("TunableTextEncoder", encoder)


def exportable(encoder: TextEncoder) -> ExportableTextEncoder:
    """Return the encoder as one that can be exported.

    Raises:
        UsageError: it can only embed; the message says what it lacks.
    """
    needed = ("backbone", "tokens", "forward", "tokenizer", "padded", "pooled")
    _refuse_without(encoder, needed, "exported as ONNX", "Leave it out: --no-onnx (onnx=False).")
    return cast("ExportableTextEncoder", encoder)


def _refuse_without(encoder: TextEncoder, needed: tuple[str, ...], work: str, hint: str) -> None:
    import torch

    lacking = [name for name in needed if not hasattr(encoder, name)]
    if lacking or not isinstance(encoder, torch.nn.Module):
        raise UsageError(
            f"The text encoder {encoder.spec.name} can embed captions, but it cannot be {work}: "
            + (f"it has no {', '.join(lacking)}." if lacking else "it is not a torch.nn.Module."),
            hint=hint,
        )


def with_tokens(encoder: TextEncoder) -> TokenEncoder:
    """Return the encoder as one that has a vector for each token.

    Raises:
        UsageError: it has one for a whole caption only.
    """
    if not hasattr(encoder, "embed_tokens"):
        raise UsageError(
            f"The text encoder {encoder.spec.name} gives one vector for a whole caption, and none for each of its tokens.",
            hint="Use one that does, such as minilm, e5-base or qwen3-0.6b.",
            parameter="text_encoder",
        )
    return cast("TokenEncoder", encoder)


def names() -> list[str]:
    """List the names of the known text encoders, in alphabetical order."""
    return sorted(_registry())


def spec(name: str) -> TextEncoderSpec:
    """Return the spec of the encoder of that name.

    Raises:
        UsageError: there is none; the message has the nearest name.
    """
    registry = _registry()
    if name not in registry:
        raise UsageError(
            f"There is no text encoder {name!r}.{nearest(name, registry)}",
            hint=f"Known: {', '.join(sorted(registry))}, or any sentence-transformers model as <owner>/<model>.",
        )
    return registry[name][0]


def module(name: str) -> ModuleType:
    """Return the module of the encoder of that name."""
    spec(name)
    return _registry()[name][1]


def build(name: str, device: str = "cpu", weights: Path | None = None, *, may_fetch: bool = True) -> TextEncoder:
    """Load a text encoder onto a device.

    Args:
        name: one of `names()`, or `<owner>/<model>` of the hub, or the path of a sentence-transformers folder.
        device: "cpu", "cuda:0", ...
        weights: folder of the weights; None: from the package or the hub's cache.
        may_fetch: fetch weights that are not on this machine. False where the name is not the user's own choice, but
            that of a checkpoint.

    Raises:
        UsageError: there is no encoder of that name.
        UnisonoError: the weights are absent (the message says how to get them), or are not the expected ones.
    """
    if "/" in name:
        from unisono.embeddings.encoders.text._sentence_transformers import build as build_any

        return build_any(name, device, may_fetch=may_fetch)
    found = spec(name)
    if weights is None and not may_fetch:
        from unisono.embeddings.encoders.text._files import is_here

        if not is_here(name):
            raise _not_here(found.source, name)
    encoder: TextEncoder = _registry()[name][1].build(found, device, weights)
    return encoder


def _not_here(repository: str, name: str) -> UsageError:
    """Return the error for weights that nobody has asked to fetch."""
    return UsageError(
        f"The text encoder {name} is not on this machine, and nobody asked to fetch it: it is {repository} "
        "on the Hugging Face Hub, as the model names it.",
        hint=f"If you trust that repository, fetch it, and run the same command again: unisono encoders fetch {name}",
    )


@cache
def _registry() -> dict[str, tuple[TextEncoderSpec, ModuleType]]:
    modules = (_MODULES.module(name) for name in _MODULES.names())
    return {found.name: (found, module) for module in modules for found in module.SPECS}
