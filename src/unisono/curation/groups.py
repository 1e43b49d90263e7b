"""Groups of tracks that belong together because they share a recording, an artist, a file, or another identity."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unisono.tracks.track import Track

Identity = tuple[str, str]
"""A field and its value; tracks that share one are in one group."""


def identities(track: Track) -> list[Identity]:
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

    @classmethod
    def of(cls, keys: Iterable[Iterable[Identity]]) -> "Keys":
        """Return the columns of the identities of items."""
        hashes, owner, kinds = array("q"), array("I"), array("B")
        fields: dict[str, int] = {}
        count = 0
        for its_keys in keys:
            for key in its_keys:
                hashes.append(hash(key))
                owner.append(count)
                kinds.append(fields.setdefault(key[0], len(fields)))
            count += 1
        return cls(count, np.asarray(hashes), np.asarray(owner), np.asarray(kinds), tuple(fields))

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


def connected(keys: Keys) -> NDArray[np.int64]:
    """Return the number of each item's connected component; items that share a key are connected.

    Components are numbered in the order of their first item. The algorithm is union-find with path halving.
    """
    parent = array("q", range(keys.count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    order = np.argsort(keys.hashes, kind="stable")
    ranked, items = keys.hashes[order], keys.owner[order].astype(np.int64)
    same = np.flatnonzero((ranked[1:] == ranked[:-1]) & (items[1:] != items[:-1]))
    pairs = np.unique(items[same] * keys.count + items[same + 1])  # excerpts of a song share all: join them only once
    for one, other in zip((pairs // max(keys.count, 1)).tolist(), (pairs % max(keys.count, 1)).tolist(), strict=True):
        a, b = root(one), root(other)
        parent[max(a, b)] = min(a, b)
    roots = np.fromiter(map(root, range(keys.count)), np.int64, keys.count)
    number_of_first = np.cumsum(roots == np.arange(keys.count)) - 1  # a root is the first item of its component
    numbers: NDArray[np.int64] = number_of_first[roots]
    return numbers


def keys_of(tracks: Iterable[Track], further: Iterable[tuple[Identity, ...]] | None = None) -> Keys:
    """Return the identities of tracks, and for each the further ones (see `joining`)."""
    if further is None:
        return Keys.of(map(identities, tracks))
    return Keys.of([*identities(track), *its] for track, its in zip(tracks, further, strict=True))


def groups(tracks: Sequence[Track], further: Sequence[tuple[Identity, ...]] | None = None) -> list[int]:
    """Return the number of each track's group; a group must not be divided by splits."""
    numbers: list[int] = connected(keys_of(tracks, further)).tolist()
    return numbers
