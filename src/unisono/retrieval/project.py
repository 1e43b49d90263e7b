"""The music of `embeddings.h5` where a model compares it with descriptions: what evaluation and search look at."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, SplitRows

if TYPE_CHECKING:
    from unisono.retrieval.checkpoint import Model

Floats = NDArray[np.float32]
MUST_AGREE = ("weights", "revision", "rate_hz", "window_s", "hop_s", "pooling", "dim", "layers", "hidden_states")
"""Fields of `EncoderRecord` that change the embeddings."""


def project(model: "Model", file: EmbeddingsFile, rows: SplitRows) -> Floats:
    """Bring the audio embeddings of a split into the model's space: [N, D] unit vectors.

    Raises:
        DataError: the file's embeddings were made otherwise than those the model was trained on, or are not finite.
    """
    expected = model.audio_encoder
    _refuse_others(file, file.encoders[expected.name], expected)
    stored = rows.embeddings[expected.name]
    bad = ~np.isfinite(stored.reshape(len(stored), -1)).all(axis=1)
    if bad.any():
        raise DataError(
            f"{file.path}, {rows.split}: {int(bad.sum())} {expected.name} embeddings are not finite "
            f"(first: {rows.ids[int(bad.argmax())]})."
        )
    return model.project_audio(stored)


def _refuse_others(file: EmbeddingsFile, found: EncoderRecord, expected: EncoderRecord) -> None:
    held, wanted = asdict(found), asdict(expected)
    differ = [f"{name} {held[name]!r}, not {wanted[name]!r}" for name in MUST_AGREE if held[name] != wanted[name]]
    if differ:
        raise DataError(
            f"{file.path}: its {found.name} embeddings were made otherwise than those that the model was trained on: "
            + "; ".join(differ)
            + ".",
            hint="Prepare the music with the settings of the training, or train on these embeddings.",
        )
