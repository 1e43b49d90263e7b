"""Products of many vectors with some queries, computed together for all threads that ask at the same time."""

import threading

import numpy as np

from unisono.retrieval.indexes import Floats

MOST_AT_ONCE = 32
"""Queries of one pass over the vectors."""


class _Asked:
    def __init__(self, queries: Floats) -> None:
        self.queries = queries
        self.found: Floats | None = None
        self.failure: BaseException | None = None


class Products:
    """The products of W vectors with queries.

    A product with one query takes as long as reading the vectors does. Of several threads, one computes the products of all
    that wait, in one pass, which takes far less than a pass for each.
    """

    def __init__(self, vectors: Floats) -> None:
        """Take the vectors [W, D]."""
        self._vectors = vectors
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
            if len(batch) == len(batch[0].queries) == 1:  # much faster as a product with a vector than with a matrix
                batch[0].found = (self._vectors @ batch[0].queries[0])[:, None]
                return
            found = np.concatenate([each.queries for each in batch]) @ self._vectors.T
            begin = 0
            for each in batch:
                each.found = found[begin : begin + len(each.queries)].T
                begin += len(each.queries)
        except BaseException as error:
            for each in batch:
                each.failure = error
