"""The exact index: all vectors in memory; each query is compared with every one of them.

A million vectors of 512 numbers take 2 GB, and a query about the time of reading them once. Approximate indexes are
worth their error only for far larger collections.
"""

import numpy as np

from unisono.retrieval.indexes import Floats, Index, Positions

ROUNDING = np.float32(1e-6)
"""More than a float32 product of 1,000 numbers is off."""


class ExactIndex:
    """Vectors in memory."""

    def __init__(self, vectors: Floats) -> None:
        self.vectors = vectors
        """[N, D], unit vectors."""

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, query: Floats, top: int, among: Positions | None = None) -> tuple[Positions, Floats]:
        """Find the vectors with the largest dot product with a query; see `Index.search`."""
        scores = self.vectors @ query
        positions = np.arange(len(scores)) if among is None else among
        found = scores[positions]
        if top < len(found):  # without sorting those that are not returned
            least = np.partition(found, len(found) - top)[len(found) - top]
            positions = positions[found >= least - ROUNDING]
        # A matrix product rounds equal vectors differently at different places; this sum does not, so that ties are ties.
        found = (self.vectors[positions] * query).sum(axis=1)
        order = np.argsort(-found, kind="stable")[:top]
        return positions[order], found[order]


def build(vectors: Floats) -> Index:
    """Build the index of unit vectors [N, D]."""
    return ExactIndex(vectors)
