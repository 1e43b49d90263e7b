"""Groups of tracks that belong together because they share a recording, an artist, a file, or another identity."""

import itertools
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unisono.tracks.record import Entry

Identity = tuple[str, str]
"""A field and its value; tracks that share one are in one group."""


def identities(track: Entry) -> list[Identity]:
    """Return the identities of a track; if no recording is named, the path of its file stands for it."""
    found = [("recording", whole(track.recording)) if track.recording else ("audio_path", track.audio_path)]
    if track.artist_id:
        found.append(("artist_id", track.artist_id))
    if track.sha256:
        found.append(("sha256", track.sha256.lower()))
    return found


def whole(recording: str) -> str:
    """Return the identity of the whole recording of an excerpt: `youtube:<id>@30` -> `youtube:<id>`."""
    return recording.partition("@")[0] if recording.startswith("youtube:") else recording


@dataclass(frozen=True)
class Keys:
    """The identities of N items, as columns: of each, a hash of 64 bits.

    Two of ten million have the same by chance once in 370,000 runs.
    """

    count: int
    """N."""
    hashes: NDArray[np.int64]
    """[K]."""
    owner: NDArray[np.uint32]
    """[K]: the item that each is of, ascending."""
    kinds: NDArray[np.uint8]
    """[K]: the place of each one's field in `fields`."""
    fields: tuple[str, ...]

    def without(self, field: str) -> "Keys":
        """Return the same without the identities of a field."""
        return self._only(self.kinds != self.fields.index(field))

    def among(self, places: NDArray[np.int64]) -> "Keys":
        """Return the identities of some of the items, in the order of ascending places."""
        number = np.full(self.count, -1, dtype=np.int64)
        number[places] = np.arange(len(places))
        found = self._only(number[self.owner] >= 0)
        return replace(found, count=len(places), owner=number[found.owner].astype(np.uint32))

    def _only(self, kept: NDArray[np.bool_]) -> "Keys":
        return replace(self, hashes=self.hashes[kept], owner=self.owner[kept], kinds=self.kinds[kept])


class GatheredKeys:
    """Identities of items, as they come."""

    def __init__(self) -> None:
        self._hashes, self._owner, self._kinds = array("q"), array("I"), array("B")
        self._fields: dict[str, int] = {}
        self._count = 0

    def add(self, keys: Iterable[Sequence[Identity]]) -> None:
        """Add the identities of further items."""
        listed, fields = list(keys), self._fields
        flat = list(itertools.chain.from_iterable(listed))
        owners = np.arange(self._count, self._count + len(listed), dtype=np.uint32)
        self._owner.frombytes(np.repeat(owners, list(map(len, listed))).tobytes())
        self._hashes.extend(list(map(hash, flat)))
        self._kinds.extend([fields.setdefault(field, len(fields)) for field, _ in flat])
        self._count += len(listed)

    def columns(self) -> Keys:
        """Return the identities of all items."""
        hashes, owner, kinds = np.asarray(self._hashes), np.asarray(self._owner), np.asarray(self._kinds)
        return Keys(self._count, hashes, owner, kinds, tuple(self._fields))


def connected(keys: Keys) -> NDArray[np.int64]:
    """Return the number of each item's connected component; items that share a key are connected.

    Components are numbered in the order of their first item. Each is a tree whose root is its lowest item: trees that share
    a key are hooked to the lower root, all at once, until none is left to hook.
    """
    order = np.argsort(keys.hashes, kind="stable")
    ranked, items = keys.hashes[order], keys.owner[order].astype(np.int64)
    same = np.flatnonzero((ranked[1:] == ranked[:-1]) & (items[1:] != items[:-1]))
    one, other = items[same], items[same + 1]
    root = np.arange(keys.count)
    while len(one):
        np.minimum.at(root, np.maximum(root[one], root[other]), np.minimum(root[one], root[other]))
        while not np.array_equal(root, higher := root[root]):
            root = higher
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    number_of_first = np.cumsum(root == np.arange(keys.count)) - 1
    numbers: NDArray[np.int64] = number_of_first[root]
    return numbers
