"""The windows of tracks that `prepare` kept: reading them, and one score a track from those of its windows."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.embeddings.encoders import audio
from unisono.embeddings.file import EmbeddingsFile, SplitRows
from unisono.embeddings.prepare.pooling import spread
from unisono.retrieval.collection import Collection, Windows
from unisono.retrieval.indexes import Floats, Positions

Score = Literal["best", "mean", "pooled"]
"""What counts of a track: its window that fits best, the mean of its windows that were kept, or the one embedding that is
stored of it, pooled over all its windows."""


FEW = 5
"""Windows of a track that are searched where all were kept."""
FIRST = 200
"""How many hits of a description are ordered again by its words."""


def are_searched(file: EmbeddingsFile, encoder: str) -> bool:
    """Return whether a search compares a description with windows.

    Some were kept for that; or all were kept, of an encoder that embeds each by itself, and whose embeddings are their mean.
    """
    if file.config.get("keep_windows", False) is not True:
        return keeps_some(file)
    return file.encoders[encoder].pooling == "mean" and not audio.spec(encoder).whole


def keeps_some(file: EmbeddingsFile) -> bool:
    """Return whether a few windows of each track were kept, to be searched (`prepare --windows-per-track`)."""
    return not isinstance(file.config.get("keep_windows", False), bool)


def read_windows(
    file: EmbeddingsFile, rows: SplitRows, encoder: str, most: int | None = None
) -> tuple[NDArray[np.float16], Windows]:
    """Read the windows of some rows of a file, as `map_windows` does, into one array.

    Raises:
        UsageError: the file holds no windows of that encoder.
        DataError: a row has none, or they are not finite.
    """
    parts, windows = map_windows(file, rows, encoder, most)
    embeddings = np.concatenate(parts)
    bad = ~np.isfinite(embeddings.reshape(len(embeddings), -1)).all(axis=1)
    if bad.any():
        raise DataError(f"{file.path}: a {encoder} window of {rows.ids[windows.of[int(bad.argmax())]]} is not finite.")
    return embeddings, windows


def map_windows(
    file: EmbeddingsFile, rows: SplitRows, encoder: str, most: int | None = None
) -> tuple[list[NDArray[np.float16]], Windows]:
    """Return the windows of some rows of a file, mapped from the disk where all of a split are wanted.

    Args:
        file: the embeddings.
        rows: of one split, or of all; some may have been left out.
        encoder: name of the encoder.
        most: the most windows of a row, evenly spread. Default: all that were kept.

    Returns:
        Parts of their embeddings [W, A] (or [W, L, A]), in the order of the rows, and which row each is of.

    Raises:
        UsageError: the file holds no windows of that encoder.
        DataError: a row has none.
    """
    place = {id_: row for row, id_ in enumerate(rows.ids)}
    row_of = np.array([place.get(id_, -1) for id_ in file.ids], dtype=np.int64)
    before = 0
    parts: list[NDArray[Any]] = []
    owners, numbers = [], []
    for split, count in file.counts().items():
        if (row_of[before : before + count] >= 0).any():
            stored = file.windows(split, encoder)
            owner = row_of[before + stored.of]
            taken = (owner >= 0) if most is None else (owner >= 0) & _spread(stored.of, most)
            parts.append(stored.embeddings if taken.all() else stored.embeddings[taken])
            owners.append(owner[taken])
            numbers.append(stored.numbers[taken])
        before += count
    of, number = np.concatenate(owners), np.concatenate(numbers)
    without = np.setdiff1d(np.arange(len(rows.ids)), of)
    if len(without):
        raise DataError(f"{file.path}: no {encoder} window of {rows.ids[without[0]]} was kept.")
    record = file.encoders[encoder]
    starts = rows.start_s[of] + number * record.hop_s
    if record.tail == "shift":  # the last window was shifted back to end with the track
        starts = np.minimum(starts, rows.start_s[of] + np.maximum(rows.duration_s[of] - record.window_s, 0))
    return parts, Windows(of, starts.astype(np.float32), record.window_s)


def _spread(of: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Return which of the windows [W], whose rows are ascending, are taken: as `prepare` spreads those that it keeps."""
    counts = np.bincount(of)
    first = np.cumsum(counts) - counts
    taken = np.zeros(len(of), dtype=bool)
    for begin, count in zip(first.tolist(), counts.tolist(), strict=True):
        taken[begin + spread(count, most)] = True
    return taken


def scored_by(score: Score, vectors: Floats, windows: Windows) -> Floats:
    """Return what `metrics.similarities` compares with texts, of N tracks.

    Args:
        score: "best" or "mean".
        vectors: [W, D], unit vectors of the windows.
        windows: which track each is of.

    Returns:
        For "best" [N, P, D], P being the most windows of a track: those of others are repeated. For "mean" [N, D + 1], unit
        vectors whose cosine with a text, to which a 0 was appended, is the mean of the windows' cosines.
    """
    counts = np.bincount(windows.of)
    first = np.cumsum(counts) - counts
    if score == "best":
        places = np.minimum(np.arange(counts.max()), counts[:, None] - 1)
        best: Floats = vectors[first[:, None] + places]
        return best
    means = np.add.reduceat(vectors.astype(np.float64), first) / counts[:, None]
    missing = np.sqrt(np.maximum(1 - (means**2).sum(axis=1, keepdims=True), 0))
    return np.concatenate([means, missing], axis=1).astype(np.float32)


def maxsim(tokens: Floats, collection: Collection, rows: Positions) -> NDArray[np.float64]:
    """Return the MaxSim [n] of tokens [t, D] and tracks [n]: the mean over the tokens of the best window's cosine."""
    vectors = collection.vectors[collection.places_of(rows)].astype(np.float64)
    best = collection.best_scores((vectors @ tokens.T).astype(np.float32), rows)
    found: NDArray[np.float64] = best.mean(axis=1, dtype=np.float64)
    return found
