"""Checkpoints: everything that search, evaluation and going on with the training need, in one file without any code.

A checkpoint is read with `torch.load(weights_only=True)`, which refuses pickles that would run something.
"""

import io
import pickle
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from unisono.base.errors import DataError, UsageError
from unisono.base.files import write_whole
from unisono.base.seeded import rank_key
from unisono.embeddings.encoders import text as text_encoders
from unisono.embeddings.encoders import text_store
from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval.lora import load_adapters
from unisono.retrieval.model import Architecture, RetrievalModel

KIND = "unisono checkpoint"
FORMAT = 1
BLOCK = 8192
"""Rows embedded at a time."""


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a model has seen in training: names as 64-bit digests, so that a leak is found without storing the names."""

    ids_sha256: str
    """Of the ids of the training split, in order."""
    excerpts: int
    captions: int
    datasets: dict[str, int]
    """Dataset -> excerpts."""
    licenses: dict[str, int]
    """Licence -> excerpts."""
    origins: dict[str, int]
    """Caption origin -> captions."""
    digests: dict[str, NDArray[np.int64]] = field(repr=False)
    """id, recording, artist_id, caption -> sorted digests of the distinct names."""
    val_digests: dict[str, NDArray[np.int64]] = field(repr=False, default_factory=dict)
    """The same of the val split, by which the best checkpoint was chosen; empty where an earlier version trained."""

    def seen(self, what: str, names: Sequence[str]) -> NDArray[np.bool_]:
        """Tell for each name whether it was in the training split; an empty name never was.

        Args:
            what: "id", "recording", "artist_id" or "caption".
            names: n names.
        """
        return _among(names, self.digests[what])

    def seen_in_val(self, what: str, names: Sequence[str]) -> NDArray[np.bool_]:
        """Tell for each name whether it was in the val split, as far as is known."""
        return _among(names, self.val_digests.get(what, np.empty(0, np.int64)))


def _among(names: Sequence[str], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    named = np.array([name != "" for name in names], dtype=bool)
    found: NDArray[np.bool_] = named & np.isin(digests(names), known)
    return found


def digests(names: Sequence[str]) -> NDArray[np.int64]:
    """Give a 64-bit digest of each name, without regard to case or to blanks at the ends."""
    return np.array([rank_key(0, name.strip().lower()) for name in names], dtype=np.uint64).view(np.int64)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The content of a checkpoint file."""

    options: dict[str, Any]
    """The training options, as recorded."""
    audio_encoder: EncoderRecord
    """What made the audio embeddings that the model reads."""
    text_encoder: TextEncoderSpec
    architecture: Architecture
    trained_on: TrainedOn
    weights: dict[str, torch.Tensor]
    adapter: dict[str, torch.Tensor] = field(default_factory=dict)
    """The weights of the text encoder's LoRA adapter, if it was tuned."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    """epoch, step, best, history, ...: where the training stands."""

    @property
    def metrics(self) -> dict[str, Any]:
        """The validation metrics of the epoch that the weights are of; empty before the first."""
        history = self.progress.get("history") or [{}]
        found: dict[str, Any] = history[-1]
        return found


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all; the same content gives the same bytes.

    Raises:
        UnisonoError: it cannot be written; an earlier file of that name stays as it was.
    """
    trained_on = asdict(checkpoint.trained_on)
    for each in ("digests", "val_digests"):
        trained_on[each] = {what: torch.from_numpy(found) for what, found in trained_on[each].items()}
    content = {
        "kind": KIND,
        "format": FORMAT,
        "options": checkpoint.options,
        "audio_encoder": asdict(checkpoint.audio_encoder),
        "text_encoder": asdict(checkpoint.text_encoder),
        "architecture": checkpoint.architecture.record(),
        "trained_on": trained_on,
        "weights": checkpoint.weights,
        "adapter": checkpoint.adapter,
        "optimizer": checkpoint.optimizer,
        "progress": checkpoint.progress,
    }
    buffer = io.BytesIO()  # torch.save turns the operating system's errors into others
    torch.save(_canonical(content), buffer)
    write_whole(path, buffer.getvalue())


def _canonical(value: Any) -> Any:
    """Rebuild nested values so that equal ones are pickled to equal bytes, wherever their strings came from."""
    if isinstance(value, dict):
        return {_canonical(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    return sys.intern(value) if isinstance(value, str) else value


def load(path: Path, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UsageError: there is no such file.
        DataError: it is cut short, holds something else, or would run code when read.
    """
    if not path.is_file():
        raise UsageError(f"There is no checkpoint {path}.", hint="Train one with: unisono train")
    content = _read(path, device)
    if not isinstance(content, Mapping) or content.get("kind") != KIND:
        raise DataError(f"{path} is not a checkpoint of unisono.", hint="Train one with: unisono train")
    if content.get("format") != FORMAT:
        raise DataError(f"{path}: expected a checkpoint of format {FORMAT}, found {content.get('format')!r}.")
    try:
        trained_on = dict(content["trained_on"])
        for each in ("digests", "val_digests"):
            trained_on[each] = {what: found.cpu().numpy() for what, found in trained_on.get(each, {}).items()}
        return Checkpoint(
            options=content["options"],
            audio_encoder=EncoderRecord(**content["audio_encoder"]),
            text_encoder=TextEncoderSpec(**content["text_encoder"]),
            architecture=Architecture(**content["architecture"]),
            trained_on=TrainedOn(**trained_on),
            weights=content["weights"],
            adapter=content["adapter"],
            optimizer=content["optimizer"],
            progress=content["progress"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is a checkpoint with a part missing or unknown: {error}.") from error


def _read(path: Path, device: str) -> Any:
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"{path} is cut short or is not a checkpoint.", hint="Use another one, or train anew with: unisono train"
        )
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds Python objects that would run code when read; it was not loaded.",
            hint="Only use checkpoints that `unisono train` wrote.",
        ) from error
    except (RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


class Model:
    """A trained model, ready to compare descriptions with music."""

    def __init__(self, checkpoint: Checkpoint, heads: RetrievalModel, device: str) -> None:
        self.checkpoint = checkpoint
        self.heads = heads.eval()
        self.device = device

    @property
    def audio_encoder(self) -> EncoderRecord:
        """What must have made the audio embeddings."""
        return self.checkpoint.audio_encoder

    @property
    def trained_on(self) -> TrainedOn:
        """What the model saw in training."""
        return self.checkpoint.trained_on

    @property
    def dim(self) -> int:
        """Size D of the common space."""
        return self.checkpoint.architecture.dim

    @cached_property
    def text_encoder(self) -> TextEncoder:
        """The text encoder, with its adapters if it was tuned; loaded when first needed."""
        trained_with = self.checkpoint.text_encoder
        encoder = text_encoders.build(trained_with.name, self.device)
        for what in ("revision", "instruction", "dim"):
            wanted, here = getattr(trained_with, what), getattr(encoder.spec, what)
            if wanted != here:
                raise DataError(
                    f"The model was trained with the text encoder {trained_with.name} of {what} {wanted!r}; "
                    f"the one here has {here!r}."
                )
        if self.checkpoint.adapter:
            load_adapters(encoder, self.checkpoint.adapter, int(self.checkpoint.options["lora_rank"]), dropout=0.0)
        return encoder

    @torch.inference_mode()
    def embed_text(self, captions: list[str], *, cached: bool = False) -> NDArray[np.float32]:
        """Embed descriptions as [n, D] unit vectors in the space where audio is searched.

        Args:
            captions: n descriptions, in the languages that the text encoder reads.
            cached: keep the text encoder's results on disk and use those that are there, unless it was tuned.
        """
        if cached and not self.checkpoint.adapter:
            table = text_store.embed(captions, self.checkpoint.text_encoder, lambda: self.text_encoder)
            embeddings = table.rows(np.arange(len(captions)))
        else:
            embeddings = self.text_encoder.embed(captions)
        return self._in_blocks(self.heads.embed_text, embeddings)

    @torch.inference_mode()
    def project_audio(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """Bring audio embeddings [N, A] (or [N, L, A]), as stored in `embeddings.h5`, to [N, D] unit vectors.

        Raises:
            DataError: the embeddings have another shape than those the model was trained on.
        """
        of = self.checkpoint.architecture
        expected = (of.audio_dim,) if of.layers == 1 else (of.layers, of.audio_dim)
        if embeddings.shape[1:] != expected:
            raise DataError(
                f"The model reads {self.audio_encoder.name} embeddings of shape {expected}, got {embeddings.shape[1:]}.",
                hint="Use embeddings prepared with the same encoder and pooling as those of the training.",
            )
        return self._in_blocks(self.heads.embed_audio, embeddings)

    def _in_blocks(self, embed: Any, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        found = np.empty((len(embeddings), self.dim), dtype=np.float32)
        for start in range(0, len(embeddings), BLOCK):
            block = torch.from_numpy(np.asarray(embeddings[start : start + BLOCK], dtype=np.float32))
            found[start : start + BLOCK] = embed(block.to(self.device)).cpu().numpy()
        return found

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: str = "cpu") -> Self:
        """Build the model of a checkpoint."""
        heads = RetrievalModel(checkpoint.architecture)
        try:
            heads.load_state_dict(checkpoint.weights)
        except RuntimeError as error:
            raise DataError(f"The checkpoint's weights do not fit its description: {error}.") from error
        return cls(checkpoint, heads.to(device), device)


def load_model(path: Path, device: str = "cpu") -> Model:
    """Load a trained model from a checkpoint.

    Raises:
        UsageError: there is no such file.
        DataError: it is cut short, holds something else, or would run code when read.
    """
    return Model.of(load(path, device), device)
