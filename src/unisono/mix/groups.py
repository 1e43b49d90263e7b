"""Which tracks belong together because they share a recording, an artist or a file."""

from collections.abc import Iterable, Sequence

from unisono.track import Track

IDENTITIES = ("recording", "artist_id", "sha256")


def identities(track: Track) -> Iterable[tuple[str, str]]:
    """Give the identities by which a track is joined to others, as (field, value); empty fields join nothing."""
    return [(field, value) for field in IDENTITIES if (value := getattr(track, field))]


def connected(keys: Sequence[Iterable[tuple[str, str]]]) -> list[int]:
    """Number the connected components of items that share any key; returns each item's component.

    Components are numbered in the order of their first item. (Union-find with path halving.)
    """
    parent = list(range(len(keys)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    first_with: dict[tuple[str, str], int] = {}
    for item, its_keys in enumerate(keys):
        for key in its_keys:
            other = first_with.setdefault(key, item)
            if other != item:
                a, b = root(item), root(other)
                parent[max(a, b)] = min(a, b)
    number: dict[int, int] = {}
    return [number.setdefault(root(item), len(number)) for item in range(len(keys))]


def groups(tracks: Sequence[Track]) -> list[int]:
    """Number the groups of tracks that must stay on one side of a split; returns each track's group."""
    return connected([identities(track) for track in tracks])
