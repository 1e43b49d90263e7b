import numpy as np
import pytest

from tests.retrieval.evaluate.test_tagging import rows
from unisono.retrieval.evaluate.baselines import ridge, tag_overlap
from unisono.tracks.vocabulary import terms_in


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        (
            "An upbeat Electronic track featuring synthesizer and drums",
            {"upbeat", "Electronic", "synthesizer", "drums"},
        ),
        ("a piece for acoustic guitar", {"acoustic guitar"}),
        ("guitar, acoustic", {"guitar", "acoustic"}),
        ("", set()),
    ],
)
def test_terms_in_captions(text, terms):
    assert terms_in(text) == terms


def test_tag_overlap_scores_shared_tags_and_rare_ones_higher():
    data = rows([["flute", "happy"], ["happy"], ["violin", "happy"], []], ["", "", "", "Rock"])
    texts, music = tag_overlap(["a happy flute", "rock!", "nothing known"], data)
    scores = texts @ music.T
    assert scores[0].argmax() == 0
    assert scores[0, 1] == scores[0, 2] > 0
    assert scores[1].tolist()[:3] == [0, 0, 0]
    assert scores[1, 3] > 0
    assert not scores[2].any()


def test_no_tags_at_all():
    texts, music = tag_overlap(["x"], rows([[], []]))
    assert not (texts @ music.T).any()


def test_ridge_equals_scikit_learns():
    rng = np.random.default_rng(0)
    inputs, outputs = rng.normal(size=(40, 6)).astype(np.float32), rng.normal(size=(40, 3))
    penalty = np.trace(inputs.T @ inputs) / 6
    from sklearn.linear_model import Ridge  # only the process that runs this test loads it

    expected = Ridge(alpha=penalty, fit_intercept=False).fit(inputs, outputs).coef_.T
    assert ridge(inputs, outputs) == pytest.approx(expected, rel=1e-3, abs=1e-5)
