"""Measure exact search: the time of a query over the time to read the matrix once, which an exact search cannot avoid.

    python benchmarks/search.py [--tracks 100000 1000000] [--dim 512] [--windows 3] [--queried 100000]

Also compared: `numpy.argsort` of all scores, the simplest way to a top ten. Then a whole query, of a description or of a
description and what is not wanted, over tracks with several windows each, with conditions and limits: over the bare product
of the windows and as many vectors.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.retrieval import indexes
from unisono.retrieval.collection import Collection, IndexedTrack, Windows
from unisono.search.query import Query
from unisono.search.run import search as search_for

TOP = 10
REPEATS = 15


def median_ms(work: Callable[[], object]) -> float:
    """Return the median milliseconds of some work; the first run, which warms up, does not count."""
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[1:]))


def interleaved_ms(*works: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of several works, each run in turn, so that a busy machine slows all alike."""
    seconds = np.empty((REPEATS, len(works)))
    for row in seconds:
        for place, work in enumerate(works):
            start = time.perf_counter()
            work()
            row[place] = time.perf_counter() - start
    return (1000 * np.median(seconds, axis=0)).tolist()  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--queried", type=int, default=100_000, help="tracks of the whole query")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    for count in options.tracks:
        embeddings = rng.standard_normal((count, options.dim), dtype=np.float32)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        query = embeddings[count // 2]
        index = indexes.get("exact")(embeddings)
        read = median_ms(embeddings.max)
        product = median_ms(partial(np.matmul, embeddings, query))
        search = median_ms(partial(index.search, query, TOP))
        plain = median_ms(partial(by_argsort, embeddings, query))
        print(
            f"{count:>9,} x {options.dim}: search {search:6.1f} ms, ratio {search / product:.2f} to the bare product "
            f"({product:.1f} ms), {search / read:.2f} to one pass over the matrix ({read:.1f} ms, one thread); "
            f"argsort {plain:.1f} ms, ratio to the search {plain / search:.1f}"
        )

    measure_queries(options.queried, options.windows, options.dim)


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
        work()  # makes the columns that the conditions are tested on, once for a collection
        product, search = interleaved_ms(partial(np.matmul, vectors, asked), work)
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
