"""Compare two results on their common queries. They are paired, so that the difficulty of the queries cancels out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.errors import DataError
from unisono.base.table import Table, Tabular
from unisono.retrieval.evaluate.result import QueryResult, Result, read_result
from unisono.retrieval.evaluate.tables import MEASURES, TITLES, say
from unisono.retrieval.metrics import DIRECTIONS, PerQuery, interval, resampled, summary

NOTE = (
    "In per cent except ranks; a lower rank is better. Intervals of the difference: 95 %, paired bootstrap over "
    "recordings. They show how other test music would change the numbers, not how another training run would."
)


@dataclass(frozen=True)
class Difference:
    """The difference of two models in one measure (for ranks, lower is better)."""

    first: float
    second: float
    low: float
    """Lower end of the 95 % interval of second - first."""
    high: float

    @property
    def verdict(self) -> str:
        """Which one is higher, if the interval excludes 0."""
        if self.low > 0:
            return "second higher"
        return "first higher" if self.high < 0 else "no difference shown"


@dataclass(frozen=True)
class DirectionComparison:
    """One direction of two results."""

    queries: int
    """Queries in both results."""
    left_out: int
    """Queries in only one of them."""
    candidates: int
    differences: dict[str, Difference]
    """Measure -> difference."""


@dataclass(frozen=True, repr=False)
class Comparison(Tabular):
    """Two results, query by query; printed as tables."""

    first: str
    """The first model."""
    second: str
    directions: dict[str, DirectionComparison]
    note = NOTE

    def __repr__(self) -> str:
        heading = f"first:  {self.first}\nsecond: {self.second}"
        return f"{heading}\n\n{super().__repr__()}"

    def tables(self) -> list[Table]:
        """Return a table for each direction."""
        return [_table(direction, found) for direction, found in self.directions.items()]


@checked
def compare(first: Result | AnyPath, second: Result | AnyPath, *, seed: int = 42) -> Comparison:
    """Compare two results on the queries that are in both.

    Args:
        first: a result, or its JSON file.
        second: another one, on the same music.
        seed: of the bootstrap.

    Raises:
        UsageError: there is no such file.
        DataError: a file is not a result, or the two have no query in common, or different numbers of candidates.
    """
    results = [each if isinstance(each, Result) else read_result(as_path(each)) for each in (first, second)]
    named = [
        each.checkpoint if isinstance(given, Result) else f"{given} ({each.checkpoint})"
        for each, given in zip(results, (first, second), strict=True)
    ]
    directions = {direction: _compare(results[0], results[1], direction, seed) for direction in DIRECTIONS}
    return Comparison(named[0], named[1], directions)


def _compare(first: Result, second: Result, direction: str, seed: int) -> DirectionComparison:
    candidates = [result.retrieval[direction]["all"].candidates for result in (first, second)]
    if candidates[0] != candidates[1]:
        raise DataError(
            f"The results cannot be compared: ranks among {candidates[0]:,} and among {candidates[1]:,} candidates.",
            hint="Evaluate both models on the same embeddings.h5 and split; it can hold several encoders.",
        )
    held = [{(each.query, each.about): each for each in result.queries[direction]} for result in (first, second)]
    shared = [key for key in held[0] if key in held[1]]
    if not shared:
        raise DataError("The results cannot be compared: they have no query in common.")
    values = [_values([found[key] for key in shared]) for found in held]
    about = np.unique([key[1] for key in shared], return_inverse=True)[1]
    return DirectionComparison(
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
    """Bootstrap the differences; each resample draws the same recordings for both."""
    before, after = summary(first), summary(second)
    drawn_before, drawn_after = resampled(first, about, seed), resampled(second, about, seed)
    return {
        name: Difference(before[name], after[name], *interval(drawn_after[name] - drawn_before[name]))
        for name in MEASURES
    }


def _table(direction: str, found: DirectionComparison) -> Table:
    rows = [
        (
            TITLES.get(name, name),
            say(name, each.first),
            say(name, each.second),
            f"{'+' if each.second >= each.first else ''}{say(name, each.second - each.first)}",
            f"{say(name, each.low)} to {say(name, each.high)}",
            each.verdict,
        )
        for name, each in found.differences.items()
    ]
    title = f"{direction.replace('_', ' ')}: {found.queries:,} queries among {found.candidates:,} candidates" + (
        f"; {found.left_out:,} that are only in one are left out" if found.left_out else ""
    )
    return Table(title, ("", "first", "second", "difference", "95%", ""), rows, words=(0, 5))
