"""The positives of a batch: the pairs of a text and music that belong together."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Positives:
    """P of the b x B pairs of a batch: b rows of texts (those of one process), B columns of music."""

    row: Tensor
    """[P] int64."""
    column: Tensor
    """[P] int64."""

    def to(self, device: torch.device) -> "Positives":
        """Return the same on another device."""
        return Positives(self.row.to(device), self.column.to(device))

    def mask(self, matrix: Tensor) -> Tensor:
        """Return them as a matrix of bool, of the shape of `matrix` [b, B]."""
        mask = torch.zeros(matrix.shape, dtype=torch.bool, device=matrix.device)
        mask[self.row, self.column] = True
        return mask


def positives(texts: NDArray[np.int64], recordings: NDArray[np.int64], rows: slice = slice(None)) -> Positives:
    """Find the pairs of a batch that belong together: the same text, or the same recording.

    Args:
        texts: [B] a number for each distinct text.
        recordings: [B] a number for each recording.
        rows: the rows wanted; the result counts its rows from the first of them.
    """
    codes = np.unique(np.concatenate([_equal(names[rows], names) for names in (texts, recordings)]))
    row, column = np.divmod(codes, len(texts))
    return Positives(torch.from_numpy(row), torch.from_numpy(column))


def _equal(wanted: NDArray[np.int64], names: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return row * B + column of all pairs of equal names."""
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    begin, end = (np.searchsorted(ordered, wanted, side) for side in ("left", "right"))
    counts = end - begin
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    codes: NDArray[np.int64] = (
        np.repeat(np.arange(len(wanted)) * len(names), counts) + order[np.repeat(begin, counts) + within]
    )
    return codes
