"""Which tracks belong together because they share a recording, an artist or a file, or any further identity given."""

from collections.abc import Iterable, Sequence

from unisono.tracks.track import Track

Identity = tuple[str, str]
"""A field and its value; tracks that share one belong together."""


def identities(track: Track) -> list[Identity]:
    """Give the identities by which a track is joined to others; where no recording is named, its file stands for one."""
    found = [("recording", whole(track.recording)) if track.recording else ("audio_path", track.audio_path)]
    if track.artist_id:
        found.append(("artist_id", track.artist_id))
    if track.sha256:
        found.append(("sha256", track.sha256.lower()))
    return found


def whole(recording: str) -> str:
    """Give the identity of the whole that an excerpt was cut from: `youtube:<id>@30` -> `youtube:<id>`."""
    return recording.partition("@")[0] if recording.startswith("youtube:") else recording


def connected(keys: Sequence[Iterable[Identity]]) -> list[int]:
    """Number the connected components of items that share any key; returns each item's component.

    Components are numbered in the order of their first item. (Union-find with path halving.)
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
    """Number the groups of tracks that must stay on one side of a split; returns each track's group.

    `further` are identities that join tracks beside their own, for each track (see `joining`).
    """
    # A song's excerpts have the same identities: they are joined once for all.
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
