import concurrent.futures
import time

import numpy as np
import pytest

from unisono.retrieval.products import MOST_AT_ONCE, Products


class Slow(np.ndarray):
    """Counts how often it is multiplied."""

    passes = 0

    def __matmul__(self, other):
        Slow.passes += 1
        return np.asarray(self) @ other

    def __rmatmul__(self, other):
        Slow.passes += 1
        return other @ np.asarray(self)


def test_many_threads_get_their_own_products_in_few_passes():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5_000, 64)).astype(np.float32)
    queries = [rng.standard_normal((1 + number % 3, 64)).astype(np.float32) for number in range(100)]
    products = Products(vectors.view(Slow))
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        with products._turn:  # until all have asked
            asking = [pool.submit(products, each) for each in queries]
            while len(products._waiting) < 100:
                time.sleep(0.001)
        found = [each.result() for each in asking]
    for asked, answer in zip(queries, found, strict=True):
        assert answer.shape == (5_000, len(asked))
        assert np.allclose(answer, vectors @ asked.T, atol=1e-4)
    assert Slow.passes == -(-100 // MOST_AT_ONCE)


def test_a_failure_reaches_who_asked_and_nobody_later():
    products = Products(np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="matmul"):
        products(np.ones((1, 4), np.float32))
    assert np.array_equal(products(np.eye(3, dtype=np.float32)), np.eye(3))
