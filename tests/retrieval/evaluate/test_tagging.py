import logging

import numpy as np
import pytest

from unisono.base.errors import DataError, UsageError
from unisono.embeddings.file import SplitRows
from unisono.embeddings.structure import ROW_TEXTS
from unisono.retrieval.evaluate.tagging import TagQueries, measure_tags, read_queries, tag_queries


def rows(tags, genres=None):
    count = len(tags)
    texts = {name: [""] * count for name in ROW_TEXTS} | {"genre": genres or [""] * count}
    return SplitRows(
        split="test", ids=[str(n) for n in range(count)], embeddings={}, captions=["c"] * count,
        caption_of=np.arange(count), caption_origin=[""] * count, texts=texts, tags=tags,
        start_s=np.zeros(count, np.float32), duration_s=np.ones(count, np.float32),
    )  # fmt: skip


def test_tags_are_sorted_and_rare_and_universal_ones_left_out():
    tags = [["flute", "happy", "loud", "xyzzy"], ["Flute", "sad"], ["violin", "happy"], ["acousticguitar", "happy"]]
    found = {each.category: each for each in tag_queries(rows(tags, ["Rock", "rock", "", "Jazz"]), min_tracks=2)}
    assert found["instrument"].tags == ["flute"]
    assert found["instrument"].prompts == ["music featuring flute"]
    assert found["instrument"].candidates.tolist() == [0, 1, 2, 3]
    assert found["instrument"].carries.tolist() == [[True, True, False, False]]
    assert found["genre"].candidates.tolist() == [0, 1, 3]  # nobody named the genre of the third
    assert found["genre"].carries.tolist() == [[True, True, False]]
    assert found["mood"].tags == ["happy"]
    assert found["genre"].tags == ["Rock"]
    assert tag_queries(rows([["flute"], ["flute"]]), min_tracks=1) == []


def test_areas_equal_scikit_learns():
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(0)
    carries = rng.random((6, 80)) < 0.2
    prompts, music = rng.normal(size=(6, 16)), rng.normal(size=(80, 16))
    scores = (prompts @ music.T) / np.linalg.norm(prompts, axis=1)[:, None] / np.linalg.norm(music, axis=1)
    names = [f"t{n}" for n in range(6)]
    found = measure_tags(TagQueries("mood", names, names, np.arange(80), carries), prompts, music, seed=0)
    for place, tag in enumerate(found.tags):
        assert tag.roc_auc == pytest.approx(roc_auc_score(carries[place], scores[place]))
        assert tag.pr_auc == pytest.approx(average_precision_score(carries[place], scores[place]))
        first = np.argsort(-scores[place])[:5]
        assert tag.precision_at_5 == carries[place][first].mean()
        assert tag.tracks == carries[place].sum()
    estimates = found.measured.estimates
    assert estimates["roc_auc"].value == pytest.approx(np.mean([tag.roc_auc for tag in found.tags]))
    one = carries.sum(axis=0) == 1
    assert found.accuracy_tracks == one.sum()
    assert found.accuracy.value == pytest.approx(
        (scores[:, one].argmax(axis=0) == carries[:, one].argmax(axis=0)).mean()
    )
    assert found.accuracy.chance == 1 / 6


def test_chance_is_what_random_embeddings_get():
    rng = np.random.default_rng(1)
    carries = np.zeros((3000, 30), dtype=bool)
    for row in carries:
        row[rng.choice(30, rng.integers(5, 12), replace=False)] = True
    names = [str(n) for n in range(3000)]
    random = measure_tags(
        TagQueries("queries", names, names, np.arange(30), carries),
        rng.normal(size=(3000, 64)),
        rng.normal(size=(30, 64)),
        seed=0,
    )
    for name, estimate in random.measured.estimates.items():
        assert estimate.value == pytest.approx(estimate.chance, abs=0.02), name
    assert random.accuracy is None


def test_excerpts_without_any_tag_of_the_category_are_no_candidates():
    carries = np.array([[True, False], [False, True]])
    music = np.array(
        [[9, 1], [1, 0], [0, 1], [1, 0.1]]
    )  # the first and the last are nearer to both prompts, but unlabelled
    queries = TagQueries("mood", ["sad", "happy"], ["sad music", "happy music"], np.array([1, 2]), carries)
    found = measure_tags(queries, np.eye(2), music, seed=0)
    assert found.measured.candidates == 2
    assert found.measured.estimates["roc_auc"].value == 1
    assert found.accuracy.value == 1


def test_equal_scores_count_against_the_model():
    carries = np.array([[True, True, False, False, False, False, False]])
    found = measure_tags(
        TagQueries("mood", ["sad"], ["sad music"], np.arange(7), carries), np.ones((1, 4)), np.ones((7, 4)), seed=0
    )
    (tag,) = found.tags
    assert tag.precision_at_5 == 0
    assert tag.roc_auc == 0


def test_queries_of_ones_own(tmp_path, caplog):
    path = tmp_path / "queries.txt"
    path.write_text("# comment\n\nslow flute\tFlute, slow\nrock!\tRock\ndrums\tdrums\n", encoding="utf-8")
    log = logging.getLogger("unisono")
    log.propagate = True
    data = rows([["flute", "slow"], ["flute"], []], ["", "", "Rock"])
    found = read_queries(path, data)
    assert found.prompts == ["slow flute", "rock!"]
    assert found.candidates.tolist() == [0, 1, 2]
    assert found.carries.tolist() == [[True, False, False], [False, False, True]]
    assert "line 5: no excerpt carries drums" in caplog.text


@pytest.mark.parametrize("line", ["flute", "flute\t", "\tflute", "flute\t , "])
def test_a_line_of_another_form_is_refused(tmp_path, line):
    (tmp_path / "q").write_text(f"ok\tflute\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"q line 2: expected a text, a tab and tags"):
        read_queries(tmp_path / "q", rows([["flute"]]))


def test_no_query_left(tmp_path):
    (tmp_path / "q").write_text("x\tflute\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no query has a relevant excerpt"):
        read_queries(tmp_path / "q", rows([["drums"]]))
    with pytest.raises(UsageError, match="There is no"):
        read_queries(tmp_path / "none", rows([["drums"]]))
