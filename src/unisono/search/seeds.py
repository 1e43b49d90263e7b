"""Music that a query names: by id, by path, by a part of "artist - title", or by a playlist."""

import difflib
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from unisono.base.errors import UsageError
from unisono.base.files import expanded
from unisono.base.words import counted
from unisono.retrieval.collection import Collection
from unisono.retrieval.columns import folded
from unisono.search.playlist import ENDINGS, read_playlist

CANDIDATES = 5
"""The most tracks that are named where several fit, or none."""
MOST_COMPARED = 20_000
"""Names whose spelling is compared with one that no track has."""


Playlists = Mapping[str, Sequence[str]]
"""Text of `like` -> the ids or absolute paths of the tracks of the playlist that it names."""
NONE: Playlists = MappingProxyType({})


def find_seeds(collection: Collection, named: str, playlists: Playlists = NONE) -> tuple[list[int], str]:
    """Return the positions of the tracks that a text names, and what else is to be said of it.

    It is an id, a path, a part of "artist - title", a file of a playlist, or one of `playlists`.

    Raises:
        UsageError: no track fits, or several do; the message names candidates.
    """
    if named in collection.position_of:
        return [collection.position_of[named]], ""
    if named in playlists:
        return _of_playlist(collection, named, playlists[named])
    if named.lower().endswith(ENDINGS):
        return _of_playlist(collection, named, read_playlist(expanded(named)))
    path = folded(os.path.abspath(expanded(named)))  # noqa: PTH100 - without resolving links
    at = [row for row, track in enumerate(collection.tracks) if folded(track.audio_path) in (path, folded(named))]
    if at:
        return at, ""
    return [_by_name(collection, named)], ""


def _of_playlist(collection: Collection, named: str, entries: Sequence[str]) -> tuple[list[int], str]:
    wanted = dict.fromkeys(entries)
    at_path = {folded(track.audio_path): row for row, track in reversed(list(enumerate(collection.tracks)))}
    places = [collection.position_of.get(each, at_path.get(folded(each), -1)) for each in wanted]
    found = list(dict.fromkeys(place for place in places if place >= 0))
    if not found:
        raise UsageError(
            f"None of the {counted(len(wanted), 'track')} of {named} is in this collection.", parameter="like"
        )
    missing = places.count(-1)
    return found, f"Not here: {missing:,} of the {counted(len(wanted), 'track')} of {named}." if missing else ""


def _by_name(collection: Collection, named: str) -> int:
    wanted = folded(named.strip())
    names = [folded(track.name) for track in collection.tracks]
    found = [row for row, name in enumerate(names) if wanted in name]
    exact = [row for row in found if names[row] == wanted]
    if len(exact) == 1 or len(found) == 1:
        return (exact if len(exact) == 1 else found)[0]
    if found:
        shown = "; ".join(
            f"{collection.tracks[row].name} (id {collection.tracks[row].id})" for row in found[:CANDIDATES]
        )
        raise UsageError(
            f"{counted(len(found), 'track')} fit {named!r}: {shown}{' and others' if len(found) > CANDIDATES else ''}.",
            hint="Name one by more of its artist and title, or by its id.",
            parameter="like",
        )
    raise UsageError(
        f"No track fits {named!r}: it is no id, no path, and no part of an artist and title here."
        + _near_names(collection, wanted, names),
        parameter="like",
    )


def _near_names(collection: Collection, wanted: str, names: list[str]) -> str:
    """Return " Near: ..." with the tracks that share most words with what was wanted, or are spelt like it."""
    words = set(wanted.split())
    shared = {row: len(words.intersection(name.split())) for row, name in enumerate(names)}
    near = sorted((row for row, count in shared.items() if count), key=lambda row: (-shared[row], row))[:CANDIDATES]
    if not near:
        spelt = {name: row for row, name in reversed(list(enumerate(names[:MOST_COMPARED])))}
        near = [spelt[name] for name in difflib.get_close_matches(wanted, spelt, n=CANDIDATES)]
    return f" Near: {'; '.join(collection.tracks[row].name for row in near)}." if near else ""
