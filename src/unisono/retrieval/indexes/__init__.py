"""The indexes: nearest vectors to a query. A module each, registered by being in this folder: `build(vectors) -> Index`."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unisono.base.registry import Registry

Floats = NDArray[np.float32]
Positions = NDArray[np.int64]


class Index(Protocol):
    """N unit vectors of D numbers, ready to be searched."""

    def __len__(self) -> int: ...

    def search(self, query: Floats, top: int, among: Positions | None = None) -> tuple[Positions, Floats]:
        """Find the vectors with the largest dot product with a query.

        Args:
            query: [D], a unit vector.
            top: the most vectors to return.
            among: search only at these positions, ascending; None for all.

        Returns:
            Positions [k] and scores [k], best first, equal scores by ascending position; k is `top`, or fewer if
            fewer are searched.
        """
        ...


_INDEXES = Registry(__name__, "index", parameter="index")
names = _INDEXES.names


def get(name: str) -> Callable[[Floats], Index]:
    """Return the function that builds the index of that name from unit vectors [N, D].

    Raises:
        UsageError: there is none; the message says which there are.
    """
    build: Callable[[Floats], Index] = _INDEXES.module(name).build
    return build
