"""Audio encoders that were tuned: what is trained of a network, and the tuned encoder that a checkpoint holds.

A tuned encoder keeps the name of the one that it was made from. Its revision names both: that of the published weights, and
a hash of those that were trained. So embeddings say which encoder made them, and those of another are refused.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from unisono.base.errors import DataError
from unisono.embeddings.encoders import adapters, audio, exported_files
from unisono.embeddings.encoders.audio import AudioEncoder, Layers, TunableAudioEncoder, tunable
from unisono.embeddings.structure import EncoderRecord

if TYPE_CHECKING:
    from torch import Tensor, nn

Tuning = Literal["lora", "full"]
SUFFIXES = (".pt", exported_files.WEIGHTS)
"""Of the files of checkpoints and exports; a name of an encoder that ends like this is the path of one."""
MARK = "+tuned:"
"""What divides a tuned encoder's revision into that of the published weights and the hash of the trained ones."""


@dataclass(frozen=True)
class TunedWeights:
    """What a training changed of an audio encoder."""

    kind: Tuning
    rank: int
    """Of the adapters, with "lora"."""
    base: str
    """Revision of the encoder that was tuned."""
    tensors: "dict[str, Tensor]"

    def revision(self) -> str:
        """Return the revision of the tuned encoder."""
        digest = hashlib.sha256(f"{self.kind} {self.rank}".encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().data)
        return f"{self.base}{MARK}{digest.hexdigest()[:32]}"

    def content(self) -> dict[str, Any]:
        """Return what a checkpoint stores of it."""
        return {"kind": self.kind, "rank": self.rank, "base": self.base, "tensors": self.tensors}


def check_content(found: Any) -> None:
    """Check the part of a checkpoint that `TunedWeights.content` made, except its tensors.

    Raises:
        ValueError: says what is wrong.
    """
    if not isinstance(found, Mapping) or set(found) != {"kind", "rank", "base", "tensors"}:
        raise ValueError("a part is missing or unknown")
    if found["kind"] not in ("lora", "full") or not isinstance(found["base"], str):
        raise ValueError(f"kind is {found['kind']!r}, base is {found['base']!r}")
    if not isinstance(found["rank"], int) or not 0 < found["rank"] < 1 << 20:
        raise ValueError(f"rank is {found['rank']!r}")
    if not isinstance(found["tensors"], dict) or not found["tensors"]:
        raise ValueError("it has no tensors")


class TunedFile(NamedTuple):
    """A checkpoint that holds a tuned encoder."""

    path: str
    revision: str


class TunedTower:
    """An audio encoder, part of which is trained."""

    def __init__(
        self, encoder: AudioEncoder, kind: Tuning, *, rank: int = 8, dropout: float = 0.0, frozen: int = 0
    ) -> None:
        """Add adapters, or let the weights themselves be trained.

        Batch normalisation keeps its statistics, and dropout of the network's own stays off.

        Args:
            encoder: a built one, frozen; it is changed in place.
            kind: what is trained.
            rank: of adapters.
            dropout: of the inputs of adapters, in training.
            frozen: how many stages at the front are not trained.

        Raises:
            UsageError: the encoder cannot be tuned.
            MissingExtraError: the peft library is not installed.
        """
        self.encoder: TunableAudioEncoder = tunable(encoder)
        self.kind = kind
        self.rank = rank
        self.base = encoder.spec.revision
        self.network = self.encoder.network
        first = min(frozen, len(self.encoder.stages))
        if kind == "lora":
            adapters.add(self.network, rank, dropout, to=_layers_to_adapt(self.network, self.encoder.stages[first:]))
        for stage in self.encoder.stages[first:]:  # which adapters may have replaced
            for name, parameter in stage.named_parameters():
                parameter.requires_grad_(kind == "full" or adapters.MARK in name)
        self.stages: list[list[nn.Parameter]] = [
            [parameter for parameter in stage.parameters() if parameter.requires_grad] for stage in self.encoder.stages
        ]
        """What is trained of each stage, from front to back."""

    def embed(self, windows: "Tensor") -> "Tensor":
        """Embed W windows of each of b excerpts [b, W, samples] as [b, L, A]; differentiable."""
        rows = self._rows(windows)
        found: Tensor = self.encoder.read(rows) if self.reads_sequences else rows.mean(dim=1)  # type: ignore[attr-defined]
        return found if found.ndim == 3 else found.unsqueeze(1)

    def embed_each(self, windows: "Tensor") -> "Tensor":
        """Embed W windows of each of b excerpts [b, W, samples] as [b, W, L, A]: `embed` is their mean; differentiable."""
        rows = self._rows(windows)
        return rows if rows.ndim == 4 else rows.unsqueeze(2)

    def _rows(self, windows: "Tensor") -> "Tensor":
        rows = self.encoder.forward(windows.flatten(0, 1)).float()
        return rows.reshape(*windows.shape[:2], *rows.shape[1:])

    @property
    def reads_sequences(self) -> bool:
        """Whether an excerpt is embedded by a network of its own over its windows, and not as their mean."""
        return hasattr(self.encoder, "read")

    def state(self) -> "dict[str, Tensor]":
        """Return the weights of what is trained, by name."""
        trained = {id(parameter) for stage in self.stages for parameter in stage}
        return {name: each for name, each in self.network.named_parameters() if id(each) in trained}

    def weights(self) -> TunedWeights:
        """Return a copy of what was trained."""
        tensors = {name: each.detach().cpu().clone() for name, each in self.state().items()}
        return TunedWeights(self.kind, self.rank, self.base, tensors)

    def load(self, weights: TunedWeights) -> None:
        """Set the weights of what is trained.

        Raises:
            DataError: they are of another encoder, or of another version of it.
        """
        _refuse_misfit(self.encoder, weights, self.state(), exactly=True)
        self.network.load_state_dict(weights.tensors, strict=False)

    def train(self, mode: bool) -> None:
        """Switch the dropout of the adapters on or off."""
        adapters.switch_dropout(self.network, mode)

    def keep_few_activations(self) -> None:
        """Compute what each stage computes again in the backward pass instead of keeping it in memory."""
        for stage in self.encoder.stages:
            stage.forward = partial(_computed_again, stage.forward)


def _computed_again(forward: "Callable[..., Any]", *given: Any, **named: Any) -> Any:
    import torch
    from torch.utils.checkpoint import checkpoint

    if not torch.is_grad_enabled():
        return forward(*given, **named)
    return checkpoint(forward, *given, use_reentrant=False, **named)


def _layers_to_adapt(network: "nn.Module", stages: "list[nn.Module]") -> list[str]:
    """List the linear layers of some stages by name, and the convolutions where these hold most of the weights."""
    from torch import nn

    inside = {id(module) for stage in stages for module in stage.modules()}
    sizes: dict[str, dict[str, int]] = {"linear": {}, "convolution": {}}
    for name, module in network.named_modules():
        if id(module) in inside and not hasattr(module, "parametrizations"):
            if type(module) is nn.Linear:
                sizes["linear"][name] = module.weight.numel()
            elif isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.groups == 1:
                sizes["convolution"][name] = module.weight.numel()
    linear, convolutions = sizes["linear"], sizes["convolution"]
    return [*linear] if sum(linear.values()) > sum(convolutions.values()) else [*linear, *convolutions]


def _refuse_misfit(
    encoder: AudioEncoder, weights: TunedWeights, own: "Mapping[str, Tensor]", *, exactly: bool = False
) -> None:
    name, base = encoder.spec.name, encoder.spec.revision
    if weights.base != base:
        raise DataError(
            f"The checkpoint's {name} was tuned from the weights {weights.base}; those here are {base}.",
            hint="Fetch those that it was tuned from, or train a new model.",
        )
    differ = weights.tensors.keys() ^ own.keys() if exactly else weights.tensors.keys() - own.keys()
    found = sorted(differ) or [each for each, tensor in weights.tensors.items() if tensor.shape != own[each].shape]
    if found:
        raise DataError(f"The tuned weights of the checkpoint do not fit the encoder {name}: {found[0]}.")


def is_path(name: str) -> bool:
    """Return whether the name of an encoder is the path of a checkpoint or an export's weights that hold a tuned one."""
    return name.endswith(SUFFIXES)


def read(path: Path) -> tuple[EncoderRecord, TunedWeights]:
    """Read the tuned encoder of a checkpoint or an export: the record of the embeddings that it makes, and its weights.

    Raises:
        DataError: the file is damaged, or holds no tuned encoder.
    """
    from unisono.embeddings.encoders.tensor_archive import read_archive

    if path.name == exported_files.WEIGHTS:
        content = exported_files.tower_in(*exported_files.read_files(path.parent))
    else:
        content, _ = read_archive(path)
        content = content if isinstance(content, Mapping) else {}
    try:
        record = msgspec.convert(content.get("audio_encoder"), EncoderRecord)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a checkpoint of unisono.", hint="Train one with: unisono train") from error
    if "tower" not in content:
        raise DataError(
            f"{path} holds no audio encoder: only heads were trained.",
            hint=f"Prepare its music with the encoder that it reads: --encoders {record.name}",
        )
    try:
        check_content(content["tower"])
    except ValueError as error:
        raise DataError(f"{path}: a part of the checkpoint is wrong: tower: {error}.") from error
    weights = TunedWeights(**content["tower"])
    if weights.revision() != record.revision:
        raise DataError(f"{path}: its tuned encoder is not the one of revision {record.revision}: it was altered.")
    return record, weights


def build(path: Path, device: str = "cpu", *, layers: Layers | None = None) -> AudioEncoder:
    """Build the tuned encoder of a checkpoint.

    Args:
        path: of the checkpoint.
        device: "cpu", "cuda:0", ...
        layers: as in `audio.build`; those that it was tuned with.

    Raises:
        DataError: the checkpoint is damaged or holds none, or the weights here are not those that were tuned.
        UnisonoError: the weights that were tuned are not here.
    """
    record, weights = read(path)
    return with_weights(audio.build(record.name, device, layers=layers), weights)


def with_weights(encoder: AudioEncoder, weights: TunedWeights) -> AudioEncoder:
    """Put tuned weights into an encoder, which only embeds from then on, and name them in its spec.

    Raises:
        DataError: they are of another encoder, or of another version of it.
    """
    network = tunable(encoder).network
    if weights.kind == "lora":
        _refuse_misfit(encoder, replace(weights, tensors={}), {})
        layers = {name.partition(f".{adapters.MARK}")[0] for name in weights.tensors}
        unknown = sorted(layers - {name for name, _ in network.named_modules()})
        if unknown:
            raise DataError(
                f"The adapters of the checkpoint do not fit the encoder {encoder.spec.name}: it has no {unknown[0]}."
            )
        adapters.add(network, weights.rank, 0.0, to=sorted(layers))
    _refuse_misfit(encoder, weights, network.state_dict())
    network.load_state_dict(weights.tensors, strict=False)
    adapters.merge(network)
    network.requires_grad_(False).eval()
    encoder.spec = replace(encoder.spec, revision=weights.revision())
    return encoder


_PATHS: dict[str, Path] = {}


def remember(revision: str, path: Path) -> None:
    """Note which checkpoint holds the tuned encoder of a revision, for those who only have a record of it."""
    _PATHS[revision] = path


def file_of(record: EncoderRecord) -> TunedFile | None:
    """Return the checkpoint that holds the encoder of a record; None if it was not tuned.

    Raises:
        DataError: it was tuned, and no checkpoint that holds it was loaded.
    """
    if MARK not in record.revision:
        return None
    if record.revision not in _PATHS:
        raise DataError(
            f"The encoder {record.name} was tuned (revision {record.revision}), and no checkpoint that holds it was loaded.",
            hint="Use the checkpoint that the training wrote.",
        )
    return TunedFile(str(_PATHS[record.revision]), record.revision)


def name_of(record: EncoderRecord) -> str:
    """Return what `prepare --encoders` must be called with for embeddings like those of a record."""
    return str(_PATHS.get(record.revision, record.name))


def untuned(record: EncoderRecord) -> EncoderRecord:
    """Return the record of the encoder that was tuned."""
    return replace(record, revision=record.revision.partition(MARK)[0])


def tuned(record: EncoderRecord, weights: TunedWeights) -> EncoderRecord:
    """Return the record of a tuned encoder."""
    return replace(untuned(record), revision=weights.revision())
