"""The metrics against hand-computed cases, against scikit-learn, and against the plainest possible implementation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.base.errors import DataError
from unisono.retrieval import metrics
from unisono.retrieval.metrics import Relevance, chance, intervals, per_query, ranks, summary


def relevance(table):
    """Make a relevance from a table of 0 and 1 [Q, C]."""
    table = np.asarray(table)
    query, candidate = np.nonzero(table)
    return Relevance.from_pairs(query, candidate, *table.shape)


def with_scores(scores) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings whose cosines are in the order of the scores, equal where the scores are equal."""
    scores = np.asarray(scores, dtype=np.float64)
    angle = np.sqrt(1 / scores.shape[1]) * scores / (1 + np.abs(scores).max())
    rest = np.sqrt(1 - (angle**2).sum(axis=1, keepdims=True))
    return np.hstack([angle, rest]), np.eye(scores.shape[1], scores.shape[1] + 1)


def plain_ranks(scores, table):
    """Sort with Python: better scores first, and among equals what is wrong first."""
    found = []
    for row, right in zip(scores, table, strict=True):
        order = sorted(range(len(row)), key=lambda c: (-row[c], right[c]))
        found += [place for place, c in enumerate(order, 1) if right[c]]
    return found


tables = st.integers(1, 6).flatmap(
    lambda queries: st.integers(1, 30).flatmap(
        lambda candidates: st.tuples(
            st.lists(
                st.lists(st.integers(-2, 2), min_size=candidates, max_size=candidates),
                min_size=queries,
                max_size=queries,
            ),
            st.lists(
                st.lists(st.booleans(), min_size=candidates, max_size=candidates).filter(any),
                min_size=queries,
                max_size=queries,
            ),
        )
    )
)


@settings(deadline=None)
@given(tables, st.sampled_from([1, 100, 10_000]))
def test_ranks_equal_those_of_a_plain_sort_with_ties_against_us(scores_and_table, block_bytes):
    scores, table = scores_and_table
    queries, candidates = with_scores(scores)
    found = ranks(queries, candidates, relevance(table), block_bytes=block_bytes)
    assert found.tolist() == plain_ranks(scores, table)


def test_more_relevant_candidates_than_are_compared_one_by_one_give_the_same_ranks():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (5, 200))
    table = rng.random((5, 200)) < np.array([[0.01], [0.05], [0.2], [0.5], [1.0]])
    table[0, 3] = True
    assert table.sum(axis=1).min() <= metrics.MANY_RELEVANT < table.sum(axis=1).max()
    queries, candidates = with_scores(scores)
    assert ranks(queries, candidates, relevance(table)).tolist() == plain_ranks(scores, table)


def test_by_hand():
    # query 0: the right one is second. Query 1: right ones are first and third.
    queries, candidates = with_scores([[9, 5, 1, 0], [0, 9, 5, 3]])
    right = relevance([[0, 1, 0, 0], [0, 1, 0, 1]])
    found = ranks(queries, candidates, right)
    assert found.tolist() == [2, 1, 3]
    values = summary(per_query(found, right))
    assert values["recall@1"] == 0.5
    assert values["recall@5"] == 1
    assert values["fraction@1"] == (0 + 1 / 2) / 2
    assert values["precision@5"] == pytest.approx((1 / 5 + 2 / 5) / 2)
    assert values["mrr"] == (1 / 2 + 1) / 2
    assert values["map@10"] == pytest.approx((1 / 2 + (1 + 2 / 3) / 2) / 2)
    assert values["median_rank"] == 1.5


def test_average_precision_stops_at_ten_and_divides_by_at_most_ten():
    scores = -np.arange(40)[None]
    table = np.zeros((1, 40), dtype=bool)
    table[0, [1, 10, 11]] = True  # ranks 2, 11, 12
    right = relevance(table)
    assert per_query(ranks(*with_scores(scores), right), right)["map@10"] == pytest.approx((1 / 2) / 3)
    right = relevance(np.ones((1, 40), dtype=bool))
    assert per_query(ranks(*with_scores(scores), right), right)["map@10"] == pytest.approx(1)


def test_a_model_that_gives_everything_the_same_embedding_is_last_everywhere():
    right = relevance(np.eye(70))
    rng = np.random.default_rng(0)
    same = np.repeat(rng.normal(size=(1, 512)).astype(np.float16), 70, axis=0)
    assert set(ranks(same, same, right)) == {70}
    zeros = np.zeros((70, 512))
    assert set(ranks(zeros, zeros, right)) == {70}


def test_a_perfect_model_is_first_everywhere():
    embeddings = np.random.default_rng(0).normal(size=(300, 64))
    right = relevance(np.eye(300))
    values = summary(per_query(ranks(embeddings, 7 * embeddings, right), right))
    assert values["recall@1"] == values["mrr"] == values["map@10"] == values["median_rank"] == 1


def test_ranks_do_not_depend_on_blocks_or_order():
    rng = np.random.default_rng(1)
    queries, candidates = rng.normal(size=(90, 8)), rng.normal(size=(70, 8))
    table = rng.random((90, 70)) < 0.1
    table[:, 0] = True
    whole = ranks(queries, candidates, relevance(table))
    assert np.array_equal(whole, ranks(queries, candidates, relevance(table), block_bytes=1000))
    order = rng.permutation(70)
    assert np.array_equal(whole, ranks(queries, candidates[order], relevance(table[:, order])))


def test_mrr_and_full_average_precision_equal_scikit_learns():
    from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

    rng = np.random.default_rng(2)
    scores = rng.normal(size=(50, 10))  # ten candidates: mAP@10 is the whole average precision
    table = rng.random((50, 10)) < 0.3
    table[:, 0] |= ~table.any(axis=1)
    right = relevance(table)
    values = per_query(ranks(*with_scores(scores), right), right)
    assert values["map@10"].mean() == pytest.approx(label_ranking_average_precision_score(table, scores))
    for row in range(50):
        assert values["map@10"][row] == pytest.approx(average_precision_score(table[row], scores[row]))


@pytest.mark.parametrize(("candidates", "relevant"), [(1, 1), (5, 1), (6, 2), (6, 3), (7, 7)])
def test_chance_is_the_mean_over_all_orders(candidates, relevant):
    right = relevance([[1] * relevant + [0] * (candidates - relevant)])
    every: dict[str, list[float]] = {}
    for places in itertools.combinations(range(1, candidates + 1), relevant):
        for name, value in per_query(np.array(places), right).items():
            every.setdefault(name, []).append(float(value[0]))
    expected = chance(right)
    for name, seen in every.items():
        if name != "rank":
            assert expected[name] == pytest.approx(np.mean(seen)), name
    ranks_below = np.sort(every["rank"])
    assert expected["median_rank"] == ranks_below[(len(ranks_below) - 1) // 2]


def test_chance_mixes_queries_with_different_numbers_of_relevant_candidates():
    table = np.zeros((3, 20), dtype=bool)
    table[0, :1], table[1, :5], table[2, :5] = True, True, True
    one, five = chance(relevance(table[:1])), chance(relevance(table[1:]))
    mixed = chance(relevance(table))
    for name in ("recall@1", "recall@10", "mrr", "map@10", "fraction@5", "precision@5"):
        assert mixed[name] == pytest.approx((one[name] + 2 * five[name]) / 3)


def test_random_embeddings_score_at_chance():
    rng = np.random.default_rng(3)
    queries, candidates = rng.normal(size=(4000, 32)), rng.normal(size=(100, 32))
    table = rng.random((4000, 100)) < 0.02
    table[:, 0] |= ~table.any(axis=1)
    right = relevance(table)
    values = per_query(ranks(queries, candidates, right), right)
    seen, expected = summary(values), chance(right)
    for name in ("recall@1", "recall@10", "mrr", "map@10", "fraction@10", "precision@5"):
        error = values[name].std() / np.sqrt(4000)
        assert abs(seen[name] - expected[name]) < 5 * error, name
    assert seen["median_rank"] == pytest.approx(expected["median_rank"], rel=0.1)


def test_intervals_are_seeded_and_hold_the_value():
    rng = np.random.default_rng(4)
    right = relevance(np.eye(200))
    found = rng.integers(1, 200, 200)
    values = per_query(found, right)
    first = intervals(values, np.arange(200), seed=1, resamples=300)
    assert first == intervals(values, np.arange(200), seed=1, resamples=300)
    assert first != intervals(values, np.arange(200), seed=2, resamples=300)
    for name, value in summary(values).items():
        assert first[name][0] <= value <= first[name][1]


def test_an_interval_has_the_width_that_theory_gives():
    hit = np.repeat([0.0, 1.0], [300, 100])
    low, high = intervals({"recall@1": hit, "rank": 2 - hit}, np.arange(400), seed=0, resamples=4000)["recall@1"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 * 0.75 / 400), rel=0.06)


def test_captions_of_one_recording_are_drawn_together():
    # Five captions a recording that succeed or fail together carry as much as one: the interval is not narrower.
    hit = np.repeat(np.tile([0.0, 1.0], 40), 5)
    values = {"recall@1": hit, "rank": 2 - hit}
    together = intervals(values, np.repeat(np.arange(80), 5), seed=0)["recall@1"]
    single = intervals({name: value[::5] for name, value in values.items()}, np.arange(80), seed=0)["recall@1"]
    apart = intervals(values, np.arange(400), seed=0)["recall@1"]
    assert together == single
    assert apart[1] - apart[0] < 0.6 * (together[1] - together[0])


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), min_size=1, max_size=30).filter(
        lambda p: any(n for _, n in p)
    )
)
def test_the_weighted_median_is_the_median_of_the_values_repeated(pairs):
    pairs = sorted(pairs)
    values, times = np.array([p[0] for p in pairs], dtype=float), np.array([p[1] for p in pairs])
    assert metrics._weighted_median(values, times) == np.median(np.repeat(values, times))


def test_parts_of_a_relevance():
    table = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
    right = relevance(table)
    assert right.counts.tolist() == [2, 1, 2]
    back = right.reversed()
    assert (back.queries, back.candidates) == (4, 3)
    assert back.query.tolist() == [0, 1, 2, 2, 3]
    assert back.candidate.tolist() == [0, 1, 0, 2, 2]
    part = right.only(np.array([2, 0]))
    assert part.offsets.tolist() == [0, 2, 4]
    assert part.candidate.tolist() == [2, 3, 0, 2]
    assert right.pairs(np.array([2, 0])).tolist() == [3, 4, 0, 1]


def test_a_query_without_a_right_answer_is_refused():
    with pytest.raises(DataError, match="1 of 2 queries have no relevant candidate"):
        Relevance.from_pairs(np.array([1]), np.array([0]), 2, 3)


def test_numbers_that_are_not_finite_are_refused_with_their_row():
    bad = np.ones((4, 3))
    bad[2, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of 4 candidates are not finite \(first: row 2\)"):
        ranks(np.ones((4, 3)), bad, relevance(np.eye(4)))


def test_embeddings_and_relevances_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="3 x 4 embeddings for 4 x 4"):
        ranks(np.ones((3, 2)), np.ones((4, 2)), relevance(np.eye(4)))
