"""Hubness: some vectors are near to everything, and some are never found. Its measure, and a correction to compare with."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.table import Table
from unisono.retrieval.metrics import BLOCK_BYTES, normalised, similarities

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
    """Count how often each track of music [N, D] or [N, W, D] is among the first ten of queries [Q, D].

    `penalty` is [N], see `csls_penalty`.
    """
    asked, offered = normalised(queries), normalised(music)
    top = min(TOP, len(offered))
    counts = np.zeros(len(offered), dtype=np.int64)
    size = max(1, BLOCK_BYTES // (8 * len(offered)))
    for start in range(0, len(asked), size):
        scores = similarities(asked[start : start + size], offered)
        if penalty is not None:
            scores = scores - penalty
        counts += np.bincount(np.argpartition(-scores, top - 1, axis=1)[:, :top].ravel(), minlength=len(offered))
    hubs = max(1, len(offered) // 100)
    share = float(np.sort(counts)[::-1][:hubs].sum() / counts.sum())
    return HubReport(len(offered), hubs, share, int((counts == 0).sum()))


def csls_penalty(candidates: NDArray[np.floating], queries: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return what cross-domain similarity local scaling subtracts from the cosine of each candidate [C].

    It is half of the mean cosine of the candidate and its ten nearest queries: CSLS is 2 cos(q, c) - r(q) - r(c), and r(q)
    is the same for all candidates of a query. (Conneau et al., 2018, arXiv 1710.04087.)
    """
    offered, asked = normalised(candidates), normalised(queries)
    nearest = min(NEIGHBOURS, len(asked))
    found = np.empty(len(offered), dtype=np.float32)
    size = max(1, BLOCK_BYTES // (8 * len(asked)))
    for start in range(0, len(offered), size):
        scores = similarities(offered[start : start + size], asked)
        best = -np.partition(-scores, nearest - 1, axis=1)[:, :nearest]
        found[start : start + size] = best.mean(axis=1) / 2
    return found


def measure_both(queries: NDArray[np.floating], music: NDArray[np.floating]) -> dict[str, HubReport]:
    """Measure hubness as it is, and corrected by CSLS."""
    penalty = csls_penalty(music, queries)
    return {"as it is": measure_hubs(queries, music), "corrected by CSLS": measure_hubs(queries, music, penalty)}


NOTE = (
    "Hubness: the share of all places among the first ten that the most frequent 1 % of the tracks take. CSLS subtracts "
    "half of a track's mean similarity to its ten nearest queries: it needs all queries at once, so it describes the "
    "space, and is not what a single search does."
)


def hub_table(hubs: dict[str, HubReport]) -> Table:
    """Return how the places are shared out, as it is and corrected."""
    rows = [
        (
            name,
            f"{hub.hubs:,} of {hub.tracks:,}",
            f"{100 * hub.share:.1f}",
            f"{100 * hub.hubs / hub.tracks:.1f}",
            f"{hub.never_found:,}",
        )
        for name, hub in hubs.items()
    ]
    headings = ("", "hubs", "their share", "if even", "tracks never found")
    return Table("hubness: how the places among the first ten are shared out, %", headings, rows)
