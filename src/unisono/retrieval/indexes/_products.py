"""Products of many vectors with some queries, computed together for all threads that ask at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unisono.base.cores import available_cores
from unisono.retrieval.indexes import Floats

MOST_AT_ONCE = 16
"""Queries of one pass over the vectors."""
BLOCK = 1 << 17
"""Numbers that are multiplied with all queries while the processor's cache holds them. Libraries of linear algebra compute
products of this size on one thread, and so wait for no other."""
PIECE = 64
"""Blocks of one task."""


class _Asked:
    def __init__(self, queries: Floats) -> None:
        self.queries = queries
        self.found: Floats | None = None
        self.failure: BaseException | None = None


class Products:
    """The products of W vectors with queries.

    A product with one query takes as long as reading the vectors does. Of several threads, one computes the products of all
    that wait, in one pass, which takes far less than a pass for each. Each product is of a block of vectors and one query:
    a product of matrices first copies the larger one, which pays from 16 queries on only, and rounds differently for each
    number of queries.
    """

    def __init__(self, vectors: NDArray[np.float32] | NDArray[np.int8], scales: Floats | None = None) -> None:
        """Take the vectors [W, D]; or what they are rounded to, and the [W] numbers by which that is to be multiplied."""
        self._vectors = vectors
        self._scales = scales
        self._waiting: list[_Asked] = []
        self._list = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self, queries: Floats) -> Floats:
        """Return the products [W, Q] with queries [Q, D]."""
        asked = _Asked(queries)
        with self._list:
            self._waiting.append(asked)
        with self._turn:
            while asked.found is None and asked.failure is None:
                self._compute()
        if asked.failure is not None:
            raise asked.failure
        assert asked.found is not None
        return asked.found

    def _compute(self) -> None:
        """Compute the products of those that wait, the first ones first."""
        with self._list:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        try:
            found = self._of(np.concatenate([each.queries for each in batch]))
            begin = 0
            for each in batch:
                each.found = found[begin : begin + len(each.queries)].T
                begin += len(each.queries)
        except BaseException as error:
            for each in batch:
                each.failure = error

    def _of(self, queries: Floats) -> Floats:
        """Return the products [Q, W] with queries [Q, D]."""
        count, dim = self._vectors.shape
        found = np.empty((len(queries), count), dtype=np.float32)
        rows = max(1, BLOCK // max(1, dim))
        pieces = range(0, count, PIECE * rows)

        def compute(begin: int) -> None:
            self._multiply(queries, found, begin, min(count, begin + PIECE * rows), rows)

        if len(pieces) > 1 and available_cores() > 1:
            for _ in _threads().map(compute, pieces):
                pass
        else:
            for begin in pieces:
                compute(begin)
        return found

    def _multiply(self, queries: Floats, found: Floats, begin: int, end: int, rows: int) -> None:
        exact = None if self._scales is None else np.empty((rows, queries.shape[1]), dtype=np.float32)
        for at in range(begin, end, rows):
            block = self._vectors[at : min(end, at + rows)]
            if exact is not None:
                np.copyto(exact[: len(block)], block)
                block = exact[: len(block)]
            for query, products in zip(queries, found, strict=True):
                np.dot(block, query, out=products[at : at + len(block)])
        if self._scales is not None:
            found[:, begin:end] *= self._scales[begin:end]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(available_cores(), thread_name_prefix="products")
