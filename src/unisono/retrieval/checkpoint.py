"""Checkpoints: one file without any code, with all that search, evaluation and resuming the training need.

A checkpoint is read with `torch.load(weights_only=True)`, which refuses pickles that would run code. It is a zip archive;
the checksums of its parts are compared first, and then every part is checked (`checkpoint_content.py`).
"""

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, as_path
from unisono.base.errors import DataError, UsageError
from unisono.base.files import write_whole
from unisono.base.seeded import rank_key
from unisono.embeddings.encoders.tensor_archive import read_archive
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.encoders.tuned import TunedWeights, untuned
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval.checkpoint_content import ContentError, check_content
from unisono.retrieval.heads import Architecture

KIND = "unisono checkpoint"
FORMAT = 1
_DIGESTS = ("digests", "val_digests")


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a model was trained on. Names are 64-bit digests: leaks are found without storing the names."""

    ids_sha256: str
    """SHA-256 of the ids of the train split, in order."""
    excerpts: int
    captions: int
    datasets: dict[str, int]
    """Dataset -> number of excerpts."""
    licenses: dict[str, int]
    """Licence -> number of excerpts."""
    origins: dict[str, int]
    """Origin of captions -> number of captions."""
    digests: dict[str, NDArray[np.int64]] = field(repr=False)
    """id, recording, artist_id, caption -> sorted digests of the distinct values."""
    val_digests: dict[str, NDArray[np.int64]] = field(repr=False, default_factory=dict)
    """The same of the val split, which selected the best epoch; empty in checkpoints of earlier versions."""

    def seen(self, what: str, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each name whether it was in the train split; an empty name never was.

        Args:
            what: "id", "recording", "artist_id" or "caption".
            names: n names.
        """
        return _among(names, self.digests[what])

    def seen_in_val(self, what: str, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each name whether it was in the val split, as far as is known."""
        return _among(names, self.val_digests.get(what, np.empty(0, np.int64)))


def _among(names: Sequence[str], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    named = np.array([name != "" for name in names], dtype=bool)
    found: NDArray[np.bool_] = named & np.isin(digests(names), known)
    return found


def digests(names: Iterable[str]) -> NDArray[np.int64]:
    """Return a 64-bit digest of each name [n]; case and surrounding white space are ignored."""
    return np.fromiter((rank_key(0, name.strip().lower()) for name in names), np.uint64).view(np.int64)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The content of a checkpoint file."""

    options: dict[str, Any]
    """The options of the training."""
    audio_encoder: EncoderRecord
    """What made the audio embeddings that the model was trained on."""
    text_encoder: TextEncoderSpec
    architecture: Architecture
    trained_on: TrainedOn
    weights: dict[str, torch.Tensor]
    adapter: dict[str, torch.Tensor] = field(default_factory=dict)
    """The weights of the LoRA adapters of the text encoder, if it was tuned."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    """The state of the training: epoch, step, best, history, ..."""
    music: dict[str, torch.Tensor] = field(default_factory=dict)
    """What tells music that is unlike the train split (`doubts.py`); empty in checkpoints of earlier versions."""
    tower: TunedWeights | None = None
    """What was trained of the audio encoder, if it was tuned; `audio_encoder` is then the tuned one."""
    start: dict[str, torch.Tensor] = field(default_factory=dict)
    """The weights that a training with `keep_near` started with."""

    @property
    def embeddings_of(self) -> EncoderRecord:
        """What made the embeddings that the training began with: the encoder before it was tuned."""
        return untuned(self.audio_encoder) if self.tower else self.audio_encoder

    @property
    def metrics(self) -> dict[str, Any]:
        """The validation metrics of the last finished epoch; empty before the first."""
        history = self.progress.get("history") or [{}]
        found: dict[str, Any] = history[-1]
        return found


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all. The same content makes the same bytes.

    Raises:
        UnisonoError: it cannot be written; an earlier file of that name is unchanged.
    """
    trained_on = vars(checkpoint.trained_on) | dict.fromkeys(_DIGESTS)
    content: dict[str, Any] = {
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
    for part in ("music", "start"):
        if found := getattr(checkpoint, part):
            content[part] = found
    if checkpoint.tower:
        content["tower"] = checkpoint.tower.content()
    content = _canonical(content)
    for each in _DIGESTS:  # a gigabyte for a hundred million captions, which is not copied
        digests_of: dict[str, NDArray[np.int64]] = getattr(checkpoint.trained_on, each)
        content["trained_on"][each] = {
            sys.intern(what): torch.from_numpy(np.require(found, requirements=["C", "W"]))
            for what, found in digests_of.items()
        }
    buffer = io.BytesIO()  # torch.save hides errors of the operating system
    torch.save(content, buffer)
    write_whole(path, buffer.getbuffer())


def _canonical(value: Any) -> Any:
    """Rebuild nested values so that equal values are pickled to equal bytes, whatever strings they share."""
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
        DataError: it is damaged, holds something else, or would run code when read.
    """
    _refuse_missing(path)
    return _loaded(path, device)[0]


@dataclass(frozen=True)
class CheckedCheckpoint:
    """What `verify` found: the file is whole, and each part is what it must be."""

    path: Path
    parts: int
    """Files in the archive whose checksums were compared."""
    size_bytes: int

    def __repr__(self) -> str:
        return f"{self.path} is whole: {self.size_bytes:,} bytes in {self.parts:,} parts, all of them as they were written."


def verify(path: AnyPath) -> CheckedCheckpoint:
    """Read a checkpoint, compare its checksums, and check its content.

    Raises:
        UsageError: there is no such file.
        DataError: it is damaged, holds something else, or would run code when read.
    """
    path = as_path(path)
    _refuse_missing(path)
    _, parts = _loaded(path, "cpu")
    return CheckedCheckpoint(path, parts, path.stat().st_size)


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"There is no checkpoint {path}.", hint="Train one with: unisono train")


def _loaded(path: Path, device: str) -> tuple[Checkpoint, int]:
    content, parts = read_archive(path, device)
    if not isinstance(content, Mapping) or content.get("kind") != KIND:
        raise DataError(f"{path} is not a checkpoint of unisono.", hint="Train one with: unisono train")
    if content.get("format") != FORMAT:
        raise DataError(f"{path}: expected a checkpoint of format {FORMAT}, found {content.get('format')!r}.")
    try:
        check_content(content)
    except ContentError as error:
        raise DataError(
            f"{path}: a part of the checkpoint is missing or wrong: {error}.",
            hint="Use another one, or train a new one: unisono train",
        ) from error
    trained_on = dict(content["trained_on"])
    for each in ("digests", "val_digests"):
        trained_on[each] = {what: found.cpu().numpy() for what, found in trained_on.get(each, {}).items()}
    loaded = Checkpoint(
        options=content["options"],
        audio_encoder=EncoderRecord(**content["audio_encoder"]),
        text_encoder=TextEncoderSpec(**content["text_encoder"]),
        architecture=Architecture(**content["architecture"]),
        trained_on=TrainedOn(**trained_on),
        weights=content["weights"],
        adapter=content["adapter"],
        optimizer=content["optimizer"],
        progress=content["progress"],
        music=content.get("music", {}),
        start=content.get("start", {}),
        tower=TunedWeights(**content["tower"]) if "tower" in content else None,
    )
    return loaded, parts
