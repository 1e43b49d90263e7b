import numpy as np
import pytest

from tests.retrieval.evaluate.test_tagging import rows as blank_rows
from unisono.retrieval.evaluate import ranking
from unisono.retrieval.metrics import MUSIC_TO_TEXT, TEXT_TO_MUSIC
from unisono.retrieval.pairing import pair_rows
from unisono.retrieval.split_rows import keep_captions, keep_rows


@pytest.fixture
def rows():
    rows = blank_rows([[]] * 4)
    rows.captions = ["a", "b", "c", "b", "d"]
    rows.caption_of = np.array([0, 0, 1, 2, 3])
    rows.caption_origin = ["human", "tags", "tags", "tags", "human"]
    rows.texts["dataset"] = ["x", "x", "y", "y"]
    return rows


def test_slices_are_of_queries(rows):
    found = ranking.slices(rows, pair_rows(rows))
    assert {name: part.tolist() for name, part in found[TEXT_TO_MUSIC].items()} == {
        "dataset x": [0, 1, 2],
        "dataset y": [1, 3],
        "captions by human": [0, 3],
        "captions by tags": [1, 2],
    }
    assert {name: part.tolist() for name, part in found[MUSIC_TO_TEXT].items()} == {
        "dataset x": [0, 1],
        "dataset y": [2, 3],
        "captions by human": [0, 3],
        "captions by tags": [0, 1, 2],
    }


def test_the_same_captions_under_two_names_get_one_line(rows):
    rows.caption_origin = ["human", "human", "human", "tags", "tags"]
    found = ranking.slices(rows, pair_rows(rows))
    assert list(found[TEXT_TO_MUSIC]) == ["dataset x, captions by human", "dataset y, captions by tags"]


def test_one_dataset_and_one_origin_need_no_lines(rows):
    rows.texts["dataset"] = ["x"] * 4
    rows.caption_origin = ["human"] * 5
    assert ranking.slices(rows, pair_rows(rows)) == {TEXT_TO_MUSIC: {}, MUSIC_TO_TEXT: {}}


def test_a_slice_is_measured_among_all_candidates(rows):
    pairing = pair_rows(rows)
    rng = np.random.default_rng(0)
    ranked = ranking.rank_both(pairing, rng.normal(size=(4, 8)), rng.normal(size=(4, 8)))
    measured = ranking.measure_all(rows, pairing, ranked, seed=1)[TEXT_TO_MUSIC]
    part = measured["dataset y"]
    assert (part.queries, part.candidates) == (2, 4)
    assert part.relevant == 1.5  # "b" describes two tracks
    rank = ranked[TEXT_TO_MUSIC].values["rank"]
    assert part.estimates["mrr"].value == pytest.approx((1 / rank[[1, 3]]).mean())
    assert measured["all"].estimates["mrr"].value == pytest.approx((1 / rank).mean())
    assert part.estimates["recall@1"].chance == pytest.approx((2 / 4 + 1 / 4) / 2)


def test_every_query_is_listed(rows):
    pairing = pair_rows(rows)
    ranked = ranking.rank_both(pairing, np.eye(4), np.eye(4))
    listed = ranking.query_results(rows, pairing, ranked)
    assert [each.query for each in listed[TEXT_TO_MUSIC]] == ["a", "b", "c", "d"]
    assert [each.about for each in listed[TEXT_TO_MUSIC]] == ["0", "0", "1", "3"]
    assert [each.query for each in listed[MUSIC_TO_TEXT]] == ["0", "1", "2", "3"]
    assert listed[TEXT_TO_MUSIC][0].rank == 1


def test_keeping_rows_keeps_their_captions(rows):
    kept = keep_rows(rows, np.array([True, False, True, True]))
    assert kept.ids == ["0", "2", "3"]
    assert kept.captions == ["a", "b", "b", "d"]
    assert kept.caption_of.tolist() == [0, 0, 1, 2]
    assert kept.texts["dataset"] == ["x", "y", "y"]


def test_keeping_captions_keeps_the_excerpts_that_have_one(rows):
    kept, described = keep_captions(rows, np.array([False, True, False, False, True]))
    assert described.tolist() == [True, False, False, True]
    assert kept.ids == ["0", "3"]
    assert kept.captions == ["b", "d"]
    assert kept.caption_of.tolist() == [0, 1]
