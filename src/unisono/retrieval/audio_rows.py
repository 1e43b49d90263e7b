"""The embeddings of the excerpts of a split: in memory, or in one or several files on disk, read in blocks."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]
BLOCK_BYTES = 4 << 20
"""About this many bytes are read from the disk at a time."""


class Rows(Protocol):
    """Rows [n, ...] that can be read in slices."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Their shape."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Return some of them as an array."""
        ...


def rows_a_block(shape: Sequence[int]) -> int:
    """Return how many embeddings of float16, of the shape of one row, are read from the disk at a time."""
    return max(1, BLOCK_BYTES // (2 * int(np.prod(shape))))


class Blocks:
    """Rows on disk [n, ...], of which the blocks that were asked for last are kept in memory."""

    def __init__(self, rows: Rows, kept: int) -> None:
        """Prepare to read.

        Args:
            rows: on disk, such as a dataset of HDF5.
            kept: how many blocks are kept.
        """
        self.shape = rows.shape
        self._rows = rows
        self._kept = kept
        self._size = rows_a_block(rows.shape[1:])
        self._blocks: OrderedDict[int, NDArray[np.float16]] = OrderedDict()

    def __getitem__(self, rows: slice | Ints) -> NDArray[np.float16]:
        """Return rows as an array; those in a slice are read as they are, without keeping a block."""
        if isinstance(rows, slice):
            found: NDArray[np.float16] = self._rows[rows]
            return found
        result = np.empty((len(rows), *self.shape[1:]), np.float16)
        block_of = rows // self._size
        for number in np.unique(block_of).tolist():
            its = block_of == number
            result[its] = self._block(number)[rows[its] - number * self._size]
        return result

    def _block(self, number: int) -> NDArray[np.float16]:
        block = self._blocks.pop(number, None)
        if block is None:
            block = self._rows[number * self._size : (number + 1) * self._size]
        self._blocks[number] = block
        if len(self._blocks) > self._kept:
            self._blocks.popitem(last=False)
        return block


class AudioRows:
    """The embeddings [N, L, A] float16 of N excerpts, in one or several parts; a slice or rows index it, as a tensor."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self._begin = np.cumsum([0, *(part.shape[0] for part in parts)])
        row = parts[0].shape[1:]
        self.shape = (int(self._begin[-1]), *(row if len(row) == 2 else (1, *row)))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Ints) -> Tensor:
        """Return the embeddings [n, L, A] of these rows."""
        if len(self._parts) == 1:
            return self._shaped(self._parts[0][rows])
        if isinstance(rows, slice):
            begin, end, _ = rows.indices(len(self))
            return self._shaped(
                np.concatenate(
                    [
                        part[max(0, begin - first) : max(0, end - first)]
                        for part, first in zip(self._parts, self._begin.tolist(), strict=False)
                    ]
                )
            )
        result = np.empty((len(rows), *self._parts[0].shape[1:]), np.float16)
        part_of = np.searchsorted(self._begin, rows, side="right") - 1
        for number in np.unique(part_of).tolist():
            its = part_of == number
            result[its] = self._parts[number][rows[its] - self._begin[number]]
        return self._shaped(result)

    def _shaped(self, found: NDArray[np.float16]) -> Tensor:
        writable = found if found.flags.writeable else found.copy()
        return torch.from_numpy(writable).reshape(len(found), *self.shape[1:])
