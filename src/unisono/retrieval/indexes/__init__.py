"""The indexes: nearest vectors to a query. A module each, registered by being in this folder: `build(vectors) -> Index`."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError

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


def names() -> list[str]:
    """Return the names of the indexes, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str) -> Callable[[Floats], Index]:
    """Return the function that builds the index of that name from unit vectors [N, D].

    Raises:
        UsageError: there is none; the message says which there are.
    """
    known = names()
    if name not in known:
        raise UsageError(
            f"index {name!r} is unknown.{nearest(name, known)}", hint=f"Known: {', '.join(known)}.", parameter="index"
        )
    build: Callable[[Floats], Index] = importlib.import_module(f"{__name__}.{name}").build
    return build
