"""Measure exact search: the time of a query over the time to read the matrix once, which an exact search cannot avoid.

    python benchmarks/search.py [--tracks 100000 1000000] [--dim 512]

Also compared: `numpy.argsort` of all scores, the simplest way to a top ten.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unisono.retrieval import indexes

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=512)
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


def by_argsort(embeddings: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.intp]:
    """Sort all scores."""
    return np.argsort(-(embeddings @ query))[:TOP]


if __name__ == "__main__":
    main()
