"""The indexes: nearest vectors to a query. A module each, registered by being in this folder.

A module has `open_at(place, dim, made_for) -> Index`. An index holds copies of vectors that lie elsewhere, in an
`embeddings.h5` or a library, and can be filled from them again at any time.
"""

from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.base.registry import Registry

Floats = NDArray[np.float32]
Positions = NDArray[np.int64]
BLOCK = 1 << 14
"""UnitVectors that are read at a time."""


class UnitVectors(Protocol):
    """[W, D] float32 unit vectors, in memory or computed from what lies on the disk when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """W and D."""
        ...

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, rows: int) -> Floats: ...
    @overload
    def __getitem__(self, rows: slice | Positions) -> Floats: ...


class IndexAwayError(UnisonoError):
    """The index cannot be reached, or does not answer."""


class CompareYourselfError(Exception):
    """To answer, the index would have to send most of its vectors; the caller, who has them, compares them faster."""


class Index(Protocol):
    """Unit vectors of D numbers, each under a key."""

    source: str
    """What the vectors are copies of, as `refresh` was told; empty while that is not certain."""

    def count(self) -> int:
        """Return how many vectors there are."""
        ...

    def upsert(self, keys: Positions, vectors: Floats) -> None:
        """Put in vectors [n, D] under keys [n], in place of those of the same keys."""
        ...

    def delete(self, keys: Positions) -> None:
        """Take out the vectors under some keys; unknown keys do nothing."""
        ...

    def search(self, query: Floats, top: int, among: Positions | None = None) -> tuple[Positions, Floats]:
        """Find the vectors with the largest dot product with a query.

        Args:
            query: [D], a unit vector.
            top: the most vectors to return.
            among: search only these keys, ascending; None for all.

        Returns:
            Keys [k] and scores [k], best first, equal scores by ascending key; k is `top`, or fewer if fewer are searched.
            An approximate index may miss some.

        Raises:
            IndexAwayError: it does not answer.
            CompareYourselfError: it cannot tell without sending a large share of the vectors.
        """
        ...

    def held(self) -> tuple[Positions, Positions]:
        """Return all keys [n], ascending, and the stamps [n] of their vectors; see `stamps_of`."""
        ...

    def mark(self, source: str) -> None:
        """Remember what the vectors are copies of, once they all are there; "" before they are changed."""
        ...


_PLACES = "; a place may follow: exact:FOLDER, milvus:FILE.db, milvus://HOST"
_INDEXES = Registry(__name__, "index", _PLACES, parameter="index")
names = _INDEXES.names


def is_in_memory(address: str) -> bool:
    """Return whether an address names the index that keeps vectors in memory and nothing elsewhere."""
    return address == "exact"


def open_index(address: str, dim: int, made_for: str = "") -> Index:
    """Open an index, or begin an empty one.

    Args:
        address: its name and place: `exact` (in memory), `exact:FOLDER`, `milvus:FILE.db`, `milvus://HOST:PORT`.
        dim: D.
        made_for: what the vectors come from, in words, such as a model. An index that holds others is emptied.

    Raises:
        UsageError: there is no such index, or the place is not one of an index.
        IndexAwayError: it cannot be reached.
    """
    name, _, place = (
        ("milvus", "", address) if address.endswith(".db") and ":" not in address else address.partition(":")
    )
    opened: Index = _INDEXES.module(name).open_at(place, dim, made_for)
    return opened


def warn_of_others(address: str, held: str, made_for: str) -> None:
    """Log that an index is built again, for another model."""
    log.warning("The index %s was built for %s; it is built again for %s.", address, held or "another model", made_for)


def refresh(index: Index, keys: Positions, vectors: UnitVectors, source: str) -> tuple[int, int]:
    """Bring an index to hold exactly some vectors; what it holds already is not written again.

    Args:
        index: the index.
        keys: [W], ascending.
        vectors: [W, D].
        source: what they are, as a text that is another when they are others; nothing is read if the index holds this.

    Returns:
        How many vectors were put in, and how many taken out.
    """
    if source and index.source == source and index.count() == len(keys):
        return 0, 0
    index.mark("")
    held, stamps = index.held()
    gone = np.setdiff1d(held, keys, assume_unique=True)
    if len(gone):
        index.delete(gone)
    put_in = 0
    for begin in range(0, len(keys), BLOCK):
        block, its_keys = np.asarray(vectors[begin : begin + BLOCK]), keys[begin : begin + BLOCK]
        places = np.searchsorted(held, its_keys)
        inside = np.minimum(places, max(0, len(held) - 1))
        new = np.ones(len(its_keys), dtype=bool)
        if len(held):
            new = (held[inside] != its_keys) | (stamps[inside] != stamps_of(block))
        if new.any():
            index.upsert(its_keys[new], block[new])
            put_in += int(new.sum())
    index.mark(source)
    return put_in, len(gone)


def stamps_of(vectors: Floats) -> Positions:
    """Return a number for each vector [n, D] that is another for another vector: a sum of its bits, weighted at random."""
    words = np.ascontiguousarray(vectors, dtype=np.float32).view(np.uint32).astype(np.uint64)
    weights = np.random.default_rng(0).integers(0, 1 << 63, words.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )
    return (words @ weights).view(np.int64)


def best_of(keys: Positions, scores: Floats, top: int) -> tuple[Positions, Floats]:
    """Return the best of some vectors, equal scores by ascending key."""
    order = np.lexsort((keys, -scores))[:top]
    return keys[order], scores[order]


def exact_scores(vectors: Floats, query: Floats) -> Floats:
    """Return the products [n] of vectors with a query: the same of equal vectors, as a matrix product's are not."""
    return np.asarray((vectors * query).sum(axis=1), dtype=np.float32)


def no_place(place: str, expected: str) -> UsageError:
    """Say that the place of an index is not one."""
    return UsageError(f"{place!r} is no place of an index.", hint=f"Expected: {expected}", parameter="index")
