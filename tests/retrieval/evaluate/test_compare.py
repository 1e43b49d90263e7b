import numpy as np
import pytest

from unisono.base.errors import DataError
from unisono.retrieval.evaluate.compare import compare
from unisono.retrieval.evaluate.measured import Estimate, Measured
from unisono.retrieval.evaluate.result import QueryResult, Result


def result(ranks, candidates=100, recordings=None):
    recordings = recordings or [f"r{n}" for n in range(len(ranks))]
    queries = [
        QueryResult(f"q{n}", about, int(rank), float(1 / rank) if rank <= 10 else 0.0)
        for n, (rank, about) in enumerate(zip(ranks, recordings, strict=True))
    ]
    measured = {"all": Measured(len(ranks), candidates, 1, len(ranks), {"mrr": Estimate(0, 0, 0, 0)})}
    return Result(
        version="", checkpoint="model.pt", audio_encoder="", text_encoder="", data="", called="test", protocol=[],
        retrieval={"text_to_music": measured, "music_to_text": measured},
        queries={"text_to_music": queries, "music_to_text": queries},
    )  # fmt: skip


def compared(first, second):
    return compare(first, second).directions["text_to_music"]


def test_by_hand(tmp_path):
    result([1, 2, 20]).write(tmp_path / "a.json")
    result([1, 1, 4]).write(tmp_path / "b.json")
    comparison = compare(str(tmp_path / "a.json"), tmp_path / "b.json")
    found = comparison.directions["text_to_music"]
    assert (found.queries, found.left_out, found.candidates) == (3, 0, 100)
    assert found.differences["recall@1"].first == pytest.approx(1 / 3)
    assert found.differences["recall@1"].second == pytest.approx(2 / 3)
    assert found.differences["median_rank"].first == 2
    assert found.differences["median_rank"].second == 1
    assert "text to music: 3 queries among 100 candidates" in repr(comparison)
    assert f"first:  {tmp_path / 'a.json'} (model.pt)" in repr(comparison)
    assert '<td style="text-align: left">MRR</td>' in comparison._repr_html_()


def test_pairing_shows_a_small_difference_that_unpaired_intervals_hide():
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 90, 400)
    found = compared(result(ranks), result(np.maximum(ranks - 2, 1))).differences
    assert found["mrr"].low > 0
    assert found["mrr"].verdict == "second higher"
    assert found["median_rank"].verdict == "first higher"
    assert found["median_rank"].low == found["median_rank"].high == -2
    assert compared(result(ranks), result(rng.permutation(ranks))).differences["mrr"].low < 0


def test_two_models_alike_show_no_difference():
    rng = np.random.default_rng(1)
    found = compared(result(rng.integers(1, 90, 400)), result(rng.integers(1, 90, 400))).differences
    assert found["mrr"].verdict == "no difference shown"


def test_only_queries_of_both_count():
    second = result([1, 2, 3, 4])
    second.queries["text_to_music"][3] = QueryResult("another", "r3", 1, 1)
    assert compared(result([1, 2, 3, 4]), second).left_out == 2


def test_what_was_not_asked_the_same_is_refused():
    with pytest.raises(DataError, match="among 100 and among 50 candidates"):
        compared(result([1, 2]), result([1, 2], candidates=50))
    with pytest.raises(DataError, match="no query in common"):
        compared(result([1, 2]), result([1, 2], recordings=["x", "y"]))
