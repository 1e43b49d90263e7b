"""Whether a result is said to fit, with the real text encoder and a model in which music lies where its words do."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.retrieval.test_collection import BLANK
from unisono.embeddings.encoders.text import minilm
from unisono.retrieval.collection import Collection
from unisono.search.query import Query
from unisono.search.run import search

MUSIC = [
    "death metal",
    "string quartet",
    "children's choir",
    "techno",
    "jazz trumpet",
    "country banjo",
    "solo piano",
    "rap",
]


class ByWords:
    """Texts and music in the space of MiniLM."""

    def __init__(self) -> None:
        self.text_encoder = minilm.build_numpy()

    def embed_text(self, texts: Any, *, cached: bool = False) -> np.ndarray:
        return self.text_encoder.embed([texts] if isinstance(texts, str) else list(texts))


@pytest.fixture(scope="module")
def model() -> Any:
    return ByWords()


@pytest.fixture(scope="module")
def music(model: Any) -> Collection:
    tracks = [
        dataclasses.replace(BLANK, id=name, title=name, genre="noise" if name == "techno" else "") for name in MUSIC
    ]
    return Collection(tracks, model.embed_text([f"{name} music" for name in MUSIC]))


@pytest.mark.parametrize("text", ["xyzzy qwerty", "asdfgh", "car insurance", "how to boil an egg"])
def test_nonsense_is_told_that_nothing_fits(model, music, text):
    hits = search(model, text, music)
    assert not hits.fits and len(hits) == len(MUSIC)
    assert hits.notes == (f"Nothing here fits well. “{text}” does not read like a description of music.",)
    assert "Nothing here fits well" in repr(hits).splitlines()[1]


@pytest.mark.parametrize(
    "text",
    ["calm acoustic guitar", "slow solemn choir", "something for a rainy evening", "heroic battle theme", "melancholic",
     "a mother sings her baby to sleep", "boss fight", "driving at night through a neon city", "musique douce pour dormir",
     "odd time signature", "Lots of Reverb"],
)  # fmt: skip
def test_descriptions_of_music_are_not(model, music, text):
    hits = search(model, text, music)
    assert hits.fits and not hits.notes


def test_a_description_that_only_part_of_a_query_is_does_not_spoil_it(model, music):
    hits = search(model, Query("xyzzy qwerty", like="techno"), music)
    assert hits.fits and hits.notes == ("“xyzzy qwerty” does not read like a description of music.",)


def test_music_that_is_like_nothing_here_is_no_description_that_does_not_fit(model):
    apart = np.zeros((3, 384), np.float32)
    apart[:, 0] = 1, -1, -1
    tracks = [dataclasses.replace(BLANK, id=name) for name in "abc"]
    hits = search(model, Query(like="a"), Collection(tracks, apart))
    assert hits.fits and "description" not in "".join(hits.notes)


def test_conditions_that_leave_only_what_does_not_fit_are_said(model, music):
    hits = search(model, Query("string quartet", where="genre=noise"), music)
    assert not hits.fits and "fits no better than half of 8 tracks" in hits.notes[0]


def test_a_model_that_cannot_explain_names_the_nearest_words(model, music):
    hits = search(model, Query("piano", top=1), music)
    assert next(iter(hits[0].why)) == "solo piano" and hits[0].track.id == "solo piano"
