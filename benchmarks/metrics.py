"""Measure the retrieval metrics: time and memory, against sorting each query's scores and against the bare product.

    python benchmarks/metrics.py [--queries 4000] [--candidates 100000] [--dim 512]

Three ways of ranking the same queries among the same candidates, each in a process of its own with the same threads:

floor      the matrix product alone, in the same blocks: what no method can avoid
unisono    unisono.evaluate.metrics.ranks
argsort    the usual loop: for each query a product, an argsort of all scores, and the place of the right candidate

The full size is 100,000 queries. All three are linear in the queries at the same candidates, so fewer queries are timed
and the time for 100,000 is stated as an extrapolation; --queries 100000 runs it all. Memory is the peak beyond the two
matrices.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from unisono.evaluate.metrics import BLOCK_BYTES, Relevance, normalised, ranks

FULL = 100_000
METHODS = ("floor", "unisono", "argsort")


def measure(method: str, queries: int, candidates: int, dim: int) -> None:
    """Run one method and print seconds, MB beyond the matrices, and a checksum of the ranks."""
    rng = np.random.default_rng(0)
    music = rng.standard_normal((candidates, dim), dtype=np.float32)
    right = rng.integers(candidates, size=queries)
    texts = music[right] + 4 * rng.standard_normal((queries, dim), dtype=np.float32)
    before = _peak_mb()
    start = time.perf_counter()
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
    print(json.dumps({"s": time.perf_counter() - start, "mb": _peak_mb() - before, "ranks": total}))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=4_000)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [options.queries, options.candidates, options.dim]
    if options.method:
        measure(options.method, *sizes)
        return
    found = {}
    for method in METHODS:
        names = ("--queries", "--candidates", "--dim")
        arguments = [text for name, size in zip(names, sizes, strict=True) for text in (name, str(size))]
        done = subprocess.run(
            [sys.executable, __file__, "--method", method, *arguments], check=True, capture_output=True, text=True
        )
        found[method] = json.loads(done.stdout)
    print(f"{options.queries:,} queries x {options.candidates:,} candidates x {options.dim}")
    for method, result in found.items():
        full = result["s"] * FULL / options.queries
        print(
            f"{method:8} {result['s']:7.1f} s   {full:8,.0f} s for {FULL:,} queries (extrapolated)   {result['mb']:6,.0f} MB"
            f"   {result['s'] / found['floor']['s']:6.2f} x floor"
        )
    print(f"argsort / unisono: {found['argsort']['s'] / found['unisono']['s']:.1f}")
    agree = abs(found["argsort"]["ranks"] - found["unisono"]["ranks"]) <= 1e-3 * found["argsort"]["ranks"]
    print(f"sum of ranks: {found['argsort']['ranks']:,} and {found['unisono']['ranks']:,}", "" if agree else "DIFFER")


if __name__ == "__main__":
    main()
