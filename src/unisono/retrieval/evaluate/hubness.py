"""Hubness: some vectors are near to everything, and some are never found. Its measure, and a correction to compare with."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.retrieval.metrics import BLOCK_BYTES, normalised

TOP = 10
NEIGHBOURS = 10


class HubReport(msgspec.Struct, frozen=True):
    """How evenly the places of answers are shared out."""

    tracks: int
    hubs: int
    """The most frequent tracks that are counted: 1 %, at least one."""
    share: float
    """Of all places among the first ten, the share that the hubs take. If all tracks came equally often: hubs / tracks."""
    never_found: int
    """Tracks that are among the first ten of no query."""


def measure_hubs(
    queries: NDArray[np.floating], music: NDArray[np.floating], penalty: NDArray[np.float32] | None = None
) -> HubReport:
    """Count how often each track is among the first ten.

    Args:
        queries: [Q, D].
        music: [N, D].
        penalty: [N], see `csls_penalty`.
    """
    asked, offered = normalised(queries), normalised(music)
    top = min(TOP, len(offered))
    counts = np.zeros(len(offered), dtype=np.int64)
    size = max(1, BLOCK_BYTES // (8 * len(offered)))
    for start in range(0, len(asked), size):
        scores = asked[start : start + size] @ offered.T
        if penalty is not None:
            scores -= penalty
        counts += np.bincount(np.argpartition(-scores, top - 1, axis=1)[:, :top].ravel(), minlength=len(offered))
    hubs = max(1, len(offered) // 100)
    share = float(np.sort(counts)[::-1][:hubs].sum() / counts.sum())
    return HubReport(len(offered), hubs, share, int((counts == 0).sum()))


def csls_penalty(candidates: NDArray[np.floating], queries: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return what cross-domain similarity local scaling subtracts from the cosine of each candidate [C].

    It is half of the mean cosine of the candidate and its ten nearest queries: CSLS is 2 cos(q, c) - r(q) - r(c), and r(q) is
    the same for all candidates of a query. (Conneau et al., 2018, arXiv 1710.04087.)
    """
    offered, asked = normalised(candidates), normalised(queries)
    nearest = min(NEIGHBOURS, len(asked))
    found = np.empty(len(offered), dtype=np.float32)
    size = max(1, BLOCK_BYTES // (8 * len(asked)))
    for start in range(0, len(offered), size):
        scores = offered[start : start + size] @ asked.T
        best = -np.partition(-scores, nearest - 1, axis=1)[:, :nearest]
        found[start : start + size] = best.mean(axis=1) / 2
    return found
