"""Milvus, through `pymilvus`: a local file (milvus-lite), or a server, for more vectors than are compared one by one.

`milvus:FILE.db` compares with every vector. A server (`milvus://HOST:19530`, by default this machine's) has an HNSW graph,
which may miss some. `milvus://HOST:19530/NAME` chooses the name of the collection. A server that asks for a token
finds it in UNISONO_MILVUS_TOKEN.

Conditions are never sent: a search among some keys takes more than is wanted and leaves out the others, or, if few keys are
left, compares with each of them. What stands in expressions is integers of our own.
"""

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.files import expanded
from unisono.retrieval.indexes import (
    CompareYourselfError,
    Floats,
    IndexAwayError,
    Positions,
    best_of,
    exact_scores,
    no_place,
    stamps_of,
    warn_of_others,
)

TOKEN = "UNISONO_MILVUS_TOKEN"
EXPECTED = "milvus:FILE.db, milvus://HOST:PORT or milvus://HOST:PORT/NAME"
PORT = 19530
WITHIN_S = 30.0
"""A server that has not answered in this time is away."""
MOST_FOUND = 16_384
"""More cannot be asked for at once."""
MOST_COMPARED = 50_000
"""Vectors that a server sends for one query at most."""
MOST_SENT = 2_000
"""Vectors of one request."""
ROUNDING = 1e-5
"""Scores of Milvus that differ by less are compared here."""
FEW = 0.1
"""Of less than this share of the vectors, each is compared by itself: a graph finds few of them."""
HNSW = {"M": 16, "efConstruction": 200}
LEAST_EF, MOST_EF, CANDIDATES = 128, 32_768, 4
"""How many candidates a graph keeps at a time (ef): at least, at most, and for each hit."""
LOOK_AGAIN_S = 1.0
"""A server may put its files together at any time; the new ones have no graphs at first."""
OWN = "Session"
"""Searches see what this process wrote. To see what others wrote in the last moment takes a server a fifth of a second."""
SEEN_AT_ONCE = 4_000
"""In files of up to this size a server compares each vector; of a larger one it finds half, until its graph is built."""
MADE_FOR, SOURCE = "unisono.made_for", "unisono.source"


class MilvusIndex:
    """A collection of Milvus: an integer key, a stamp, and a vector."""

    def __init__(self, client: Any, name: str, dim: int, made_for: str, *, address: str, is_server: bool) -> None:
        """Open the collection, or make one.

        Raises:
            UsageError: there is one of this name that is not an index of unisono.
            IndexAwayError: Milvus does not answer.
        """
        self._client = client
        self._name = name
        self._address = address
        self._is_server = is_server
        self._count = -1
        """How many vectors there were when they were last counted; below 0 if they changed since."""
        self._looked_at = -np.inf if is_server else np.inf
        """When it was last seen that the server has built all graphs; of a file, never."""
        with self._asking():
            if client.has_collection(name):
                about = client.describe_collection(name)
                properties = about.get("properties", {})
                if MADE_FOR not in properties:
                    raise UsageError(
                        f"{address} holds a collection {name!r} that is no index of unisono.",
                        hint="Choose another name: milvus://HOST:PORT/NAME",
                        parameter="index",
                    )
                (its_dim,) = (each["params"]["dim"] for each in about["fields"] if each["name"] == "vector")
                if (properties[MADE_FOR], int(its_dim)) != (made_for, dim):
                    warn_of_others(address, properties[MADE_FOR], made_for)
                    client.drop_collection(name)
            if not client.has_collection(name):
                self._create(dim, made_for)
            self.source = str(client.describe_collection(name).get("properties", {}).get(SOURCE, ""))
            client.load_collection(name)

    def _create(self, dim: int, made_for: str) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.INT64, is_primary=True)
        schema.add_field("stamp", DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        graph = self._client.prepare_index_params()
        kind, params = ("HNSW", HNSW) if self._is_server else ("FLAT", {})
        graph.add_index("vector", index_type=kind, metric_type="IP", params=params)
        self._client.create_collection(
            self._name,
            schema=schema,
            index_params=graph,
            properties={MADE_FOR: made_for},
            consistency_level="Strong",
        )

    def count(self) -> int:
        """Return how many vectors there are."""
        with self._asking():
            found = self._client.query(self._name, filter="", output_fields=["count(*)"])
        self._count = int(found[0]["count(*)"])
        return self._count

    def upsert(self, keys: Positions, vectors: Floats) -> None:
        """Put in vectors; see `Index.upsert`."""
        self._count = -1
        last = {key: row for row, key in enumerate(keys.tolist())}
        rows = np.fromiter(last.values(), np.int64, len(last))
        stamps = stamps_of(vectors)
        for some in _lots(rows.tolist()):
            sent = [{"key": int(keys[row]), "stamp": int(stamps[row]), "vector": vectors[row]} for row in some]
            with self._asking():
                self._client.upsert(self._name, sent)

    def delete(self, keys: Positions) -> None:
        """Take out vectors."""
        self._count = -1
        for some in _lots(keys.tolist()):
            with self._asking():
                self._client.delete(self._name, ids=some)

    def search(self, query: Floats, top: int, among: Positions | None = None) -> tuple[Positions, Floats]:
        """Find the vectors with the largest dot product with a query; see `Index.search`."""
        count = self.count() if self._count < 0 else self._count
        if time.monotonic() - self._looked_at > LOOK_AGAIN_S:
            self._refuse_what_is_on_its_way(count)
        if among is None:
            return self._search(query, top) if top <= MOST_FOUND or count <= MOST_FOUND else self._compared(query, top)
        if len(among) and len(among) >= FEW * count:
            wanted = int(2 * top * count / len(among)) + top
            while wanted <= MOST_FOUND:
                found = self._asked(query, wanted, ef=max(wanted, min(CANDIDATES * wanted, 1024)))  # few of them count
                keys = np.array([each["key"] for each in found], dtype=np.int64)
                scores = np.array([each["distance"] for each in found], dtype=np.float32)
                chosen = among[np.minimum(np.searchsorted(among, keys), len(among) - 1)] == keys
                last = np.sort(scores[chosen])[::-1][:top].min(initial=np.inf) - ROUNDING
                if len(found) >= count or (chosen.sum() >= top and last > scores.min()):
                    return self._compared(query, top, keys[chosen & (scores >= last)])
                wanted *= 16
        return self._compared(query, top, among)

    def _refuse_what_is_on_its_way(self, count: int) -> None:
        """Raise if the server has not built the graphs of all it was sent yet, which takes it a minute or more."""
        import grpc
        from pymilvus import MilvusException

        try:
            files = {each.segment_id: each.num_rows for each in self._client.list_persistent_segments(self._name)}
            loaded = self._client.list_loaded_segments(self._name)
        except (MilvusException, grpc.RpcError):  # it has no such files, or the search will say what is wrong
            files, loaded = {}, []
        searched = {each.segment_id: each.num_rows for each in loaded if each.index_id or each.num_rows <= SEEN_AT_ONCE}
        missing = sum(rows for number, rows in files.items() if rows > SEEN_AT_ONCE and number not in searched)
        # While files are put together, those before them are searched: nothing is replaced or new, and all is there.
        if missing and not sum(files.values()) == sum(searched.values()) == count:
            raise IndexAwayError(f"The index {self._address} still takes in {missing:,} vectors that it was sent.")
        self._looked_at = time.monotonic()

    def _search(self, query: Floats, top: int) -> tuple[Positions, Floats]:
        """Ask Milvus; it is asked for one more, so that equal scores at the end are told apart by their keys."""
        limit = min(MOST_FOUND, top + 1)
        while True:
            found = self._asked(query, limit, "vector", ef=CANDIDATES * limit)
            keys = np.array([each["key"] for each in found], dtype=np.int64)
            vectors = np.array([each["entity"]["vector"] for each in found], dtype=np.float32)
            scores = exact_scores(vectors.reshape(len(keys), -1), query) if len(keys) else np.zeros(0, np.float32)
            ended = len(keys) < limit or limit == MOST_FOUND
            if ended or np.sort(scores)[::-1][top - 1] > scores.min():
                return best_of(keys, scores, top)
            limit = min(MOST_FOUND, 4 * limit)

    def _asked(self, query: Floats, limit: int, *fields: str, ef: int) -> list[Any]:
        """Return what Milvus takes for the nearest: keys, its scores, and fields."""
        params = {"ef": min(max(LEAST_EF, ef), MOST_EF)} if self._is_server else {}
        with self._asking():
            (found,) = self._client.search(
                self._name,
                data=[query],
                limit=limit,
                output_fields=["key", *fields],
                search_params={"params": params},
                consistency_level=OWN,
            )
        return list(found)

    def _compared(self, query: Floats, top: int, among: Positions | None = None) -> tuple[Positions, Floats]:
        """Compare the query with each of some vectors, or with all."""
        best = np.zeros(0, np.int64), np.zeros(0, np.float32)
        if self._is_server and (self._count if among is None else len(among)) > MOST_COMPARED:
            raise CompareYourselfError
        for some in _lots((self.held()[0] if among is None else among).tolist()):
            with self._asking():
                rows = self._client.query(
                    self._name, filter=f"key in {some}", output_fields=["key", "vector"], consistency_level=OWN
                )
            if rows:
                keys = np.array([row["key"] for row in rows], dtype=np.int64)
                scores = exact_scores(np.array([row["vector"] for row in rows], dtype=np.float32), query)
                best = best_of(np.concatenate([best[0], keys]), np.concatenate([best[1], scores]), top)
        return best

    def held(self) -> tuple[Positions, Positions]:
        """Return all keys and the stamps of their vectors."""
        rows: list[tuple[int, int]] = []
        with self._asking():
            pages = self._client.query_iterator(self._name, batch_size=MOST_FOUND // 2, output_fields=["key", "stamp"])
            while page := pages.next():
                rows += [(row["key"], row["stamp"]) for row in page]
            pages.close()
        rows.sort()
        held = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return held[:, 0], held[:, 1]

    def mark(self, source: str) -> None:
        """Remember what the vectors are copies of."""
        if source == self.source:
            return
        with self._asking():
            if source:
                self._client.flush(self._name)  # milvus-lite reads what is not flushed row by row
            self._client.alter_collection_properties(self._name, properties={SOURCE: source})
        self.source = source
        if self._is_server:
            self._looked_at = -np.inf

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with _explained(self._address):
            yield


def _lots(values: list[int]) -> Iterator[list[int]]:
    for begin in range(0, len(values), MOST_SENT):
        yield values[begin : begin + MOST_SENT]


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Say in words that Milvus does not answer."""
    with extra("milvus", "The index milvus"):
        from pymilvus import MilvusException
    import grpc

    try:
        yield
    except (MilvusException, grpc.RpcError, OSError) as error:
        said = str(getattr(error, "message", "") or error).strip().rstrip(".")
        if "illegal connection params" in said:  # what a server is said to be that asks for a token
            said = f"it cannot be reached, or asks for another token than that in {TOKEN}"
        raise IndexAwayError(f"The index {address} does not answer: {said}.") from error


def open_at(place: str, dim: int, made_for: str) -> MilvusIndex:
    """Open a collection in a file or on a server.

    Raises:
        MissingExtraError: pymilvus is not installed.
        UsageError: the place is none, or holds something else.
        IndexAwayError: Milvus does not answer.
    """
    found = re.fullmatch(r"//([\w.-]*|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?(?:/(\w{1,100}))?/?", place)
    path = expanded(place)
    if not found and (place.startswith("//") or path.suffix != ".db"):
        raise no_place(place, EXPECTED)
    with extra("milvus", "The index milvus"):
        from pymilvus import MilvusClient
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what fails is said here, in a line
    address = f"milvus:{place}"
    if found:
        host, port, name = found[1] or "127.0.0.1", int(found[2] or PORT), found[3]
        with _explained(address):
            client = MilvusClient(uri=f"http://{host}:{port}", token=os.environ.get(TOKEN, ""), timeout=WITHIN_S)
        return MilvusIndex(client, name or "unisono", dim, made_for, address=address, is_server=True)
    with _explained(address):
        path.parent.mkdir(parents=True, exist_ok=True)
        client = MilvusClient(uri=str(path.absolute()))
    return MilvusIndex(client, "unisono", dim, made_for, address=address, is_server=False)
