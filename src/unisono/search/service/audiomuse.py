"""The two routes of AudioMuse-AI that its plugin for Navidrome asks, so that instant mix and radio there use unisono.

    GET /api/similar_tracks?item_id=&n=&eliminate_duplicates=&radius_similarity=
    GET /api/similar_artists?artist=&n=&include_component_matches=

Ids are the media server's own. The answers have the fields of AudioMuse-AI's; an artist has one component here, the mean
of their tracks, in place of several. `radius_similarity` is accepted: the nearest come first, with it and without.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError, UsageError
from unisono.retrieval.collection import Collection, IndexedTrack

MOST = 500
OF_AN_ARTIST = 3
"""The most tracks of an artist if duplicates are to be eliminated."""
REPRESENTATIVE = 10
"""Tracks that stand for an artist."""


@dataclass(frozen=True)
class ServerIds:
    """What a media server calls the tracks and artists of a collection."""

    of_track: Mapping[str, str]
    """Id of a track in the collection -> that at the server."""
    of_artist: Mapping[str, str]
    """The same of artists (`IndexedTrack.artist_id`)."""


def similar_tracks(
    collection: Collection, ids: ServerIds, item_id: str, n: int = 10, *, eliminate_duplicates: bool = False
) -> list[dict[str, Any]]:
    """Return the `n` tracks most like the one of the server's id, the nearest first.

    `eliminate_duplicates` leaves out what has the artist and title of another, and the fourth track of an artist on.

    Raises:
        UsageError: a parameter is missing or out of its bounds (HTTP 400).
        DataError: the track is not in the collection (404).
    """
    _check(item_id, "item_id", n)
    means, known = collection.means, _positions(collection, ids)
    if item_id not in known:
        raise DataError(f"There is no track {item_id!r} here.")
    seed = known[item_id]
    rows = np.array(sorted(known.values()))
    likeness = means[rows] @ means[seed]
    found: list[dict[str, Any]] = []
    names, of_artist = {_name(collection.tracks[seed])}, Counter[str]()
    for place in np.argsort(-likeness, kind="stable"):
        track = collection.tracks[rows[place]]
        if rows[place] == seed or len(found) == n:
            continue
        artist = track.artist.casefold()
        if eliminate_duplicates and (_name(track) in names or (artist and of_artist[artist] == OF_AN_ARTIST)):
            continue
        names.add(_name(track))
        of_artist[artist] += 1
        found.append(
            {
                "item_id": ids.of_track[track.id],
                "title": track.title,
                "author": track.artist,
                "album": track.album,
                "distance": round(1 - float(likeness[place]), 6),
            }
        )
    return found


def similar_artists(
    collection: Collection, ids: ServerIds, artist: str, n: int = 10, *, include_component_matches: bool = False
) -> list[dict[str, Any]]:
    """Return the `n` artists whose music is most like that of one, by the server's id or the name, the nearest first.

    `include_component_matches` names tracks that stand for both of each pair.

    Raises:
        UsageError: a parameter is missing or out of its bounds (HTTP 400).
        DataError: there is no such artist (404).
    """
    _check(artist, "artist", n)
    tracks, means = collection.tracks, collection.means
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for position in sorted(_positions(collection, ids).values()):
        if tracks[position].artist_id:
            rows_of[tracks[position].artist_id].append(position)
    asked = _artist(artist, collection, ids, rows_of)
    keys = list(rows_of)
    centres = np.stack([means[rows_of[key]].mean(axis=0) for key in keys])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True) + 1e-12
    centre = centres[keys.index(asked)]
    likeness = centres @ centre
    found: list[dict[str, Any]] = []
    for place in np.argsort(-likeness, kind="stable"):
        key = keys[place]
        if key == asked or len(found) == n:
            continue
        distance = round(1 - float(likeness[place]), 6)
        answer = {
            "artist": tracks[rows_of[key][0]].artist,
            "artist_id": ids.of_artist.get(key, ""),
            "divergence": distance,
        }
        if include_component_matches:
            answer["component_matches"] = [
                {
                    "component1_index": 0,
                    "component2_index": 0,
                    "component1_weight": 1.0,
                    "component2_weight": 1.0,
                    "distance": distance,
                    "artist1_representative_songs": _nearest(collection, ids, means, rows_of[asked], centres[place]),
                    "artist2_representative_songs": _nearest(collection, ids, means, rows_of[key], centre),
                }
            ]
        found.append(answer)
    return found


def _artist(artist: str, collection: Collection, ids: ServerIds, rows_of: Mapping[str, Sequence[int]]) -> str:
    """Return the artist's id in the collection."""
    for key, at_server in ids.of_artist.items():
        if at_server == artist and key in rows_of:
            return key
    for key, rows in rows_of.items():
        if collection.tracks[rows[0]].artist.casefold() == artist.casefold():
            return key
    raise DataError(f"There is no artist {artist!r} here.")


def _nearest(
    collection: Collection, ids: ServerIds, means: NDArray[np.float32], rows: Sequence[int], to: NDArray[np.float32]
) -> list[dict[str, Any]]:
    distances = 1 - means[rows] @ to
    return [
        {
            "item_id": ids.of_track[collection.tracks[rows[place]].id],
            "title": collection.tracks[rows[place]].title,
            "distance_to_component": round(float(distances[place]), 6),
        }
        for place in np.argsort(distances, kind="stable")[:REPRESENTATIVE]
    ]


def _positions(collection: Collection, ids: ServerIds) -> dict[str, int]:
    """Return id at the server -> position, of the tracks that the server has."""
    found = ((ids.of_track.get(track.id), position) for position, track in enumerate(collection.tracks))
    return {id: position for id, position in found if id is not None}


def _name(track: IndexedTrack) -> tuple[str, str]:
    return track.artist.casefold(), (track.title or track.id).casefold()


def _check(asked: str, name: str, n: int) -> None:
    if not asked:
        raise UsageError(f"{name} is missing.", parameter=name)
    if not 1 <= n <= MOST:
        raise UsageError(f"n must be from 1 to {MOST}, found {n}.", parameter="n")
