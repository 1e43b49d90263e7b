"""Several models on several benchmarks, each trained with one seed or several, compared in one table.

The first model is what the others are compared with. A query's value is its mean over the seeds of a model. The difference
has a 95 % interval by a paired bootstrap over recordings, and a p-value by a permutation test: the sign of the difference of
each recording is drawn at random. P-values are corrected for the number of comparisons by Holm's method (1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.errors import DataError, UsageError
from unisono.base.table import Table, Tabular
from unisono.retrieval.evaluate.result import QueryResult, Result, read_result
from unisono.retrieval.evaluate.tables import TITLES
from unisono.retrieval.metrics import TEXT_TO_MUSIC, interval, resampled

Measure = Literal["recall@1", "recall@5", "recall@10", "mrr", "map@10", "ndcg@10"]
MEASURES: tuple[Measure, ...] = ("recall@10", "mrr")
PERMUTATIONS = 10_000
SIGNIFICANT = 0.05
NOTE = (
    "In per cent, text to music. ±: standard deviation over the seeds of a model. Difference to the first model; 95 %: "
    "paired bootstrap over recordings, of the means over seeds. p: permutation test over recordings, two-sided; corrected: "
    "by Holm's method for all comparisons of this table. They show how other test music would change the difference; only ± "
    "shows how other training runs would."
)


@dataclass(frozen=True)
class ModelScore:
    """One model on one benchmark, by one measure."""

    model: str
    benchmark: str
    measure: Measure
    queries: int
    candidates: int
    seeds: int
    value: float
    deviation: float | None
    """Standard deviation over the seeds; None for a single one."""
    difference: float | None = None
    """To the first model; None for the first one itself."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    corrected: float | None = None


@dataclass(frozen=True, repr=False)
class ComparisonTable(Tabular):
    """All scores; printed as one table."""

    scores: tuple[ModelScore, ...]
    note = NOTE

    def table(self) -> Table:
        """Return one line for each benchmark, measure and model."""
        rows = []
        for each in self.scores:
            spread = "" if each.deviation is None else f" ± {100 * each.deviation:.1f}"
            cells = [
                f"{each.benchmark} ({each.queries:,} x {each.candidates:,})",
                TITLES.get(each.measure, each.measure),
                each.model,
                str(each.seeds),
                f"{100 * each.value:.1f}{spread}",
            ]
            if each.difference is None or each.p is None or each.corrected is None:
                rows.append([*cells, "", "", "", "", ""])
                continue
            rows.append(
                [
                    *cells,
                    f"{100 * each.difference:+.1f}",
                    f"{100 * (each.low or 0):+.1f} to {100 * (each.high or 0):+.1f}",
                    f"{each.p:.4f}",
                    f"{each.corrected:.4f}",
                    "*" if each.corrected < SIGNIFICANT else "",
                ]
            )
        headings = ("benchmark", "measure", "model", "seeds", "value", "difference", "95%", "p", "corrected", "")
        return Table(
            "Models compared with the first one, * where p corrected is below 0.05", headings, rows, words=(0, 1, 2, 9)
        )


@checked
def compare_all(
    results: Sequence[tuple[str, Result | AnyPath]], *, measures: Sequence[Measure] = MEASURES, seed: int = 42
) -> ComparisonTable:
    """Compare models on all benchmarks that the first one has results of.

    Args:
        results: name of the model and its result, or the JSON file of one. Results of one name on one benchmark are those of
            several seeds. An empty name stands for that of the checkpoint.
        measures: which to compare.
        seed: of the bootstrap and the permutations.

    Raises:
        UsageError: there is only one model, or a file is missing.
        DataError: results on one benchmark have different queries or candidates, or a measure is not in them.
    """
    read = [(name, each if isinstance(each, Result) else read_result(as_path(each))) for name, each in results]
    held: dict[str, dict[str, list[Result]]] = {}
    for name, result in read:
        held.setdefault(result.called, {}).setdefault(name or Path(result.checkpoint).stem, []).append(result)
    models = list(dict.fromkeys(name for found in held.values() for name in found))
    if len(models) < 2:
        raise UsageError(
            f"All results are of one model, {', '.join(models)}: there is nothing to compare it with.",
            hint="Name the models: unisono compare mine=mine_test.json other=other_test.json",
        )
    scores = []
    for benchmark, found in held.items():
        for measure in measures:
            scores += _scores(benchmark, measure, found, models[0], seed)
    return ComparisonTable(tuple(_corrected(scores)))


def _scores(
    benchmark: str, measure: Measure, found: dict[str, list[Result]], first: str, seed: int
) -> list[ModelScore]:
    """Score the models on one benchmark; the others are compared with the first one, if it has a result."""
    everything = [result for results in found.values() for result in results]
    candidates = {result.retrieval[TEXT_TO_MUSIC]["all"].candidates for result in everything}
    keys = [[(each.query, each.about) for each in result.queries[TEXT_TO_MUSIC]] for result in everything]
    if len(candidates) > 1 or any(set(each) != set(keys[0]) for each in keys):
        counts = sorted({(len(each), count) for each in keys for count in candidates})
        raise DataError(
            f"The results on {benchmark} cannot be compared: they have different queries or candidates ("
            + "; ".join(f"{queries:,} x {count:,}" for queries, count in counts)
            + ").",
            hint="Evaluate all models on the same music.",
        )
    about = np.unique([recording for _, recording in keys[0]], return_inverse=True)[1]
    values = {
        name: np.stack([_values(result, measure, keys[0]) for result in results]) for name, results in found.items()
    }
    scores = []
    for name in sorted(found, key=lambda each: each != first):
        of_seeds = values[name].mean(axis=1)
        score = ModelScore(
            name, benchmark, measure, len(keys[0]), next(iter(candidates)),
            len(of_seeds), float(of_seeds.mean()), float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else None,
        )  # fmt: skip
        if name != first and first in values:
            score = _compared(score, values[name].mean(axis=0) - values[first].mean(axis=0), about, seed)
        scores.append(score)
    return scores


def _values(result: Result, measure: Measure, keys: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Return a measure of each query, in the order of the keys."""
    place = {(each.query, each.about): each for each in result.queries[TEXT_TO_MUSIC]}
    return np.array([value_of(place[key], measure) for key in keys])


def value_of(query: QueryResult, measure: Measure) -> float:
    """Return a measure of one query."""
    if measure == "mrr":
        return 1 / query.rank
    if measure == "map@10":
        return query.average_precision
    if measure == "ndcg@10":
        if query.ndcg is None:
            raise DataError("ndcg@10 is measured only where judges graded the music: leave it out of the measures.")
        return query.ndcg
    return float(query.rank <= int(measure.partition("@")[2]))


def _compared(score: ModelScore, difference: NDArray[np.float64], about: NDArray[np.int64], seed: int) -> ModelScore:
    """Add the difference, its interval and its p-value."""
    drawn = resampled({"difference": difference, "rank": difference}, about, seed)["difference"]
    low, high = interval(drawn)
    sums = np.bincount(about, difference)
    observed = abs(sums.sum())
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, PERMUTATIONS, 500):  # a few at a time: there may be many recordings
        signs = rng.integers(0, 2, size=(min(500, PERMUTATIONS - start), len(sums)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ sums) >= observed - 1e-9).sum())
    p = (extreme + 1) / (PERMUTATIONS + 1)
    return replace(score, difference=float(difference.mean()), low=low, high=high, p=p)


def _corrected(scores: Sequence[ModelScore]) -> list[ModelScore]:
    """Correct the p-values of all comparisons by Holm's method."""
    compared = sorted((each.p, place) for place, each in enumerate(scores) if each.p is not None)
    found = list(scores)
    highest = 0.0
    for rank, (p, place) in enumerate(compared):
        highest = max(highest, min(1.0, p * (len(compared) - rank)))
        found[place] = replace(found[place], corrected=highest)
    return found
