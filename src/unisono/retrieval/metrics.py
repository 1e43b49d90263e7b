"""Retrieval metrics: first the rank of every relevant candidate, then all metrics from the ranks.

A *query* is ranked against *candidates*; the candidates that answer it are *relevant*. Ranks count from 1.

Ties count against the model: of equal scores, candidates that are not relevant come before relevant ones. So a model with
the same score for every candidate has the worst ranks, and the metrics do not depend on the order of sorting. Equal means
within `TIE`, because the product of the same two vectors can differ in its last bits from place to place in a matrix.

Scores are computed for a block of queries at a time: memory stays bounded however many queries there are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError

Floats = NDArray[np.float32]
PerQuery = dict[str, NDArray[np.float64]]
"""Name of a measure -> its value for each query [Q]."""

TEXT_TO_MUSIC = "text_to_music"
MUSIC_TO_TEXT = "music_to_text"
DIRECTIONS = {TEXT_TO_MUSIC: "text to music", MUSIC_TO_TEXT: "music to text"}
"""Both directions of retrieval, and their names in print."""
CUTOFFS = (1, 5, 10)
TIE = 1e-6
"""Cosines closer than this are equal: a few times the rounding error of a float32 dot product of 1,000 numbers."""
BLOCK_BYTES = 1 << 28
"""The most memory for the scores of one block of queries."""
MANY_RELEVANT = 16
"""With more relevant candidates than this, sorting the scores of a query is faster than comparing for each of them."""


@dataclass(frozen=True)
class Relevance:
    """Which candidates are relevant to which query; every query has at least one."""

    offsets: NDArray[np.int64]
    """[Q + 1]: the candidates relevant to query q are `candidate[offsets[q]:offsets[q + 1]]`."""
    candidate: NDArray[np.int64]
    """[R], ascending within a query."""
    candidates: int
    """Number C of candidates, relevant or not."""

    @classmethod
    def from_pairs(
        cls, query: NDArray[np.int64], candidate: NDArray[np.int64], queries: int, candidates: int
    ) -> "Relevance":
        """Build it from (query, candidate) pairs in any order; pairs may repeat.

        Raises:
            DataError: a query has no relevant candidate.
        """
        keys = np.unique(query.astype(np.int64) * candidates + candidate)
        counts = np.bincount(keys // max(candidates, 1), minlength=queries)
        if len(counts) == 0 or not counts.all():
            raise DataError(f"{int((counts == 0).sum())} of {queries} queries have no relevant candidate.")
        return cls(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), keys % candidates, candidates)

    @property
    def queries(self) -> int:
        """Number Q of queries."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of relevant candidates of each query [Q]."""
        counts: NDArray[np.int64] = np.diff(self.offsets)
        return counts

    @property
    def query(self) -> NDArray[np.int64]:
        """The query of each pair [R]."""
        return np.repeat(np.arange(self.queries), self.counts)

    def reversed(self) -> "Relevance":
        """Return it with queries and candidates swapped. Every candidate must be relevant to some query."""
        return Relevance.from_pairs(self.candidate, self.query, self.candidates, self.queries)

    def only(self, queries: NDArray[np.int64]) -> "Relevance":
        """Return it for some of the queries, in the order given, and all candidates."""
        counts = self.counts[queries]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Relevance(offsets, self.candidate[self.pairs(queries)], self.candidates)

    def pairs(self, queries: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of the pairs of these queries among all pairs."""
        counts = self.counts[queries]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        positions: NDArray[np.int64] = np.repeat(self.offsets[queries], counts) + within
        return positions


def normalised(embeddings: NDArray[np.floating], what: str = "embeddings") -> Floats:
    """Scale each row [n, D] (or [n, W, D]) to length 1; a row of zeros stays zero.

    Raises:
        DataError: some numbers are not finite.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    bad = ~np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    if bad.any():
        raise DataError(f"{int(bad.sum())} of {len(rows)} {what} are not finite (first: row {int(bad.argmax())}).")
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: Floats = (rows / np.where(length > 0, length, 1)).astype(np.float32, copy=False)
    return unit


def similarities(queries: Floats, candidates: Floats) -> Floats:
    """Return the cosine of each of Q queries with each of C candidates, [Q, C].

    Args:
        queries: [Q, D], unit vectors; or [Q, W, D], several of each, of which the one that fits best counts.
        candidates: [C, D] or [C, W, D].
    """
    one, other = (
        [each] if each.ndim == 2 else [each[:, place] for place in range(each.shape[1])]
        for each in (queries, candidates)
    )
    return reduce(np.maximum, (asked @ offered.T for asked in one for offered in other))


def ranks(
    queries: NDArray[np.floating],
    candidates: NDArray[np.floating],
    relevance: Relevance,
    block_bytes: int = BLOCK_BYTES,
    penalty: Floats | None = None,
) -> NDArray[np.int64]:
    """Rank every relevant candidate by cosine similarity.

    Args:
        queries: [Q, D]; or [Q, W, D], see `similarities`.
        candidates: [C, D] or [C, W, D].
        relevance: which candidates are relevant to which query.
        block_bytes: the most memory for scores.
        penalty: [C], what is subtracted from the similarity of each candidate.

    Returns:
        The ranks [R], from 1, in the order of `relevance.offsets`; ascending within a query.
    """
    asked, offered = normalised(queries, "queries"), normalised(candidates, "candidates")
    if len(asked) != relevance.queries or len(offered) != relevance.candidates:
        raise ValueError(
            f"{len(asked)} x {len(offered)} embeddings for {relevance.queries} x {relevance.candidates} relevances"
        )
    size = max(1, block_bytes // (4 * max(len(offered), 1)))
    blocks = (similarities(asked[start : start + size], offered) for start in range(0, len(asked), size))
    return ranks_by(blocks if penalty is None else (scores - penalty for scores in blocks), relevance)


def ranks_by(blocks: Iterable[Floats], relevance: Relevance) -> NDArray[np.int64]:
    """Rank every relevant candidate by scores, as `ranks` does.

    Args:
        blocks: of the scores [q, C] of the queries, in their order.
        relevance: which candidates are relevant to which query.
    """
    found = np.empty(len(relevance.candidate), dtype=np.int64)
    start = 0
    for scores in blocks:
        bounds = relevance.offsets[start : start + len(scores) + 1]
        for positions, part in _ranks_in_block(scores, bounds - bounds[0], relevance.candidate[bounds[0] : bounds[-1]]):
            found[bounds[0] + positions] = part
        start += len(scores)
    return found


def _ranks_in_block(
    scores: Floats, offsets: NDArray[np.int64], candidate: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (positions among the pairs of the block, their ranks) until all pairs are ranked.

    Before the i-th best relevant candidate (i from 1) of a query come i - 1 relevant ones and every other candidate
    with an equal or higher score.
    """
    counts = np.diff(offsets)
    few = np.flatnonzero((counts > 0) & (counts <= MANY_RELEVANT))
    for place in range(int(counts[few].max(initial=0))):
        rows = few[counts[few] > place]
        own = _relevant_scores(scores, rows, offsets, candidate)
        threshold = own[:, [place]] - np.float32(TIE)
        as_good = np.count_nonzero((scores if len(rows) == len(scores) else scores[rows]) >= threshold, axis=1)
        yield offsets[rows] + place, place + 1 + as_good - np.count_nonzero(own >= threshold, axis=1)
    for row in np.flatnonzero(counts > MANY_RELEVANT):
        ascending = np.sort(scores[row, candidate[offsets[row] : offsets[row + 1]]])
        threshold = ascending[::-1] - np.float32(TIE)
        as_good = scores.shape[1] - np.searchsorted(np.sort(scores[row]), threshold)
        places = np.arange(len(threshold))
        yield offsets[row] + places, places + 1 + as_good - (len(ascending) - np.searchsorted(ascending, threshold))


def _relevant_scores(
    scores: Floats, rows: NDArray[np.int64], offsets: NDArray[np.int64], candidate: NDArray[np.int64]
) -> Floats:
    """Return the scores of the relevant candidates of each row, best first, padded with -inf: [rows, most relevant]."""
    counts = np.diff(offsets)[rows]
    place = np.arange(counts.max())
    there = place < counts[:, None]
    position = np.minimum(offsets[rows][:, None] + place, len(candidate) - 1)
    own = np.where(there, scores[rows[:, None], candidate[position]], -np.inf)
    best_first: Floats = -np.sort(-own, axis=1)
    return best_first


def per_query(found: NDArray[np.int64], relevance: Relevance) -> PerQuery:
    """Compute the measures of each query from the ranks of its relevant candidates.

    - `recall@k`: 1 if any relevant candidate is among the first k, else 0 (also called hit rate).
    - `fraction@k`: the share of the relevant candidates that are among the first k.
    - `precision@k`: the share of the first k that are relevant.
    - `mrr`: 1 / rank of the best relevant candidate.
    - `map@10`: the mean of the precision at each relevant candidate among the first 10, over min(10, relevant).
    - `rank`: rank of the best relevant candidate.
    """
    begin = relevance.offsets[:-1]
    best = found[begin].astype(np.float64)
    counts = relevance.counts
    values: PerQuery = {}
    for k in CUTOFFS:
        inside = np.add.reduceat((found <= k).astype(np.float64), begin)
        values[f"recall@{k}"] = (best <= k).astype(np.float64)
        values[f"fraction@{k}"] = inside / counts.astype(np.float64)
        values[f"precision@{k}"] = inside / k
    place = np.arange(len(found)) - np.repeat(begin, counts) + 1
    precision = np.where(found <= 10, place / found, 0.0)
    values["map@10"] = np.add.reduceat(precision, begin) / np.minimum(counts, 10)
    values["mrr"] = 1 / best
    values["rank"] = best
    return values


def ndcg(
    queries: NDArray[np.floating], candidates: NDArray[np.floating], grades: Floats, k: int = 10
) -> NDArray[np.float64]:
    """Compute nDCG@k of each query [Q]: the gain of a candidate is its grade, discounted by log2(rank + 1).

    Of equal scores, which here round to the same multiple of `TIE`, the lower grade comes first.

    Args:
        queries: [Q, D].
        candidates: [C, D] or [C, W, D], see `similarities`.
        grades: [Q, C], from 0 on; every query has a positive one.
        k: the number of places that count.
    """
    asked, offered = normalised(queries, "queries"), normalised(candidates, "candidates")
    found = np.empty(len(asked))
    for row, grade in enumerate(grades):
        scores = similarities(asked[row : row + 1], offered)[0]
        order = np.lexsort((grade, -np.round(scores / TIE)))[:k]
        found[row] = grade[order] @ _discounts(len(order))
    return found / ideal_gain(grades, k)


def ideal_gain(grades: Floats, k: int = 10) -> NDArray[np.float64]:
    """Return the discounted gain of the best order of the candidates, for each query [Q]."""
    best = -np.sort(-grades, axis=1)[:, :k].astype(np.float64)
    gain: NDArray[np.float64] = best @ _discounts(best.shape[1])
    return gain


def chance_ndcg(grades: Floats, k: int = 10) -> NDArray[np.float64]:
    """Return the expectation of nDCG@k under a random order of the candidates, for each query [Q]."""
    expected: NDArray[np.float64] = grades.mean(axis=1, dtype=np.float64) * _discounts(min(k, grades.shape[1])).sum()
    return expected / ideal_gain(grades, k)


def _discounts(places: int) -> NDArray[np.float64]:
    """Return 1 / log2(rank + 1) of the first ranks."""
    discounts: NDArray[np.float64] = 1 / np.log2(np.arange(places) + 2)
    return discounts


def summary(values: PerQuery) -> dict[str, float]:
    """Return the mean of each measure over the queries; for `rank` the median, as `median_rank`."""
    means = {name: float(value.mean()) for name, value in values.items() if name != "rank"}
    return {**means, "median_rank": float(np.median(values["rank"]))}


def chance(relevance: Relevance) -> dict[str, float]:
    """Compute the exact expectation of each measure under a random order of the candidates.

    For `median_rank` it is the median of the distribution of the best ranks over all queries.
    """
    numbers, weights = np.unique(relevance.counts, return_counts=True)
    expected: dict[str, float] = {}
    at_most = np.zeros(relevance.candidates)
    for relevant, weight in zip(numbers.tolist(), weights / weights.sum(), strict=True):
        distribution = _best_rank_at_most(relevant, relevance.candidates)
        at_most = at_most + float(weight) * distribution
        for name, value in _chance(relevant, relevance.candidates, distribution).items():
            expected[name] = expected.get(name, 0.0) + float(weight * value)
    expected["median_rank"] = float(np.searchsorted(at_most, 0.5 - 1e-12) + 1)
    return expected


def _best_rank_at_most(relevant: int, candidates: int) -> NDArray[np.float64]:
    """Return the probability that the best relevant candidate has a rank of at most 1, 2, ... [C]."""
    rank = np.arange(candidates)
    others_left = np.maximum(candidates - relevant - rank, 0)
    none_yet = np.cumprod(others_left / (candidates - rank), dtype=np.float64)
    return np.subtract(1, none_yet, dtype=np.float64)


def _chance(relevant: int, candidates: int, best_at_most: NDArray[np.float64]) -> dict[str, float]:
    values = {}
    for k in CUTOFFS:
        values[f"recall@{k}"] = best_at_most[min(k, candidates) - 1]
        values[f"fraction@{k}"] = min(k, candidates) / candidates
        values[f"precision@{k}"] = min(k, candidates) * relevant / candidates / k
    rank = np.arange(1, min(10, candidates) + 1)
    others = (relevant - 1) / max(
        candidates - 1, 1
    )  # probability that a candidate is relevant, given that another one is
    values["map@10"] = relevant / candidates * ((1 + (rank - 1) * others) / rank).sum() / min(relevant, 10)
    values["mrr"] = (np.diff(best_at_most, prepend=0) / np.arange(1, candidates + 1)).sum()
    return values


def intervals(
    values: PerQuery, cluster: NDArray[np.int64], *, seed: int, resamples: int = 1000
) -> dict[str, tuple[float, float]]:
    """Return the 95 % percentile interval of each measure of the summary, from `resampled`."""
    return {name: interval(drawn) for name, drawn in resampled(values, cluster, seed, resamples).items()}


def interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval of the middle 95 % of resampled values."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def resampled(
    values: PerQuery, cluster: NDArray[np.int64], seed: int, resamples: int = 1000
) -> dict[str, NDArray[np.float64]]:
    """Bootstrap the summary: its measures on resampled clusters of queries, each [resamples].

    Args:
        values: measures of each query.
        cluster: [Q] the recording of each query; clusters are drawn, not queries, since the queries of one recording
            are correlated.
        seed: of the resampling; the same seed and clusters draw the same resamples.
        resamples: how many to draw.
    """
    _, member = np.unique(cluster, return_inverse=True)
    clusters = int(member.max()) + 1
    names = [name for name in values if name != "rank"]
    sums = np.stack([np.bincount(member, values[name], clusters) for name in names], axis=1)
    sizes = np.bincount(member, minlength=clusters)
    by_rank = np.argsort(values["rank"], kind="stable")
    ascending, member_of_ascending = values["rank"][by_rank], member[by_rank]
    rng = np.random.default_rng(seed)
    means, medians = np.empty((resamples, len(names))), np.empty(resamples)
    for number in range(resamples):
        times = np.bincount(rng.integers(clusters, size=clusters), minlength=clusters)
        means[number] = times @ sums / (times @ sizes)
        medians[number] = _weighted_median(ascending, times[member_of_ascending])
    return {**{name: means[:, column] for column, name in enumerate(names)}, "median_rank": medians}


def _weighted_median(ascending: NDArray[np.float64], times: NDArray[np.int64]) -> float:
    """Return the median of ascending values, each repeated `times` times."""
    upto = np.cumsum(times)
    total = int(upto[-1])
    lower, upper = np.searchsorted(upto, [(total + 1) // 2, total // 2 + 1])
    return float(ascending[lower] + ascending[upper]) / 2
