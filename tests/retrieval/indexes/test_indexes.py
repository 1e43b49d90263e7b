"""The contract of every index of the registry: what comparing with every vector finds, whatever was put in and taken out."""

import os
import shutil
import socket
import subprocess
import sys
import time
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unisono.base.errors import UnisonoError, UsageError
from unisono.retrieval import indexes
from unisono.retrieval.collection import Collection, Copied
from unisono.retrieval.indexes import CompareYourselfError, IndexAwayError, milvus, open_index, refresh
from unisono.retrieval.indexes.exact import ExactIndex

KINDS = ("exact", "exact:FOLDER", "milvus:FILE.db", "milvus://SERVER")
DIM = 3
directions = st.sampled_from(
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0), (-1, 0, 0), (0, -0.6, 0.8)]
)  # so many ties


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A gRPC server of milvus-lite, or the server of Milvus that UNISONO_MILVUS names: `host:port`."""
    if named := os.environ.get("UNISONO_MILVUS"):
        yield named
        return
    folder = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = shutil.which("milvus-lite", path=os.path.dirname(sys.executable))  # noqa: PTH120
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            [command, "server", "--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port)],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        for _ in range(600):
            time.sleep(0.1)
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert running.poll() is None, (folder / "log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        running.kill()
        running.wait()


@pytest.fixture(scope="module", params=KINDS)
def address(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    found = request.param.replace("FOLDER", f"{folder}/files").replace("FILE", f"{folder}/file")
    return found.replace("SERVER", request.getfixturevalue("server")) if "SERVER" in found else found


@pytest.fixture(scope="module")
def index(address):
    return open_index(address, DIM, "a model")


def test_every_index_of_the_registry_is_tried():
    assert {kind.partition(":")[0] for kind in KINDS} == set(indexes.names())


keys = st.integers(-3, 12)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.lists(st.tuples(keys, directions), min_size=1, max_size=12)),
        st.tuples(st.just("delete"), st.lists(keys, min_size=1, max_size=6)),
        st.tuples(
            st.just("search"),
            st.tuples(directions, st.integers(1, 9), st.none() | st.sets(keys, max_size=12).map(sorted)),
        ),
    ),
    min_size=2,
    max_size=6,
)


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_it_finds_what_comparing_with_every_vector_finds(index, steps):
    index.delete(index.held()[0])
    assert index.count() == 0
    known: dict[int, tuple] = {}
    for step, what in [*steps, ("search", ((1, 0, 0), 9, None))]:
        if step == "upsert":
            index.upsert(np.array([key for key, _ in what]), np.array([row for _, row in what], dtype=np.float32))
            known.update(dict(what))
        elif step == "delete":
            index.delete(np.array(what))
            known = {key: row for key, row in known.items() if key not in what}
        else:
            query, top, among = what
            scores = {key: float(np.dot(row, query)) for key, row in known.items() if among is None or key in among}
            expected = sorted(scores, key=lambda key: (-round(scores[key], 5), key))[:top]
            found, said = index.search(
                np.array(query, np.float32), top, None if among is None else np.array(among, dtype=np.int64)
            )
            assert found.tolist() == expected
            assert said == pytest.approx([scores[key] for key in expected], abs=1e-3)
        assert index.count() == len(known)
        assert index.held()[0].tolist() == sorted(known)


def test_it_is_filled_once_and_then_only_with_what_changed(address):
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(500, 16)))
    index = open_index(address, 16, "a model")  # emptied: it was of another dimension
    assert index.count() == 0 and index.source == ""
    assert refresh(index, np.arange(500), vectors, "first") == (500, 0)
    assert refresh(index, np.arange(500), None, "first") == (0, 0)  # nothing is read
    changed = vectors[10:].copy()
    changed[7] = vectors[3]
    if address != "exact":
        index = open_index(address, 16, "a model")  # as a later process does
        assert index.source == "first"
    assert refresh(index, np.arange(10, 500), changed, "second") == (1, 10)
    for query in vectors[:5]:
        found, scores = index.search(query, 20)
        exact = (changed * query).sum(axis=1)
        assert scores == pytest.approx(np.sort(exact)[::-1][:20], abs=1e-3)
        assert exact[found - 10] == pytest.approx(scores, abs=1e-3)
        for share in (0.5, 0.02):
            among = np.sort(rng.choice(np.arange(10, 500), round(490 * share), replace=False))
            found, scores = index.search(query, 5, among)
            assert np.isin(found, among).all()
            assert scores == pytest.approx(np.sort(exact[among - 10])[::-1][:5], abs=1e-3)


def test_an_index_of_another_model_is_built_again_in_words(address, caplog):
    if address == "exact":
        return
    index = open_index(address, 16, "a model")
    refresh(index, np.arange(3), np.eye(3, 16, dtype=np.float32), "x")
    index = open_index(address, 16, "a second model")
    assert index.count() == 0 and index.source == ""
    assert "was built for a model; it is built again for a second model" in caplog.text


@pytest.mark.parametrize("count", range(1, 40))
def test_equal_vectors_are_found_in_their_order(count):
    vectors = np.random.default_rng(count).normal(size=(1, 96)).astype(np.float32).repeat(count, axis=0)
    positions, found = ExactIndex.of(vectors).search(vectors[0] / 3, 7)
    assert positions.tolist() == list(range(min(count, 7)))
    assert len(set(found.tolist())) == 1


@pytest.mark.parametrize("folder", [False, True])
def test_many_random_vectors(folder, tmp_path):
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(5000, 16)))
    vectors[::7] = vectors[0]
    vectors[1:5] = np.eye(16)[:4]  # rounded badly
    index = ExactIndex(16, tmp_path / "i" if folder else None)
    index.upsert(np.arange(5000), vectors)
    kept = vectors.astype(np.float16).astype(np.float32) if folder else vectors
    for query in vectors[:20]:
        positions, scores = index.search(query, 25)
        assert positions.tolist() == np.argsort(-(kept * query).sum(axis=1), kind="stable")[:25].tolist()
        assert (np.diff(scores) <= 0).all()


def test_files_that_are_no_index_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds other things than an index"):
        open_index(f"exact:{tmp_path}", 4)
    index = open_index(f"exact:{tmp_path / 'new'}", 4, "m")
    refresh(index, np.arange(4), np.eye(4, dtype=np.float32), "s")
    with (tmp_path / "new" / "codes.int8").open("ab") as file:
        file.write(b"more")
    assert open_index(f"exact:{tmp_path / 'new'}", 4, "m").count() == 0  # it is filled again


def test_a_collection_of_somebody_else_is_left_alone(server):
    from pymilvus import MilvusClient

    client = MilvusClient(uri=f"http://{server}", token=os.environ.get("UNISONO_MILVUS_TOKEN", ""))
    client.create_collection("theirs", dimension=4)
    with pytest.raises(UsageError, match="a collection 'theirs' that is no index of unisono"):
        open_index(f"milvus://{server}/theirs", 4)
    client.drop_collection("theirs")
    client.close()


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("exat", UsageError, r"There is no index 'exat'\. Did you mean 'exact'"),
        ("milvus:x.txt", UsageError, "is no place of an index"),
        ("milvus://a b", UsageError, "is no place of an index"),
        ("milvus://127.0.0.1:1", IndexAwayError, "The index milvus://127.0.0.1:1 does not answer"),
        ("exact:/proc/nowhere", UnisonoError, "Cannot open the index /proc/nowhere"),
    ],
)
def test_what_cannot_be_opened_is_said(address, error, said):
    with pytest.raises(error, match=said):
        open_index(address, 4)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_server_that_has_not_taken_in_what_it_was_sent_is_not_searched(server, monkeypatch):
    index: Any = open_index(f"milvus://{server}/on_its_way", DIM, "a model")
    index.upsert(np.arange(2), np.eye(2, DIM, dtype=np.float32))
    large, small = (SimpleNamespace(segment_id=number, num_rows=rows) for number, rows in ((7, 5000), (8, 900)))
    graphs = chain((0,), repeat(3))
    monkeypatch.setattr(index._client, "list_persistent_segments", lambda _: [large, small])
    monkeypatch.setattr(
        index._client,
        "list_loaded_segments",
        lambda _: [SimpleNamespace(segment_id=7, num_rows=5000, index_id=next(graphs))],
    )
    query = np.array([1, 0, 0], dtype=np.float32)
    with pytest.raises(IndexAwayError, match="still takes in 5,000 vectors that it was sent"):
        index.search(query, 1)
    assert index.search(query, 1)[0].tolist() == [0]


def test_a_server_that_puts_its_files_together_is_searched(server, monkeypatch):
    """It searches the files that it had, which hold all vectors, until the new ones have their graphs."""
    index: Any = open_index(f"milvus://{server}/together", DIM, "a model")
    index.upsert(np.arange(3), np.eye(3, DIM, dtype=np.float32))
    monkeypatch.setattr(milvus, "SEEN_AT_ONCE", 1)
    new = [SimpleNamespace(segment_id=9, num_rows=3)]
    old = [SimpleNamespace(segment_id=number, num_rows=rows, index_id=3) for number, rows in ((7, 2), (8, 1))]
    monkeypatch.setattr(index._client, "list_persistent_segments", lambda _: new)
    monkeypatch.setattr(index._client, "list_loaded_segments", lambda _: old)
    query = np.array([1, 0, 0], dtype=np.float32)
    assert index.search(query, 1)[0].tolist() == [0]
    old.pop()
    index._looked_at = -np.inf
    with pytest.raises(IndexAwayError, match="still takes in 3 vectors"):
        index.search(query, 1)


def test_vectors_that_are_replaced_are_waited_for(server, monkeypatch):
    """There are as many as before, and as the server has loaded, but some of those are the earlier ones."""
    index: Any = open_index(f"milvus://{server}/replaced", DIM, "a model")
    index.upsert(np.arange(3), np.eye(3, DIM, dtype=np.float32))
    monkeypatch.setattr(milvus, "SEEN_AT_ONCE", 1)
    files = [SimpleNamespace(segment_id=number, num_rows=rows) for number, rows in ((7, 3), (8, 2))]
    monkeypatch.setattr(index._client, "list_persistent_segments", lambda _: files)
    loaded = [SimpleNamespace(segment_id=7, num_rows=3, index_id=3)]
    monkeypatch.setattr(index._client, "list_loaded_segments", lambda _: loaded)
    with pytest.raises(IndexAwayError, match="still takes in 2 vectors"):
        index.search(np.array([1, 0, 0], dtype=np.float32), 1)


def test_a_server_does_not_send_most_of_what_it_has(server, monkeypatch):
    """It is asked for no more than it may return at once; whoever holds the vectors compares them then."""
    vectors = unit(np.random.default_rng(0).standard_normal((60, DIM)))
    index: Any = open_index(f"milvus://{server}/far_away", DIM, "a model")
    index.upsert(np.arange(60), vectors)
    query = vectors[0]
    far = np.sort(np.argsort(vectors @ query)[:30])
    assert len(index.search(query, 4, far)[0]) == 4
    monkeypatch.setattr(milvus, "MOST_FOUND", 15)
    monkeypatch.setattr(milvus, "MOST_COMPARED", 29)
    for top, among in ((4, far), (16, None)):
        with pytest.raises(CompareYourselfError):
            index.search(query, top, among)
        tracks: Any = ["a track"] * 60
        held = Collection(tracks, vectors, f"milvus://{server}/far_away", copied=Copied("a model", "all"))
        found, scores = held.nearest(query, top, among)
        expected = Collection(tracks, vectors).nearest(query, top, among)
        assert held.note == "" and found.tolist() == expected[0].tolist()
        np.testing.assert_array_equal(scores, expected[1])
