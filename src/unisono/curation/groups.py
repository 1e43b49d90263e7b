"""Groups of tracks that belong together because they share a recording, an artist, a file, or another identity."""

from collections.abc import Iterable, Sequence

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


def connected(keys: Sequence[Iterable[Identity]]) -> list[int]:
    """Return the number of each item's connected component; items that share a key are connected.

    Components are numbered in the order of their first item. The algorithm is union-find with path halving.
    """
    parent = list(range(len(keys)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    first_with: dict[Identity, int] = {}
    for item, its_keys in enumerate(keys):
        for key in its_keys:
            other = first_with.setdefault(key, item)
            if other != item:
                a, b = root(item), root(other)
                parent[max(a, b)] = min(a, b)
    number: dict[int, int] = {}
    return [number.setdefault(root(item), len(number)) for item in range(len(keys))]


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
    group_of_kind = connected([[*identities(first_of_kind[number]), *kind[4]] for kind, number in kind_of.items()])
    return [group_of_kind[kind] for kind in kinds]
