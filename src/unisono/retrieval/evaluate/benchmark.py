"""A benchmark: a unified file of music that the model was never trained on, such as Song Describer.

Its music is embedded by `prepare` with the encoder and the settings of the training, into a folder of its own; what is
there is not embedded again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError, UsageError
from unisono.embeddings.encoders import tuned
from unisono.embeddings.file import SplitRows
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval.evaluate.benchmarks import BenchmarkCard
from unisono.retrieval.evaluate.benchmarks._reading import Judgements, read
from unisono.retrieval.models import JointModel
from unisono.retrieval.pairing import Pairing, judged, pair_rows
from unisono.tracks.files import read_tracks
from unisono.tracks.workspace import Workspace

CAPTION_VALID = "caption_valid"
"""Field of a unified file: for each caption of a record, whether people found it valid (null: not judged)."""


@dataclass(frozen=True)
class Benchmark:
    """What the unified file says about its captions."""

    tracks: int
    """Number of records, with audio or without."""
    valid: frozenset[tuple[str, str]] = frozenset()
    """(id, caption) of the captions that people found valid; empty if none were judged."""
    card: BenchmarkCard | None = None
    """What it is, if it was asked for by name."""
    judgements: Judgements | None = None
    """What is relevant, if that is not "this caption describes this track"."""

    def valid_captions(self, rows: SplitRows) -> NDArray[np.bool_]:
        """Return for each caption [M] whether it was found valid."""
        return np.array(
            [
                (rows.ids[row], caption) in self.valid
                for row, caption in zip(rows.caption_of, rows.captions, strict=True)
            ],
            dtype=bool,
        )

    def pair(self, rows: SplitRows) -> Pairing:
        """Return what is relevant to what.

        Raises:
            DataError: no judged music is left.
        """
        if self.judgements is None:
            return pair_rows(rows)
        place = {id: row for row, id in enumerate(rows.ids)}
        music = np.array([place.get(id, -1) for id in self.judgements.music], dtype=np.int64)
        relevant = (self.judgements.grade > 0) & (music >= 0)
        asked, text = np.unique(self.judgements.text[relevant], return_inverse=True)
        texts = [self.judgements.texts[each] for each in asked]
        if not texts:
            raise DataError("None of the music that the benchmark's judges found relevant is there.")
        grades = np.zeros((len(texts), len(rows.ids)), dtype=np.float32)
        grades[text, music[relevant]] = self.judgements.grade[relevant]
        return judged(texts, grades, rows.texts["recording"])

    def whole(self, rows: SplitRows) -> str:
        """Return the name of the benchmark, if it has one and nothing of it is missing."""
        return self.card.name if self.card and len(rows.ids) == self.tracks else ""

    def protocol(self, rows: SplitRows) -> list[str]:
        """Return in words what the benchmark is, and how much of it was evaluated on."""
        missing = self.tracks - len(rows.ids)
        said = [f"{missing:,} of the benchmark's {self.tracks:,} tracks are missing (no audio, or left out)."]
        if card := self.card:
            said = [
                f"{card.title}: {card.protocol} Data: {card.homepage}, {card.revision}; split: {card.split}; licence: "
                f"{card.license}.",
                *said,
                f"It overlaps with {'; '.join(card.overlaps)}.",
            ]
        return said


def read_named(card: BenchmarkCard, workspace: Workspace, *, allow_missing: bool) -> tuple[Path, Benchmark]:
    """Read a benchmark from its release; return the unified file of its music, and what is known of it.

    Raises:
        UsageError: the release is not there, or music is missing and that is not allowed.
        DataError: it is not the release that the card describes.
    """
    content = read(card, workspace)
    count = len(read_tracks(content.file)) + len(content.missing)
    if content.missing and not allow_missing:
        raise UsageError(
            f"{len(content.missing):,} of the {count:,} tracks of {card.name} have no audio, or none that can be read "
            f"(first: {content.missing[0]}).",
            hint="Numbers of a part are not those of the benchmark. To have them nonetheless: --allow-missing, or "
            "allow_missing=True in Python.",
        )
    return content.file, Benchmark(count, card=card, judgements=content.judgements)


def embed_benchmark(
    model: JointModel, path: Path, output_dir: Path, *, windows_per_track: int | None = None
) -> Benchmark:
    """Embed the music of a unified file with the audio encoder of a model, into `output_dir`."""
    tracks = read_tracks(path)
    encoder = model.audio_encoder
    prepare(
        path,
        output_dir=output_dir,
        encoders=(tuned.name_of(encoder),),
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
