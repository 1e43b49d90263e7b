"""Groups of tracks that belong together because they share a recording, an artist, a file, or another identity."""

from array import array
from collections.abc import Iterable, Sequence

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


def connected(keys: Iterable[Iterable[Identity]]) -> NDArray[np.int64]:
    """Return the number of each item's connected component; items that share a key are connected.

    Components are numbered in the order of their first item. Of each key, its hash of 64 bits is held: two among ten million
    have the same by chance once in 370,000 runs. The algorithm is union-find with path halving.
    """
    hashes, items = array("q"), array("I")
    count = 0
    for count, its_keys in enumerate(keys, 1):
        for key in its_keys:
            hashes.append(hash(key))
            items.append(count - 1)
    parent = array("q", range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    order = np.argsort(np.asarray(hashes), kind="stable")
    ranked, its_items = np.asarray(hashes)[order], np.asarray(items)[order]
    same = np.flatnonzero((ranked[1:] == ranked[:-1]) & (its_items[1:] != its_items[:-1]))
    for one, other in zip(its_items[same].tolist(), its_items[same + 1].tolist(), strict=True):
        a, b = root(one), root(other)
        parent[max(a, b)] = min(a, b)
    roots = np.fromiter(map(root, range(count)), np.int64, count)
    first_to_number = np.cumsum(roots == np.arange(count)) - 1  # a root is the first item of its component
    numbers: NDArray[np.int64] = first_to_number[roots]
    return numbers


def groups(tracks: Sequence[Track], further: Sequence[tuple[Identity, ...]] | None = None) -> list[int]:
    """Return the number of each track's group; a group must not be divided by splits.

    Args:
        tracks: all tracks.
        further: for each track, identities in addition to its own (see `joining`).
    """
    # Excerpts of a song have the same identities: join them only once.
    kind_of: dict[tuple[str, str, str, str, tuple[Identity, ...]], int] = {}
    kinds = [
        kind_of.setdefault(
            (track.recording, track.recording or track.audio_path, track.artist_id, track.sha256, its_further),
            len(kind_of),
        )
        for track, its_further in zip(tracks, further or [()] * len(tracks), strict=True)
    ]
    first_of_kind = dict(zip(reversed(kinds), reversed(tracks), strict=True))
    group_of_kind = connected(
        [*identities(first_of_kind[number]), *kind[4]] for kind, number in kind_of.items()
    ).tolist()
    return [group_of_kind[kind] for kind in kinds]
