"""The audio encoders: one module each, registered by being in this folder, or by an entry point of another package.

Each module holds a docstring that is the model card, `SPEC`, and `build(device, weights) -> AudioEncoder`. Modules import
torch and other large packages inside `build` or below, so that `SPEC` can be read without them. Another package names its
module in the group `unisono.encoders`:

    [project.entry-points."unisono.encoders"]
    my_encoder = "my_package.my_encoder"
"""

import inspect
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol, cast

from unisono.base import entry_points
from unisono.base.arguments import nearest
from unisono.base.entry_points import EntryPointError
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.base.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from unisono.audio.decode import Tail

ENTRY_POINTS = "unisono.encoders"
_OWN = Registry(__name__, "audio encoder")

Layers = Literal["last", "all", "mean"] | tuple[int, ...]
"""Which hidden states an embedding holds: the model's output, all, the mean of all, or some by number (0 is the input of the
first layer, the highest number is the output)."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """The properties of an encoder that are known before its weights are loaded; stored in `embeddings.h5`."""

    name: str
    title: str
    rate_hz: int
    """Sample rate of its input, which is mono."""
    window_s: float
    """Length of its windows; each is exactly `round(window_s * rate_hz)` samples."""
    hop_s: float
    """Distance between the beginnings of windows; the last one is shifted back to end with the excerpt."""
    tail: "Tail" = "shift"
    """What the last window of an excerpt is, if its length is no multiple of the hop; see `WindowCutter`."""
    shortest_s: float = 0.0
    """The least length of a last window that stays short."""
    whole: bool = False
    """Whether an excerpt is brought to zero mean and unit variance as a whole, before it is cut into windows."""
    dim: int
    """Size D of one window's embedding (of one layer, if there are several)."""
    layers: int = 1
    """Number of layers in an embedding; more than one makes it [L, D]."""
    weights_license: str
    noncommercial: bool = False
    source: str = ""
    """Where the weights come from: a repository of the hub, or a package."""
    revision: str = ""
    """Pinned revision of the source, or the sha256 of the weights."""
    size: int = 0
    """Bytes to download; 0 if there is nothing to download."""


class WeightsAbsentError(UnisonoError):
    """The weights of an encoder are not on this machine."""

    def __init__(self, name: str, hint: str, *, where: str = "") -> None:
        super().__init__(f"The weights of {name} are not here{f' (looked in {where})' if where else ''}.", hint=hint)
        self.name = name


class AudioEncoder(Protocol):
    """A built encoder on one device.

    An encoder that reads the windows of an excerpt as a sequence has a method more: `join(rows)`, from what `embed` made of
    all its windows [W, D] to the embedding of the excerpt [D], and those of its windows in their context [W, D].
    """

    spec: EncoderSpec
    """As built: dimension, layers and revision of the loaded weights, which may differ from the module's `SPEC`."""

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, samples] float32 on the encoder's device as [B, D] (or [B, L, D]) float32.

        Row i depends on window i alone, not on its neighbours or on B. Several threads may call this at once, so a built
        encoder keeps no state during a call or from one call to the next.
        """
        ...


class FollowingAudioEncoder(AudioEncoder, Protocol):
    """An audio encoder that goes on from what another one computes of the same windows; both make rows [B, D]."""

    follows: EncoderSpec
    """Of the other one; of the same windows."""

    def embed_after(self, rows: "torch.Tensor", windows: "torch.Tensor") -> "torch.Tensor":
        """Return what `embed` makes of windows, bit for bit, from the other encoder's rows of them."""
        ...


class TunableAudioEncoder(AudioEncoder, Protocol):
    """An audio encoder that is a network in torch: what is needed to train it.

    An encoder that reads the windows of an excerpt as a sequence has a method more: `read(rows)`, from what `forward` made
    of some windows of B excerpts [B, W, D] to their embeddings [B, D]; differentiable.
    """

    network: "torch.nn.Module"
    """Holds all weights, frozen."""

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of the network that an embedding passes, from front to back; nothing else of it is trained."""

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, samples] as `embed` does, all at once; differentiable."""
        ...


def tunable(encoder: AudioEncoder) -> TunableAudioEncoder:
    """Return an encoder as one that can be trained.

    Raises:
        UsageError: it can only embed; the message says what it lacks.
    """
    lacking = [name for name in ("network", "stages", "forward") if not hasattr(encoder, name)]
    if lacking:
        raise UsageError(
            f"The audio encoder {encoder.spec.name} can embed music, but it cannot be tuned: it has no "
            f"{', '.join(lacking)}.",
            hint="Tune another one, such as musicnn or muq, or train without tune_audio (--tune-audio).",
            parameter="tune_audio",
        )
    return cast("TunableAudioEncoder", encoder)


def names() -> list[str]:
    """List the encoders, those of other packages included, in alphabetical order, without importing them."""
    return sorted({*_OWN.names(), *entry_points.names(ENTRY_POINTS)})


def module(name: str) -> ModuleType:
    """Return the module of the encoder of that name.

    Raises:
        UsageError: there is none (the message has the nearest name), or the package that adds it cannot be used.
    """
    if name in _OWN.names():
        return _OWN.module(name)
    if name not in entry_points.names(ENTRY_POINTS):
        raise UsageError(
            f"There is no audio encoder {name!r}.{nearest(name, names())}", hint="Known encoders: " + ", ".join(names())
        )
    found = _of_other_package(name)
    if isinstance(found, EntryPointError):
        raise found
    return found


def usable() -> list[str]:
    """List the encoders that can be used, in alphabetical order; imports the packages that add some."""
    broken = unusable().keys() - _OWN.names()
    return [name for name in names() if name not in broken]


def unusable() -> dict[str, EntryPointError]:
    """Return the encoders of other packages that cannot be used: name -> the reason."""
    found = {name: _of_other_package(name) for name in entry_points.names(ENTRY_POINTS)}
    return {name: error for name, error in found.items() if isinstance(error, EntryPointError)}


def _of_other_package(name: str) -> ModuleType | EntryPointError:
    """Import the module that another package adds as an encoder, and check that it is one."""
    found = entry_points.load_one(ENTRY_POINTS, name)
    if isinstance(found, EntryPointError):
        return found
    its_spec = getattr(found, "SPEC", None)
    if name in _OWN.names():
        problem = "unisono has an encoder of this name"
    elif not isinstance(its_spec, EncoderSpec):
        problem = f"expected a module with SPEC, an EncoderSpec, found {its_spec!r}"
    elif its_spec.name != name:
        problem = f"its SPEC has another name, {its_spec.name!r}"
    elif not callable(getattr(found, "build", None)):
        problem = "it has no function build(device, weights)"
    else:
        module: ModuleType = found
        return module
    return EntryPointError(ENTRY_POINTS, name, entry_points.package_of(ENTRY_POINTS, name), problem)


def spec(name: str) -> EncoderSpec:
    """Return the spec of the encoder of that name."""
    found: EncoderSpec = module(name).SPEC
    return found


def build(name: str, device: str = "cpu", weights: Path | None = None, *, layers: Layers | None = None) -> AudioEncoder:
    """Load an encoder onto a device.

    Args:
        name: one of `names()`.
        device: "cpu", "cuda:0", ...
        weights: folder or file of the weights; None: where `unisono encoders fetch` puts them.
        layers: which hidden states to embed with, for encoders that have several; None: the encoder's default.

    Raises:
        UnisonoError: the weights are absent (the message says how to get them), cut short, or of another model.
        UsageError: the encoder has no layers to choose from, or not that one.
    """
    found = module(name)
    if layers is not None and "layers" not in inspect.signature(found.build).parameters:
        raise UsageError(f"The encoder {name} has one embedding, no layers to choose from.")
    more = {} if layers is None else {"layers": layers}
    try:
        encoder: AudioEncoder = found.build(device, weights, **more)
    except UnisonoError:
        raise
    except Exception as error:  # whatever another package's code does
        if name in _OWN.names():
            raise
        package = entry_points.package_of(ENTRY_POINTS, name)
        raise UnisonoError(
            f"The encoder {name} of the package {package} cannot be built: {type(error).__name__}: {error}."
        ) from error
    if hasattr(found, "WEIGHTS"):
        _test_once(encoder, name, device, note=weights is None)
    _warn_once_of_noncommercial(encoder.spec)
    return encoder


def _test_once(encoder: AudioEncoder, name: str, device: str, *, note: bool) -> None:
    """Refuse weights that hear nothing, unless they passed before.

    Raises:
        DataError: a sine sweep and silence have the same embedding.
    """
    from unisono.embeddings.encoders import self_test

    spec = encoder.spec
    if note and self_test.has_passed(name, "audio", spec.revision):
        return
    self_test.check_audio(on_arrays(encoder, device), name, rate_hz=spec.rate_hz, window_s=spec.window_s)
    if note:
        self_test.note_passed(name, "audio", spec.revision)


def on_arrays(encoder: AudioEncoder, device: str) -> "Callable[[NDArray[np.float32]], NDArray[np.float32]]":
    """Return `encoder.embed` for windows in numpy."""
    import torch

    def embed(windows: "NDArray[np.float32]") -> "NDArray[np.float32]":
        found: NDArray[np.float32] = encoder.embed(torch.from_numpy(windows).to(device)).float().cpu().numpy()
        return found

    return embed


_warned: set[str] = set()


def _warn_once_of_noncommercial(spec: EncoderSpec) -> None:
    if spec.noncommercial and spec.name not in _warned:
        _warned.add(spec.name)
        log.warning(
            "%s: its weights are %s, NOT for commercial use; the same holds for embeddings and models made with them.",
            spec.title,
            spec.weights_license,
        )
