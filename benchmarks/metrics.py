"""Measure the retrieval metrics: time and memory, against sorting each query's scores and against the bare product.

    python -m benchmarks.metrics                                                  # a part of the queries, half a minute
    python -m benchmarks.metrics --queries 100000 --sorted-queries 2000           # all of them, four minutes on two cores

Three methods rank the same queries among the same candidates, each in a process of its own with the same threads:

floor      the matrix product alone, in the same blocks: no method can avoid it
unisono    unisono.retrieval.metrics.ranks
argsort    the usual loop: for each query a product, an argsort of all scores, and the position of the right candidate

The full size is 100,000 queries among 100,000 candidates; an evaluation does that twice, text to music and back. The time
of all three is linear in the queries. Times that are extrapolated from fewer queries are marked with ~. The methods are
compared by the CPU seconds of a query, which other work on the machine affects less than the clock. Memory is the peak
beyond the two matrices.
"""

import argparse
import resource
import time

import numpy as np

from benchmarks.apart import apart
from unisono.retrieval.metrics import BLOCK_BYTES, Relevance, normalised, ranks


def measure(method: str, queries: int, candidates: int, dim: int) -> dict[str, float]:
    """Run one method; return seconds, MB beyond the matrices, and a checksum of the ranks."""
    rng = np.random.default_rng(0)
    music = rng.standard_normal((candidates, dim), dtype=np.float32)
    right = rng.integers(candidates, size=queries)
    texts = music[right] + 4 * rng.standard_normal((queries, dim), dtype=np.float32)
    before = _peak_mb()
    start, cpu = time.perf_counter(), time.process_time()
    if method == "floor":
        size = max(1, BLOCK_BYTES // (4 * candidates))
        total = sum(int(np.isfinite((texts[at : at + size] @ music.T)[0, 0])) for at in range(0, queries, size))
    elif method == "unisono":
        relevance = Relevance.from_pairs(np.arange(queries), right, queries, candidates)
        total = int(ranks(texts, music, relevance).sum())
    else:
        texts, music = normalised(texts), normalised(music)
        total = 0
        for query in range(queries):
            order = np.argsort(-(music @ texts[query]))
            total += int(np.flatnonzero(order == right[query])[0]) + 1
    seconds = {"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    return {**seconds, "mb": _peak_mb() - before, "ranks": total}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=4_000, help="of floor and unisono")
    parser.add_argument("--sorted-queries", type=int, default=1_000, help="of argsort, at most the others'")
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    print(
        f"{options.candidates:,} queries x {options.candidates:,} candidates x {options.dim}, one direction", flush=True
    )
    few = min(options.sorted_queries, options.queries)
    found = {
        "floor": run("floor", options.queries, options),
        "unisono": run("unisono", options.queries, options),
        "argsort": run("argsort", few, options),
    }
    each = {method: result["cpu_s"] / result["queries"] for method, result in found.items()}
    print(f"unisono / floor: ratio {each['unisono'] / each['floor']:.2f}")
    print(f"argsort / unisono: ratio {each['argsort'] / each['unisono']:.1f}")
    same = run("unisono", few, options) if few < options.queries else found["unisono"]
    agree = abs(found["argsort"]["ranks"] - same["ranks"]) <= 1e-3 * found["argsort"]["ranks"]
    print(
        f"sum of the ranks of {few:,} queries: {found['argsort']['ranks']:,} and {same['ranks']:,}",
        "" if agree else "DIFFER",
    )


def run(method: str, queries: int, options: argparse.Namespace) -> dict[str, float]:
    """Run one method in a process of its own, and print what it took."""
    result = apart(measure, method, queries, options.candidates, options.dim)
    mark = " " if queries == options.candidates else "~"
    print(
        f"{method:8} {queries:9,} queries in {result['s']:7.1f} s ({result['cpu_s']:7.1f} s of CPU); for all {mark}"
        f"{result['s'] * options.candidates / queries:8,.0f} s; {result['mb']:6,.0f} MB",
        flush=True,
    )
    return {**result, "queries": queries}


if __name__ == "__main__":
    main()
