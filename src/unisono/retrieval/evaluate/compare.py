"""Comparing two results on the queries that both were asked: paired, so that what makes a query hard cancels out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.retrieval.evaluate.result import MEASURES, QueryResult, Result
from unisono.retrieval.metrics import PerQuery, interval, resampled, summary


@dataclass(frozen=True)
class Difference:
    """How much better the second model is in one measure (for ranks, less is better)."""

    first: float
    second: float
    low: float
    """Lower end of the 95 % interval of second - first."""
    high: float

    @property
    def verdict(self) -> str:
        """Say which one is higher, if the interval tells."""
        if self.low > 0:
            return "second higher"
        return "first higher" if self.high < 0 else "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """One direction of two results."""

    queries: int
    """Asked of both."""
    left_out: int
    """Asked of one alone."""
    candidates: int
    differences: dict[str, Difference]


def compare(first: Result, second: Result, direction: str, seed: int) -> Comparison:
    """Compare one direction.

    Raises:
        DataError: they have no query in common, or different numbers of candidates.
    """
    candidates = [result.retrieval[direction]["all"].candidates for result in (first, second)]
    if candidates[0] != candidates[1]:
        raise DataError(
            f"The results cannot be compared: ranks among {candidates[0]:,} and among {candidates[1]:,} candidates.",
            hint="Evaluate both models on the same embeddings.h5 and split (other encoders go beside each other in it).",
        )
    held = [{(each.query, each.about): each for each in result.queries[direction]} for result in (first, second)]
    shared = [key for key in held[0] if key in held[1]]
    if not shared:
        raise DataError("The results cannot be compared: they have no query in common.")
    values = [_values([found[key] for key in shared]) for found in held]
    about = np.unique([key[1] for key in shared], return_inverse=True)[1]
    return Comparison(
        queries=len(shared),
        left_out=len(held[0]) + len(held[1]) - 2 * len(shared),
        candidates=candidates[0],
        differences=_differences(values[0], values[1], about, seed),
    )


def _values(queries: Sequence[QueryResult]) -> PerQuery:
    rank = np.array([each.rank for each in queries], dtype=np.float64)
    return {
        **{f"recall@{k}": (rank <= k).astype(np.float64) for k in (1, 5, 10)},
        "mrr": 1 / rank,
        "map@10": np.array([each.average_precision for each in queries]),
        "rank": rank,
    }


def _differences(first: PerQuery, second: PerQuery, about: NDArray[np.int64], seed: int) -> dict[str, Difference]:
    """Bootstrap the differences: each resample draws the same recordings for both."""
    before, after = summary(first), summary(second)
    drawn_before, drawn_after = resampled(first, about, seed), resampled(second, about, seed)
    return {
        name: Difference(before[name], after[name], *interval(drawn_after[name] - drawn_before[name]))
        for name in MEASURES
    }
