"""A benchmark: a unified file of music that the model was never trained on, such as Song Describer.

Its music is embedded by `prepare` with the encoder and the settings of the training, into a folder of its own; what is
there is not embedded again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings.file import SplitRows
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval.models import JointModel
from unisono.tracks.files import read_tracks

CAPTION_VALID = "caption_valid"
"""Field of a unified file: for each caption of a record, whether people found it valid (null: not judged)."""


@dataclass(frozen=True)
class Benchmark:
    """What the unified file says about its captions."""

    tracks: int
    """Number of records, with audio or without."""
    valid: frozenset[tuple[str, str]]
    """(id, caption) of the captions that people found valid; empty if none were judged."""

    def valid_captions(self, rows: SplitRows) -> NDArray[np.bool_]:
        """Return for each caption [M] whether it was found valid."""
        return np.array(
            [
                (rows.ids[row], caption) in self.valid
                for row, caption in zip(rows.caption_of, rows.captions, strict=True)
            ],
            dtype=bool,
        )

    def protocol(self, rows: SplitRows) -> list[str]:
        """Return in words how much of the benchmark was evaluated on."""
        missing = self.tracks - len(rows.ids)
        return [f"{missing:,} of the benchmark's {self.tracks:,} tracks are missing (no audio, or left out)."]


def embed_benchmark(
    model: JointModel, path: Path, output_dir: Path, *, windows_per_track: int | None = None
) -> Benchmark:
    """Embed the music of a unified file with the audio encoder of a model, into `output_dir`."""
    tracks = read_tracks(path)
    encoder = model.audio_encoder
    prepare(
        path,
        output_dir=output_dir,
        encoders=(encoder.name,),
        layers=(f"{encoder.name}={encoder.hidden_states}",) if encoder.hidden_states else (),
        pooling="stats" if encoder.pooling == "stats" else "mean",
        windows_per_track=windows_per_track,
    )
    valid = frozenset(
        (track.id, caption)
        for track in tracks
        for caption, is_valid in zip(track.texts, track.extra.get(CAPTION_VALID) or [], strict=False)
        if is_valid is True
    )
    return Benchmark(len(tracks), valid)
