"""Measure exact search: the time of a query over the time to read the matrix once, which an exact search cannot avoid.

    python -m benchmarks.search [--tracks 100000 1000000] [--dim 512] [--windows 3] [--queried 100000]
    python -m benchmarks.search --tracks --queried 0 --indexed 100000 1000000 --engines exact exact:FOLDER milvus:FILE.db

Also compared: `numpy.argsort` of all scores, the simplest way to a top ten. Then a whole query, of a description or of a
description and what is not wanted, over tracks with several windows each, with conditions and limits: over the bare product
of the windows and as many vectors.

With `--indexed`, indexes of clustered vectors (800 clusters, each of 48 directions, and noise): the time to fill one, its
size on disk, then for all vectors, and for filters of 13 % (a range), 5 % (follows the clusters) and 0.1 % (at random), the
milliseconds of a query and how many of the ten nearest it finds. FOLDER and FILE stand for places of the benchmark's own;
of `milvus://HOST:PORT/NAME` the queries wait until the server has built its graphs.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import in_turn
from unisono.retrieval.collection import Collection, Copied, IndexedTrack, Windows
from unisono.retrieval.indexes.exact import ExactIndex
from unisono.search.query import Query
from unisono.search.run import search as search_for

TOP = 10
REPEATS = 15


def median_ms(*works: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of works that take turns."""
    return [1000 * taken for taken in in_turn(REPEATS, *works, clock=time.perf_counter)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--queried", type=int, default=100_000, help="tracks of the whole query")
    parser.add_argument("--indexed", type=int, nargs="*", default=[], help="vectors of the indexes")
    parser.add_argument("--engines", nargs="+", default=["exact", "exact:FOLDER", "milvus:FILE.db"])
    parser.add_argument("--queries", type=int, default=20, help="of each index and filter")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    for count in options.tracks:
        embeddings = rng.standard_normal((count, options.dim), dtype=np.float32)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        query = embeddings[count // 2]
        index = ExactIndex.of(embeddings)
        read, product, search, plain = median_ms(
            embeddings.max,
            partial(np.matmul, embeddings, query),
            partial(index.search, query, TOP),
            partial(by_argsort, embeddings, query),
        )
        print(
            f"{count:>9,} x {options.dim}: search {search:6.1f} ms, ratio {search / product:.2f} to the bare product "
            f"({product:.1f} ms), {search / read:.2f} to one pass over the matrix ({read:.1f} ms, one thread); "
            f"argsort {plain:.1f} ms, ratio to the search {plain / search:.1f}"
        )

    if options.queried:
        measure_queries(options.queried, options.windows, options.dim)
    for count in options.indexed:
        measure_indexes(count, options.dim, options.engines, options.queries)


def clustered(count: int, dim: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return unit vectors, and the cluster of each."""
    rng = np.random.default_rng(0)
    clusters, rank = min(800, max(2, count // 20)), min(48, dim)
    centres = rng.standard_normal((clusters, dim), dtype=np.float32)
    spread = rng.standard_normal((16, rank, dim), dtype=np.float32) / np.sqrt(rank)
    of = np.sort(rng.integers(0, clusters, count))
    vectors = np.empty((count, dim), np.float32)
    for begin in range(0, count, 1 << 16):
        some = of[begin : begin + (1 << 16)]
        block = centres[some] + 0.1 * rng.standard_normal((len(some), dim), dtype=np.float32)
        for kind in range(16):
            chosen = some % 16 == kind
            block[chosen] += rng.standard_normal((int(chosen.sum()), rank), dtype=np.float32) @ spread[kind]
        vectors[begin : begin + len(some)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return vectors, of


def wait_for_graphs(engine: Any) -> None:
    """Wait until each file of a server has its graph."""
    while True:
        client, name = engine._client, engine._name
        sent = sum(each.num_rows for each in client.list_persistent_segments(name))
        done = sum(each.num_rows for each in client.list_loaded_segments(name) if each.index_name)
        if done >= sent:
            return
        time.sleep(1)


def measure_indexes(count: int, dim: int, engines: list[str], queries: int) -> None:
    """Compare indexes with the exact one in memory."""
    vectors, of = clustered(count, dim)
    rng = np.random.default_rng(1)
    places = np.arange(count)
    begin = count // 3
    filters = {
        "all": None,
        "13 %": places[begin : begin + max(1, round(0.13 * count))],
        "5 %": places[of % 20 == 1],
        "0.1 %": np.sort(rng.choice(count, max(1, count // 1000), replace=False)),
    }
    asked = vectors[rng.choice(count, queries)] + 0.05 * rng.standard_normal((queries, dim), dtype=np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    tracks = [track(0)] * count
    exact = Collection(tracks, vectors)
    nearest = {
        name: [set(exact.nearest(query, TOP, among)[0].tolist()) for query in asked] for name, among in filters.items()
    }
    for engine in engines:
        with tempfile.TemporaryDirectory() as folder:
            address = engine.replace("FOLDER", f"{folder}/files").replace("FILE", f"{folder}/file")
            start, used = time.perf_counter(), time.process_time()
            collection = Collection(tracks, vectors, address, copied=Copied("the benchmark", f"{count} x {dim}"))
            fill_s, fill_cpu_s = time.perf_counter() - start, time.process_time() - used
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            print(
                f"{count:>10,} x {dim}, {engine}: filled in {fill_s:.1f} s, CPU {fill_cpu_s:.1f} s, "
                f"{size / 1e6:,.0f} MB on disk"
            )
            if address.startswith("milvus://"):
                wait_for_graphs(collection.engine)
                print(f"{'':>12} its graphs are there {time.perf_counter() - start:.0f} s after the beginning")
            for name, among in filters.items():
                milliseconds = np.empty((3, queries))
                found = 0.0
                for number, query in enumerate(asked):
                    times = [(time.perf_counter(), time.process_time())]
                    for each in (exact, collection):
                        rows, _ = each.nearest(query, TOP, among)
                        times.append((time.perf_counter(), time.process_time()))
                    milliseconds[:, number] = [
                        1000 * (times[1][0] - times[0][0]), 1000 * (times[2][0] - times[1][0]),
                        1000 * (times[2][1] - times[1][1]),
                    ]  # fmt: skip
                    found += len(nearest[name][number].intersection(rows.tolist())) / len(nearest[name][number])
                plain, its, cpu = np.median(milliseconds, axis=1)
                print(
                    f"{'':>12} {name:>6}: {its:8.1f} ms, CPU {cpu:8.1f} ms, ratio {its / plain:.2f} to exact in memory "
                    f"({plain:.1f} ms), recall {found / queries:.3f}",
                    flush=True,
                )


class Fixed:
    """A model whose descriptions are vectors that are there already: what is measured is the search."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors

    def embed_text(self, texts: list[str], *, cached: bool = False) -> NDArray[np.float32]:
        return self.vectors[: len(texts)]


def measure_queries(count: int, windows: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count * windows, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known = Windows(np.repeat(np.arange(count), windows), np.tile(np.arange(windows, dtype=np.float32), count), 10)
    collection = Collection([track(number) for number in range(count)], vectors, windows=known)
    model: Any = Fixed(vectors[[1, 4]])
    where = ("year>=1990", "duration=120..400", "genre~=folk")
    for name, query in (
        ("a description", Query("calm guitar", where=where, max_per_artist=2)),
        ("a description without another", Query("calm guitar", without="vocals", where=where, max_per_artist=2)),
    ):
        asked = model.vectors[0] if not query.without else model.vectors.T
        work = partial(search_for, model, query, collection)
        product, search = median_ms(partial(np.matmul, vectors, asked), work)
        print(
            f"{count:>9,} x {windows} windows x {dim}: query of {name} with {len(where)} conditions {search:6.1f} ms, "
            f"ratio {search / product:.2f} to the bare product ({product:.1f} ms)"
        )


def track(number: int) -> IndexedTrack:
    return IndexedTrack(
        id=str(number), split="train", dataset="own", artist=f"Artist {number % 5000}", artist_id="", title=f"T {number}",
        genre=("Folk Rock", "Jazz", "Indie Folk")[number % 3], tags=["calm"], license="unknown", recording="",
        audio_path=f"/music/{number}.flac", start_s=0, duration_s=60 + number % 400, year=1960 + number % 65,
    )  # fmt: skip


def by_argsort(embeddings: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.intp]:
    """Sort all scores."""
    return np.argsort(-(embeddings @ query))[:TOP]


if __name__ == "__main__":
    main()
