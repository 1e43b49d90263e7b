"""A trained model: it embeds text and music into one space, and searches music by description."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.errors import DataError, UsageError
from unisono.base.log import log
from unisono.embeddings.embed_files import embed_files
from unisono.embeddings.encoders import text as text_encoders
from unisono.embeddings.encoders import text_store, tuned
from unisono.embeddings.encoders.exported_files import WEIGHTS
from unisono.embeddings.encoders.text import TextEncoder
from unisono.embeddings.encoders.weights import refuse_untrained
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, SplitRows
from unisono.retrieval import doubts
from unisono.retrieval.checkpoint import Checkpoint, TrainedOn, load
from unisono.retrieval.device import local_device
from unisono.retrieval.heads import ProjectionHeads
from unisono.retrieval.lora import load_adapters
from unisono.retrieval.model_base import Floats, JointModel, Rows
from unisono.tracks.workspace import Workspace

BLOCK = 8192
"""Rows projected at a time."""


class Model(JointModel):
    """A trained model, ready to compare descriptions with music.

    Attributes:
        checkpoint: the content of the checkpoint.
        heads: the projection heads.
        device: where the heads and the text encoder run.
        path: the checkpoint's file, if it was read from one.
    """

    must_agree = ("weights", "revision", "rate_hz", "window_s", "hop_s", "pooling", "dim", "layers", "hidden_states")

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", path: Path | None = None) -> None:
        """Build the model of a checkpoint.

        Raises:
            DataError: the weights do not fit the architecture, or the model was trained on useless embeddings.
        """
        refuse_untrained(checkpoint.audio_encoder.name, checkpoint.audio_encoder.revision, str(path or "The model"))
        heads = ProjectionHeads(checkpoint.architecture)
        try:
            heads.load_state_dict(checkpoint.weights)
        except RuntimeError as error:
            raise DataError(f"The weights of the checkpoint do not fit its architecture: {error}.") from error
        self.checkpoint = checkpoint
        self.heads = heads.to(device).eval()
        self.device = device
        self.path = path
        if checkpoint.tower and path:
            tuned.remember(checkpoint.audio_encoder.revision, path / WEIGHTS if path.is_dir() else path)

    def __repr__(self) -> str:
        of = self.checkpoint
        data = of.trained_on
        lines = [
            f"Model: {self.audio_encoder.name} + {of.text_encoder.name}, {self.dim} dimensions",
            f"trained on {data.excerpts:,} excerpts with {data.captions:,} captions",
        ]
        if self.path:
            lines.append(f"checkpoint {self.path}")
        return "\n  ".join(lines)

    @property
    def label(self) -> str:
        """Path of the checkpoint, or empty."""
        return str(self.path or "")

    @property
    def audio_encoder(self) -> EncoderRecord:
        """What makes the audio embeddings that the model reads."""
        return self.checkpoint.audio_encoder

    @property
    def trained_on(self) -> TrainedOn:
        """What the model was trained on."""
        return self.checkpoint.trained_on

    @property
    def dim(self) -> int:
        """Size D of the common space."""
        return self.checkpoint.architecture.dim

    @property
    def history(self) -> list[dict[str, Any]]:
        """Loss and validation metrics of each epoch up to the one that the weights are from."""
        return list(self.checkpoint.progress.get("history", []))

    @property
    def data(self) -> Path | None:
        """Path of the embeddings that the model was trained on, as recorded, the first of several; None if none is."""
        return next(iter(recorded_data(self.checkpoint)), None)

    @cached_property
    def text_encoder(self) -> TextEncoder:
        """The text encoder, with its adapters if it was tuned; loaded when first needed."""
        trained_with = self.checkpoint.text_encoder
        encoder = text_encoders.build(trained_with.name, self.device, may_fetch=False)
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

    @checked
    def embed_text(self, texts: str | Sequence[str], *, cached: bool = False) -> Floats:
        """Embed one or n descriptions, in the languages that the text encoder reads, as [n, D] unit vectors."""
        asked = [texts] if isinstance(texts, str) else list(texts)
        if cached and not self.checkpoint.adapter:
            table = text_store.embed(asked, self.checkpoint.text_encoder, lambda: self.text_encoder)
            embeddings = table.rows(np.arange(len(asked)))
        else:
            embeddings = self.text_encoder.embed(asked)
        return self._in_blocks(self.heads.embed_text, embeddings)

    def embed_tokens(self, text: str) -> Floats:
        """Embed the tokens of a description as [t, D] unit vectors, if the model was trained to compare them."""
        if not self.checkpoint.architecture.token_head:
            return super().embed_tokens(text)
        (tokens,) = text_encoders.with_tokens(self.text_encoder).embed_tokens([text])
        return self._in_blocks(self.heads.embed_tokens, tokens)

    @checked
    def embed_audio(self, paths: AnyPath | Sequence[AnyPath]) -> Floats:
        """Embed audio files as [n, D] unit vectors.

        Args:
            paths: n audio files, or a single one.

        Raises:
            DataError: a file cannot be decoded.
        """
        return self.project_audio(embed_files(paths, self.audio_encoder, self.device))

    def project_audio(self, embeddings: NDArray[np.floating], of: Rows | None = None) -> Floats:
        """Map audio embeddings [N, A] (or [N, L, A]), as stored in `embeddings.h5`, to [N, D] unit vectors."""
        sizes = self.checkpoint.architecture
        expected = (sizes.audio_dim,) if sizes.layers == 1 else (sizes.layers, sizes.audio_dim)
        if embeddings.shape[1:] != expected:
            raise DataError(
                f"The model reads {self.audio_encoder.name} embeddings of shape {expected}, found {embeddings.shape[1:]}.",
                hint="Use embeddings that were prepared with the same encoder and pooling as those of the training.",
            )
        return self._in_blocks(self.heads.embed_audio, embeddings)

    def made_like(self, name: str) -> EncoderRecord:
        """Return what made the embeddings that the model was trained on."""
        return self.audio_encoder

    def warn_of(self, file: EmbeddingsFile, rows: SplitRows) -> None:
        """Log if much of the music is unlike the music of the training."""
        if said := doubts.of_music(self.checkpoint.music, rows.embeddings[self.audio_encoder.name]):
            log.warning("%s: %s", file.path, said)

    def default_data(self) -> Path:
        """Return the data that the model was trained on.

        Raises:
            UsageError: it is not there.
        """
        if self.data is None or not self.data.exists():
            raise UsageError(
                f"The data that the model was trained on ({self.data or 'not recorded'}) is not there.",
                hint="Name the embeddings.h5 to search in, or its folder.",
            )
        return self.data

    def _in_blocks(self, project: Callable[[Tensor], Tensor], embeddings: NDArray[np.floating]) -> Floats:
        found = np.empty((len(embeddings), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(embeddings), BLOCK):
                block = torch.from_numpy(np.asarray(embeddings[start : start + BLOCK], dtype=np.float32))
                found[start : start + BLOCK] = project(block.to(self.device)).cpu().numpy()
        return found


def recorded_data(checkpoint: Checkpoint) -> list[Path]:
    """Return the paths of the embeddings that a checkpoint was trained on, as far as they are recorded."""
    options = checkpoint.options
    if folders := options.get("data_dir"):
        return [Path(folder) for folder in ([folders] if isinstance(folders, str) else folders)]
    return [Workspace(Path(options["data_root"])).embeddings] if options.get("data_root") else []


@checked
def load_model(path: AnyPath, device: str = "cpu") -> Model:
    """Load a trained model from a checkpoint, or from the folder of an export.

    Args:
        path: the checkpoint, or the folder.
        device: where the model runs: auto, cpu, cuda, cuda:1, ...

    Raises:
        UsageError: there is no such file.
        DataError: it is truncated, holds something else, or would run code when read.
    """
    place = str(local_device(device))
    if as_path(path).is_dir():
        from unisono.retrieval.exported import read_folder

        return Model(read_folder(as_path(path)), place, as_path(path))
    return Model(load(as_path(path), place), place, as_path(path))
