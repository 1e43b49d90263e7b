"""The models that find music without having been trained here, and one protocol for them and for trained checkpoints.

A model is one module, registered by being in this folder: a docstring that is the model card, `SPEC`, `is_here()`, and
`build(device) -> JointModel`. Modules import torch and other large packages inside `build` or below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.registry import Registry
from unisono.embeddings.encoders.text import TextEncoder
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, SplitRows
from unisono.retrieval.collection import Collection, Hits, IndexedTrack, Windows
from unisono.tracks.track import Split

if TYPE_CHECKING:
    from unisono.retrieval.checkpoint import TrainedOn

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is known of a model before it is loaded."""

    name: str
    title: str
    languages: str
    """The languages of the descriptions that it understands."""
    license: str
    """Licence of the weights."""
    noncommercial: bool = False
    encoders: tuple[str, ...]
    """The audio encoders whose embeddings it reads, the preferred one first."""
    size: int = 0
    """Bytes to download from the hub; 0 if there is nothing to download there."""
    install: str = ""
    """Command that brings its weights."""
    verified: str
    """Whether it was loaded with its real weights, and what was checked with them."""


class JointModel(Protocol):
    """Descriptions and music in one space: what search and evaluation need of a model.

    A trained checkpoint (`retrieval.model.Model`) is one as well.
    """

    compares_tracks: bool
    """Whether the vector of a track depends on the others."""
    is_padded: bool
    """Whether the last number of a vector of music only makes all equally long: see `Collection.likeness_scale`."""
    explain: Callable[[Floats, Floats], dict[str, float]] | None
    """From a query [D] and a vector [D] to what speaks for it (`Hit.why`), if the model can say."""

    @property
    def label(self) -> str:
        """Name of the model, or path of the checkpoint."""

    @property
    def audio_encoder(self) -> EncoderRecord:
        """The audio embeddings that the model reads best: those that are prepared for a benchmark."""

    @property
    def text_encoder(self) -> TextEncoder:
        """The text encoder, loaded when first needed."""

    @property
    def trained_on(self) -> "TrainedOn | None":
        """What the model was trained on; None if that is not recorded."""

    def reads(self, file: EmbeddingsFile) -> str:
        """Return the name of the encoder in the file whose embeddings the model reads.

        Raises:
            UsageError: the file holds none that it can read; the message says how to make them.
        """
        ...

    def embed_tokens(self, text: str) -> Floats:
        """Embed the tokens of a description as [t, D] unit vectors, to be compared with windows of music one by one.

        Raises:
            UsageError: the model compares whole descriptions only.
        """
        ...

    def project_audio(self, embeddings: NDArray[np.floating], of: NDArray[np.int64] | None = None) -> Floats:
        """Map audio embeddings [W, A] (or [W, L, A]), as stored in `embeddings.h5`, to [W, D] unit vectors.

        Args:
            embeddings: of tracks, or of their windows.
            of: [W], the track of each row, ascending; None: each row is a track. Matters to models that compare the
                tracks with each other.

        Raises:
            DataError: they are of another shape than those that the model reads.
        """
        ...

    def project_rows(self, file: EmbeddingsFile, rows: SplitRows) -> Floats:
        """Map the audio embeddings of rows of a file to [N, D] unit vectors, one for each track.

        Raises:
            DataError: they were made in another way than those that the model reads, or are not finite.
        """
        ...

    def project_windows(self, file: EmbeddingsFile, rows: SplitRows, most: int | None = None) -> tuple[Floats, Windows]:
        """Map the windows of rows of a file, as far as they were kept, to [W, D] unit vectors; say whose they are.

        Of all windows, at most `most` of each row are taken.

        Raises:
            UsageError: the file holds no windows.
            DataError: as of `project_rows`.
        """
        ...

    def embed_text(self, texts: str | Sequence[str], *, cached: bool = False) -> Floats:
        """Embed n descriptions as [n, D] unit vectors; each row depends on its description alone."""
        ...

    def collection(
        self, data: EmbeddingsFile | AnyPath | None = None, *, split: Split | None = None, index: str = "exact"
    ) -> Collection:
        """Return the music of an `embeddings.h5`, ready to be searched."""
        ...

    def search(
        self,
        text: str,
        top: int = 10,
        data: EmbeddingsFile | AnyPath | None = None,
        *,
        where: Callable[[IndexedTrack], bool] | None = None,
        split: Split | None = None,
        max_per_artist: int | None = None,
        index: str = "exact",
    ) -> Hits:
        """Find the music that fits a description best."""
        ...


_MODELS = Registry(__name__, "model", "; or name the checkpoint of a trained model")
names = _MODELS.names
get = _MODELS.module


def spec(name: str) -> ModelSpec:
    """Return what is known of the model of that name."""
    found: ModelSpec = get(name).SPEC
    return found


@checked
def load_model(model: AnyPath, device: str = "cpu") -> JointModel:
    """Load a model by its name, or a trained one from its checkpoint.

    Args:
        model: one of `names()`, or the path of a checkpoint.
        device: where it runs: auto, cpu, cuda, cuda:1, ...

    Raises:
        UsageError: there is no such model or file.
        DataError: the checkpoint is truncated, holds something else, or would run code when read; or the model's
            towers, tested when its weights are loaded for the first time, do not tell descriptions or music apart.
        WeightsAbsentError: its weights are not on this machine.
    """
    name = str(model)
    if name in names():
        built: JointModel = get(name).build(device)
        _test_once(built, name)
        return built
    from unisono.retrieval.model import load_model as load_checkpoint  # imports torch

    return load_checkpoint(checkpoint_path(model), device)


def checkpoint_path(model: AnyPath) -> Path:
    """Return the path of a checkpoint that is no model's name.

    Raises:
        UsageError: there is no such file, and it looks like the name of a model.
    """
    path = as_path(model)
    if not path.exists() and path.name == str(model) and not path.suffix:
        get(str(model))
    return path


def _test_once(model: JointModel, name: str) -> None:
    """Refuse a model whose towers map all to one vector, unless its weights passed before.

    Raises:
        DataError: the message has what was measured.
    """
    from unisono.embeddings.encoders import audio, self_test

    revision = model.text_encoder.spec.revision
    if self_test.has_passed(name, "text", revision):
        return
    self_test.check_text(model.embed_text, name)
    if spec(name).size:
        audio.build(spec(name).encoders[0])  # which tests it
    self_test.note_passed(name, "text", revision)
