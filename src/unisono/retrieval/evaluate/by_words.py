"""Retrieval whose first hits are ordered again by MaxSim, as `search --rerank maxsim` orders them."""

from collections.abc import Iterator

import numpy as np

from unisono.embeddings.file import EmbeddingsFile, SplitRows
from unisono.retrieval.collection import Collection, indexed_tracks
from unisono.retrieval.evaluate.ranking import RankedDirection
from unisono.retrieval.metrics import normalised, ranks_by, similarities
from unisono.retrieval.models import Floats, JointModel
from unisono.retrieval.pairing import Pairing
from unisono.retrieval.windows import FIRST, maxsim

LINE = f"all, the first {FIRST} ordered by words (MaxSim)"
"""Name of the line whose first hits are ordered again."""
ABOVE = np.float32(3)
"""More than two cosines can differ by: what was ordered again stays before the rest."""


def rank_by_words(
    model: JointModel, file: EmbeddingsFile, rows: SplitRows, pairing: Pairing, texts: Floats, music: Floats
) -> RankedDirection:
    """Rank the excerpts for each text: the first by their similarity, ordered by MaxSim, and then the others.

    Args:
        model: compares words.
        file: holds the windows.
        rows: the excerpts.
        pairing: what belongs together.
        texts, music: as for `ranking.rank_both`.

    Raises:
        UsageError: the model does not compare words, or no windows were kept.
    """
    vectors, windows = model.project_windows(file, rows)
    collection = Collection(indexed_tracks(rows), vectors, windows=windows)
    asked, offered = normalised(texts), normalised(music)

    def scores() -> Iterator[Floats]:
        for text, vector in zip(pairing.texts, asked, strict=True):
            found = similarities(vector[None], offered)
            first = np.sort(np.argsort(-found[0], kind="stable")[:FIRST])
            found[0, first] = ABOVE + maxsim(model.embed_tokens(text), collection, first)
            yield found

    return RankedDirection(pairing.relevance, ranks_by(scores(), pairing.relevance), pairing.recording_of_text)
