"""Queries over collections whose vectors an index keeps find what those over vectors in memory find."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import DataError
from unisono.retrieval.collection import Collection, Copied, Windows
from unisono.retrieval.indexes import IndexAwayError
from unisono.retrieval.projected import Projected
from unisono.search.query import Query
from unisono.search.run import search

COUNT, DIM = 600, 24
RNG = np.random.default_rng(0)


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return (rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)).astype(np.float32)


KNOWN = dict(zip(["calm", "loud", "flute"], unit(RNG.normal(size=(3, DIM))), strict=True))


class Named:
    """A model of some descriptions."""

    def embed_text(self, texts, *, cached=False):
        return np.stack([KNOWN[text] for text in texts])


MODEL: Any = Named()
COUNTS = RNG.integers(1, 4, COUNT)
OF = np.repeat(np.arange(COUNT), COUNTS)
STORED = unit(RNG.normal(size=(len(OF), DIM))).astype(np.float16)
TRACKS = [
    dataclasses.replace(
        BLANK, id=str(row), artist=f"A{row % 50}", year=1950 + row % 70, genre="rare" if row % 40 == 7 else ""
    )
    for row in range(COUNT)
]
QUERIES = [
    Query("calm"),
    Query("calm", where="year>=1960", max_per_artist=1),
    Query("calm", where="genre=rare"),
    Query("calm", windows="mean", top=3),
    Query(["calm^2", "flute"], without="loud"),
    Query("flute", like="7", diversity=0.5),
    Query(without="loud", top=3),
]


def collection(address, keys=None):
    vectors = Projected(unit, [STORED[:100], STORED[100:]], "music")
    windows = Windows(OF, np.zeros(len(OF), np.float32), 10)
    return Collection(TRACKS, vectors, address, windows=windows, copied=Copied("m", "music", keys))


@pytest.mark.parametrize("place", ["exact:{}/files", "milvus:{}/file.db"])
def test_queries_find_the_same(place, tmp_path):
    plain = collection("exact")
    kept = collection(place.format(tmp_path), 5 * np.arange(len(OF)) - 70)
    assert kept.note == "" and (kept.engine is not None) == place.startswith("milvus")
    for query in QUERIES:
        expected, found = (search(MODEL, query, each) for each in (plain, kept))
        assert [hit.track.id for hit in found] == [hit.track.id for hit in expected], query
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=2e-3)
        assert found.searched == expected.searched and found.notes == ()
        if len(query.text) == 1 and query.windows == "best":
            assert [hit.percentile for hit in found] == pytest.approx([hit.percentile for hit in expected], abs=0.5)
    vector = KNOWN["calm"]
    assert [hit.track.id for hit in kept.search(vector, 9, max_per_artist=1)] == [
        hit.track.id for hit in plain.search(vector, 9, max_per_artist=1)
    ]


def test_an_index_that_is_away_is_said_and_all_vectors_are_compared(tmp_path, monkeypatch):
    expected = [hit.track.id for hit in search(MODEL, "calm", collection("exact"))]
    never = collection("milvus://127.0.0.1:1")
    hits = search(MODEL, "calm", never)
    assert [hit.track.id for hit in hits] == expected
    assert (
        "milvus://127.0.0.1:1 does not answer" in hits.notes[0] and "All vectors are compared instead." in hits.notes[0]
    )
    later = collection(f"milvus:{tmp_path}/file.db")
    assert later.engine is not None

    def fail(*args):
        raise IndexAwayError("The index is away.")

    with monkeypatch.context() as patched:
        patched.setattr(later._engine, "search", fail)
        hits = search(MODEL, "calm", later)
        assert [hit.track.id for hit in hits] == expected and hits.notes == (
            "The index is away. All vectors are compared instead.",
        )
        assert later.engine is None  # it isn't asked again at once
    monkeypatch.setattr("unisono.retrieval.collection.ASK_AGAIN_S", -1)
    assert search(MODEL, "calm", later).notes == ()


def test_an_embedding_that_is_no_number_is_refused():
    vectors = Projected(unit, [np.full((2, DIM), np.nan, np.float16)], "music.h5")
    with pytest.raises(DataError, match=r"music\.h5: an embedding is not finite"):
        vectors[0]
