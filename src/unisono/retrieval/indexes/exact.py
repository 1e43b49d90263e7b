"""The exact index: each query is compared with every vector.

In memory (`exact`) vectors are float32. In a folder (`exact:FOLDER`) they are float16, mapped from the disk; what is read
for a query is each rounded to int8 with a scale of its own, a fourth of float32. The length of what rounding took from a
vector is kept, and bounds by how much its score can be off (Cauchy and Schwarz). UnitVectors that may be among the best
within these bounds are then compared exactly, so that none is missed.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import expanded, write_whole
from unisono.retrieval.indexes import (
    BLOCK,
    Floats,
    Positions,
    UnitVectors,
    best_of,
    exact_scores,
    no_place,
    stamps_of,
    warn_of_others,
)
from unisono.retrieval.indexes._products import Products

ROUNDING = np.float32(1e-5)
"""More than a float32 product of 1,000 numbers is off."""
FEW = 0.1
"""Of less than this share of the vectors, each is compared by itself."""
MARK = "index.json"
FORMAT = 1


class ExactIndex:
    """UnitVectors under keys, in memory or in files of a folder."""

    def __init__(self, dim: int, folder: Path | None = None, made_for: str = "") -> None:
        """Begin an empty index, or open that of the folder.

        Raises:
            UnisonoError: the folder cannot be read or written.
        """
        self.folder = folder
        self.source = ""
        self._made_for = made_for
        kinds: dict[str, tuple[Any, int]] = {"keys": (np.int64, 1), "stamps": (np.int64, 1)}
        if folder:
            kinds |= {"vectors": (np.float16, dim), "codes": (np.int8, dim)}
            kinds |= {"scales": (np.float32, 1), "errors": (np.float32, 1)}
        else:
            kinds["vectors"] = np.float32, dim
        self._kinds = kinds
        self._columns: dict[str, Any] = {}
        self._resize(0 if folder is None else self._open(folder, dim))
        self._changed()

    @classmethod
    def of(cls, vectors: UnitVectors) -> "ExactIndex":
        """Return the index of vectors [W, D] in memory, which are not copied; their keys are their places."""
        index = cls(vectors.shape[1])
        keys = np.arange(len(vectors))
        index._columns = {"keys": keys, "stamps": np.empty(0, np.int64), "vectors": vectors}
        index._changed()
        return index

    def count(self) -> int:
        """Return how many vectors there are."""
        return len(self._columns["keys"])

    def upsert(self, keys: Positions, vectors: Floats) -> None:
        """Put in vectors; see `Index.upsert`."""
        keys, last = np.unique(keys[::-1], return_index=True)
        vectors = np.asarray(vectors, dtype=np.float32)[::-1][last]
        slots, is_here = self._slots(keys)
        before = self.count()
        slots[~is_here] = before + np.arange(int((~is_here).sum()))
        self._own()
        self._resize(before + int((~is_here).sum()))
        columns = self._columns
        columns["keys"][slots] = keys
        columns["stamps"][slots] = stamps_of(vectors)
        columns["vectors"][slots] = vectors
        if self.folder:
            scales = np.abs(vectors).max(axis=1, initial=0) / 127
            codes = np.rint(vectors / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
            stored = columns["vectors"][slots].astype(np.float32)
            columns["codes"][slots], columns["scales"][slots] = codes, scales
            columns["errors"][slots] = np.linalg.norm(stored - codes * scales[:, None], axis=1)
        self._changed()

    def delete(self, keys: Positions) -> None:
        """Take out vectors: the last ones fill the gaps."""
        slots, is_here = self._slots(np.unique(keys))
        gaps = np.sort(slots[is_here])
        left = self.count() - len(gaps)
        self._own()
        fillers = np.setdiff1d(np.arange(left, self.count()), gaps)
        for column in self._columns.values():
            column[gaps[gaps < left]] = column[fillers]
        self._resize(left)
        self._changed()

    def search(self, query: Floats, top: int, among: Positions | None = None) -> tuple[Positions, Floats]:
        """Find the vectors with the largest dot product with a query; see `Index.search`."""
        keys = self._columns["keys"]
        slots = np.arange(len(keys))
        if among is not None:
            found, is_here = self._slots(np.asarray(among, dtype=np.int64))
            slots = found[is_here]
        if top < len(slots) and (among is None or len(slots) > FEW * len(keys)):
            rough = self._products(query[None])[slots, 0]
            errors = self._columns["errors"][slots] if self.folder else np.float32(0)
            margin = (errors + ROUNDING) * np.maximum(np.linalg.norm(query), 1)
            lower = rough - margin
            slots = slots[rough + margin >= np.partition(lower, len(lower) - top)[len(lower) - top]]
        vectors = self._columns["vectors"]
        parts = [vectors[slots[begin : begin + BLOCK]] for begin in range(0, len(slots) or 1, BLOCK)]
        scores = np.concatenate([exact_scores(part.astype(np.float32, copy=False), query) for part in parts])
        return best_of(keys[slots], scores, top)

    @property
    def vectors(self) -> UnitVectors:
        """[n, D], in the order of the keys."""
        vectors = self._columns["vectors"]
        return StoredVectors(vectors, None if self._is_in_order else self._order) if self.folder else vectors

    @property
    def errors(self) -> Floats | None:
        """[n]: by how much `products` can be off, in the order of the keys; None if by no more than rounding."""
        return self._columns["errors"][self._order] if self.folder else None

    def products(self, queries: Floats) -> Floats:
        """Return the products [n, Q] with queries [Q, D], in the order of the keys; see `Products`."""
        found = self._products(queries)
        return found if self._is_in_order else found[self._order]

    def held(self) -> tuple[Positions, Positions]:
        """Return all keys and the stamps of their vectors."""
        self._own()
        return self._columns["keys"][self._order], self._columns["stamps"][self._order]

    def mark(self, source: str) -> None:
        """Remember what the vectors are copies of."""
        self.source = source
        if self.folder is None:
            return
        with suppress(FileNotFoundError):
            (self.folder / MARK).unlink()
        if source:
            for column in self._columns.values():
                getattr(column, "flush", lambda: None)()
            about = {"format": FORMAT, "made_for": self._made_for, "dim": self._kinds["vectors"][1], "source": source}
            write_whole(self.folder / MARK, json.dumps(about | {"count": self.count()}))

    def _open(self, folder: Path, dim: int) -> int:
        """Return how many vectors the files of a folder hold; 0 if they are of no use."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / MARK).is_file():
                about = json.loads((folder / MARK).read_text(encoding="utf-8"))
                if about["format"] == FORMAT and (about["dim"], about["made_for"]) != (dim, self._made_for):
                    warn_of_others(str(folder), about["made_for"], self._made_for)
                elif about["format"] == FORMAT and self._sizes(about["count"]) == self._found_sizes():
                    self.source = about["source"]
                    return int(about["count"])
            elif any(path.name not in self._files().values() for path in folder.iterdir()):
                raise UsageError(
                    f"{folder} holds other things than an index.", hint="Name a folder of its own.", parameter="index"
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnisonoError(f"Cannot open the index {folder}: {error}.") from error
        return 0

    def _files(self) -> dict[str, str]:
        return {name: f"{name}.{np.dtype(kind).name}" for name, (kind, _) in self._kinds.items()}

    def _sizes(self, count: int) -> dict[str, int]:
        return {name: count * dim * np.dtype(kind).itemsize for name, (kind, dim) in self._kinds.items()}

    def _found_sizes(self) -> dict[str, int]:
        assert self.folder
        paths = {name: self.folder / file for name, file in self._files().items()}
        return {name: path.stat().st_size if path.is_file() else 0 for name, path in paths.items()}

    def _resize(self, count: int) -> None:
        """Make room for a number of vectors; those that are here keep their places."""
        for name, (kind, dim) in self._kinds.items():
            shape = (count, dim) if dim > 1 or name in ("vectors", "codes") else (count,)
            if self.folder:
                path = self.folder / self._files()[name]
                self._columns.pop(name, None)
                with path.open("ab") as file:
                    file.truncate(count * dim * np.dtype(kind).itemsize)
                self._columns[name] = np.memmap(path, kind, "r+", shape=shape) if count else np.zeros(shape, kind)
                continue
            column = np.zeros(shape, kind)
            before = self._columns.get(name, column)[:count]
            column[: len(before)] = before
            self._columns[name] = column

    def _own(self) -> None:
        """Copy vectors that belong to somebody else before they are changed."""
        if len(self._columns["stamps"]) < self.count():
            self._columns["stamps"] = stamps_of(self._columns["vectors"])
            self._columns["vectors"] = self._columns["vectors"].copy()

    def _changed(self) -> None:
        columns = self._columns
        keys = columns["keys"]
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]
        self._products = Products(columns["codes"], columns["scales"]) if self.folder else Products(columns["vectors"])
        self._is_in_order = bool((self._order[1:] > self._order[:-1]).all())

    def _slots(self, keys: Positions) -> tuple[Positions, NDArray[np.bool_]]:
        """Return where each of some keys stands, and whether it is here."""
        if not len(self._sorted):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), dtype=bool)
        places = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return self._order[places], self._sorted[places] == keys


class StoredVectors:
    """UnitVectors that are mapped from the disk as float16, as float32 when they are asked for."""

    def __init__(self, vectors: NDArray[np.float16], order: Positions | None = None) -> None:
        self._vectors = vectors
        self._order = order

    @property
    def shape(self) -> tuple[int, ...]:
        """[W, D]."""
        return self._vectors.shape

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: Any) -> Any:
        return self._vectors[rows if self._order is None else self._order[rows]].astype(np.float32)


def open_at(place: str, dim: int, made_for: str) -> ExactIndex:
    """Open the index of a folder, or begin one in memory.

    Raises:
        UsageError: the place is no folder for an index.
    """
    if place.startswith("//"):
        raise no_place(place, "exact, or exact:FOLDER")
    return ExactIndex(dim, expanded(place) if place else None, made_for)
