"""Several models, benchmarks and seeds in one table: p-values as scipy finds them, corrected as Holm wrote."""

import msgspec
import numpy as np
import pytest

from tests.retrieval.evaluate.test_compare import result
from unisono.base.errors import DataError, UsageError
from unisono.commands.compare import run
from unisono.retrieval.evaluate.significance import compare_all


def named(ranks, checkpoint="a.pt", called="test", **more):
    return msgspec.structs.replace(result(ranks, **more), checkpoint=checkpoint, called=called)


@pytest.fixture(scope="module")
def ranks():
    rng = np.random.default_rng(1)
    first = rng.integers(1, 40, 120)
    return first, np.maximum(first - rng.integers(-4, 8, 120), 1), rng.permutation(first)


def test_p_is_that_of_a_permutation_of_signs_and_is_corrected_for_all_comparisons(ranks):
    from scipy.stats import permutation_test

    first, better, other = ranks
    found = compare_all(
        [("", named(first)), ("", named(better, "b.pt")), ("", named(other, "c.pt"))], measures=["mrr"]
    ).scores
    assert [each.model for each in found] == ["a", "b", "c"] and found[0].p is None
    for score, its in zip(found[1:], (better, other), strict=True):
        expected = permutation_test(
            (1 / its, 1 / first),
            lambda one, two: np.mean(one - two),
            permutation_type="samples",
            n_resamples=10_000,
            rng=0,
        )
        assert score.difference == pytest.approx(expected.statistic)
        assert score.p == pytest.approx(expected.pvalue, abs=0.02)
        assert score.low <= score.difference <= score.high
    small, large = sorted(each.p for each in found[1:])
    assert sorted(each.corrected for each in found[1:]) == pytest.approx(
        [min(1, 2 * small), max(large, min(1, 2 * small))]
    )


def test_seeds_are_averaged_and_benchmarks_stand_in_one_table(ranks, tmp_path, capsys):
    first, better, other = ranks
    given = [
        ("mine", named(better, called="sdd")), ("mine", named(np.maximum(better - 1, 1), called="sdd")),
        ("theirs", named(first, called="sdd")),
        ("mine", named(better[:50], called="mc")), ("theirs", named(other[:50], called="mc")),
    ]  # fmt: skip
    files = []
    for number, (name, each) in enumerate(given):
        each.write(tmp_path / f"{number}.json")
        files.append(f"{name}={tmp_path / f'{number}.json'}")
    table = compare_all(given)
    assert [(each.benchmark, each.measure, each.model, each.seeds) for each in table.scores] == [
        (benchmark, measure, model, seeds if model == "mine" else 1)
        for benchmark, seeds in (("sdd", 2), ("mc", 1))
        for measure in ("recall@10", "mrr")
        for model in ("mine", "theirs")
    ]
    assert table.scores[0].deviation > 0 and table.scores[1].deviation is None
    assert run(files) == table
    assert "sdd (120 x" in " ".join(capsys.readouterr().out.split())
    run(files, to="latex")
    assert (latex := capsys.readouterr().out).count(r" \\") == 9 and r"\begin{tabular}{lllrrrrrrl}" in latex
    run(files, to="markdown")
    assert capsys.readouterr().out.count("\n|") == 9


def test_what_cannot_be_compared_is_refused(ranks):
    first, better, _ = ranks
    with pytest.raises(UsageError, match="All results are of one model, a"):
        compare_all([("", named(first)), ("", named(better))])
    with pytest.raises(DataError, match=r"different queries or candidates.*100 x .*120 x"):
        compare_all([("", named(first)), ("", named(better[:100], "b.pt"))])
    with pytest.raises(DataError, match="judges graded"):
        compare_all([("", named(first)), ("", named(better, "b.pt"))], measures=["ndcg@10"])
