"""Pretrained joint models: an audio encoder and a text tower of one name, whose vectors are of one space."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import checked
from unisono.base.errors import DataError
from unisono.embeddings.encoders import audio, text, text_store
from unisono.embeddings.encoders.text import TextEncoder
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval.model_base import Floats, JointModel, Rows
from unisono.retrieval.models import ModelSpec


def tower_spec(name: str, title: str, languages: str, *, also: str = "") -> ModelSpec:
    """Describe a joint model of two towers of one name; `also` is what else is known of its verification."""
    of = audio.spec(name)
    return ModelSpec(
        name=name,
        title=title,
        languages=languages,
        license=of.weights_license,
        noncommercial=of.noncommercial,
        encoders=(name,),
        size=of.size,
        install=f"unisono encoders fetch {name}",
        verified=f"no: checked with random weights in the published form{also}",
    )


def is_here(name: str) -> bool:
    """Return whether the weights of both towers are on this machine."""
    from unisono.embeddings.encoders.fetch import is_here as encoder_is_here

    return bool(encoder_is_here(name))


class TowerModel(JointModel):
    """A joint model, with its text tower loaded; music comes with its embeddings, or is embedded by `prepare`."""

    must_agree = ("revision", "tail", "rate_hz", "window_s", "hop_s", "layers", "hidden_states")

    def __init__(self, name: str, device: str = "cpu") -> None:
        """Load the text tower.

        Raises:
            WeightsAbsentError: the weights are not here.
            DataError: they are cut short, or of another model.
        """
        from unisono.retrieval.device import local_device  # imports torch

        self._name = name
        self.device = str(local_device(device))
        self.text_encoder: TextEncoder = text.build(name, self.device)

    def __repr__(self) -> str:
        return f"Model: {self._name}, {self.dim} dimensions, pretrained"

    @property
    def label(self) -> str:
        """Name of the model."""
        return self._name

    @property
    def encoders(self) -> tuple[str, ...]:
        """The audio encoder of the model's name."""
        return (self._name,)

    @property
    def dim(self) -> int:
        """Size D of the common space."""
        return self.text_encoder.spec.dim

    def made_like(self, name: str) -> EncoderRecord:
        """Return what must have made the embeddings: the audio tower of the same weights."""
        from unisono.embeddings.prepare.settings import encoder_record

        spec = replace(audio.spec(name), revision=self.text_encoder.spec.revision, dim=self.dim)
        return encoder_record(spec, "mean", "")

    def project_audio(self, embeddings: NDArray[np.floating], of: Rows | None = None) -> Floats:
        """Scale embeddings to length 1; what follows the means (pooling `stats`) is left out, and silence can be zeros."""
        if embeddings.ndim != 2 or embeddings.shape[1] not in (self.dim, 3 * self.dim):
            raise DataError(
                f"The model {self.label} reads embeddings of {self.dim} numbers, found {embeddings.shape[1:]}.",
                hint=f"Prepare the music with: unisono prepare --encoders {self.label}",
            )
        return _unit(embeddings[:, : self.dim])

    @checked
    def embed_text(self, texts: str | Sequence[str], *, cached: bool = False) -> Floats:
        """Embed descriptions, in the languages of the model."""
        asked = [texts] if isinstance(texts, str) else list(texts)
        if cached:
            table = text_store.embed(asked, self.text_encoder.spec, lambda: self.text_encoder)
            return _unit(table.rows(np.arange(len(asked))))
        return self.text_encoder.embed(asked)


def _unit(vectors: NDArray[np.floating]) -> Floats:
    exact = vectors.astype(np.float32)
    found: Floats = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)
    return found
