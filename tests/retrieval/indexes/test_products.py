import concurrent.futures
import time

import numpy as np
import pytest

from unisono.retrieval.indexes._products import MOST_AT_ONCE, Products


def test_many_threads_get_their_own_products_in_few_passes(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20_000, 640)).astype(np.float32)  # several pieces
    queries = [rng.standard_normal((1 + number % 3, 640)).astype(np.float32) for number in range(100)]
    products = Products(vectors)
    passes = []
    compute = products._of
    monkeypatch.setattr(products, "_of", lambda queries: passes.append(len(queries)) or compute(queries))
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        with products._turn:  # until all have asked
            asking = [pool.submit(products, each) for each in queries]
            while len(products._waiting) < 100:
                time.sleep(0.001)
        found = [each.result() for each in asking]
    for asked, answer in zip(queries, found, strict=True):
        assert answer.shape == (20_000, len(asked))
        assert np.allclose(answer, vectors @ asked.T, atol=1e-3)
    assert len(passes) == -(-100 // MOST_AT_ONCE) and sum(passes) == sum(map(len, queries))
    assert np.array_equal(products(queries[2])[:, :1], products(queries[2][:1]))  # to the bit, whatever else is asked


def test_a_failure_reaches_who_asked_and_nobody_later():
    products = Products(np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="aligned"):
        products(np.ones((1, 4), np.float32))
    assert np.array_equal(products(np.eye(3, dtype=np.float32)), np.eye(3))
