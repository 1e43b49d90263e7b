"""The contract of every index of the registry: what comparing with every vector finds, in the same order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.base.errors import UsageError
from unisono.retrieval import indexes

every_index = pytest.mark.parametrize("name", indexes.names())
directions = st.sampled_from(
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0), (-1, 0, 0), (0, -0.6, 0.8)]
)  # so many ties


@every_index
@settings(deadline=None)
@given(st.lists(directions, max_size=40), directions, st.integers(1, 50), st.data())
def test_it_finds_what_sorting_everything_finds(name: str, rows: list, query: tuple, top: int, data: st.DataObject):
    vectors = np.array(rows, dtype=np.float32).reshape(-1, 3)
    asked = np.array(query, dtype=np.float32)
    some = st.lists(st.sampled_from(range(max(len(rows), 1))), unique=True).map(sorted)
    among = data.draw(st.one_of(st.none(), some)) if rows else None
    scores = [float(vector @ asked) for vector in vectors]
    searched = range(len(rows)) if among is None else among
    expected = sorted(searched, key=lambda row: (-round(scores[row], 5), row))[:top]
    index = indexes.get(name)(vectors)
    positions, found = index.search(asked, top, None if among is None else np.array(among, dtype=np.int64))
    assert len(index) == len(rows)
    assert positions.tolist() == expected
    assert found == pytest.approx([scores[row] for row in expected], abs=1e-6)


@every_index
@pytest.mark.parametrize("count", range(1, 40))
def test_equal_vectors_are_found_in_their_order(name: str, count: int):
    vectors = np.random.default_rng(count).normal(size=(1, 96)).astype(np.float32).repeat(count, axis=0)
    positions, found = indexes.get(name)(vectors).search(vectors[0] / 3, 7)
    assert positions.tolist() == list(range(min(count, 7)))
    assert len(set(found.tolist())) == 1


@every_index
def test_many_random_vectors(name: str):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = indexes.get(name)(vectors)
    for query in vectors[:20]:
        positions, scores = index.search(query, 25)
        assert positions.tolist() == np.argsort(-(vectors * query).sum(axis=1), kind="stable")[:25].tolist()
        assert (np.diff(scores) <= 0).all()


def test_the_registry():
    assert indexes.names() == ("exact",)
    with pytest.raises(UsageError, match=r"There is no index 'exat'\. Did you mean 'exact'"):
        indexes.get("exat")
