"""From the embeddings of an excerpt's windows to the one that is stored."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pooling = Literal["mean", "stats"]
PARTS: dict[Pooling, int] = {"mean": 1, "stats": 3}
"""The stored embedding's dimension, in multiples of the encoder's."""


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Return the numbers of at most `most` of `count` windows, evenly spread: the middle of each of `most` equal parts."""
    if count <= most:
        return np.arange(count)
    return (2 * np.arange(most) + 1) * count // (2 * most)


def pool(
    windows: NDArray[np.float32], pooling: Pooling, whole: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """Pool windows [W, D] (or [W, L, D]) over W to [D] (or [L, D]); `stats` makes it 3 D.

    `stats` is the mean, the inter-quartile range and the mean absolute change from window to window, concatenated. An
    encoder that reads the windows as a sequence has an embedding [D] of the whole excerpt, which stands for the mean.
    """
    exact = windows.astype(np.float64)
    parts = [exact.mean(axis=0) if whole is None else whole.astype(np.float64)]
    if pooling == "stats":
        lower, upper = np.quantile(exact, [0.25, 0.75], axis=0)
        change = np.abs(np.diff(exact, axis=0))
        parts += [upper - lower, change.mean(axis=0) if len(change) else np.zeros_like(parts[0])]
    return np.concatenate(parts, axis=-1)
