"""Vectors of embeddings that lie on the disk, computed when they are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.retrieval.indexes import Floats


class Projected:
    """[W, D] unit vectors: what a model makes of embeddings, each by itself."""

    def __init__(
        self, project: Callable[[NDArray[np.floating]], Floats], parts: Sequence[NDArray[np.float16]], named: str
    ) -> None:
        """Compute nothing yet; `project` maps the parts of embeddings [n, ...] to vectors [n, D]."""
        self._project = project
        self._parts = [part for part in parts if len(part)] or list(parts[:1])
        self._ends = np.cumsum([len(part) for part in self._parts])
        self._named = named
        self.shape = (int(self._ends[-1]), project(np.zeros((1, *parts[0].shape[1:]), np.float16)).shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Floats:
        if isinstance(rows, slice):
            asked = range(len(self))[rows]
            rows = np.arange(asked.start, asked.stop, asked.step)
        wanted = np.atleast_1d(rows)
        part_of = np.searchsorted(self._ends, wanted, side="right")
        stored = np.empty((len(wanted), *self._parts[0].shape[1:]), np.float16)
        for number in np.unique(part_of):
            chosen, part = part_of == number, self._parts[number]
            stored[chosen] = part[wanted[chosen] - (self._ends[number] - len(part))]
        if not np.isfinite(stored).all():
            raise DataError(f"{self._named}: an embedding is not finite.", hint="Find it with: unisono check")
        found = self._project(stored) if len(stored) else np.zeros((0, self.shape[1]), np.float32)
        return found if np.ndim(rows) else found[0]
