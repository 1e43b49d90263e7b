"""The requests of the AudioMuse-AI plugin for Navidrome, and answers in the shape that it reads."""

import dataclasses
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import numpy as np
import pytest

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import DataError, UsageError
from unisono.retrieval.collection import Collection
from unisono.search.service.audiomuse import ServerIds, similar_artists, similar_tracks

TRACKS_ASKED = "/api/similar_tracks?eliminate_duplicates=true&item_id=nd-0&n=3&radius_similarity=true"
ARTISTS_ASKED = "/api/similar_artists?artist=nd-ar-Ann&include_component_matches=true&n=10"
"""As the plugin sends them."""


Music = tuple[Collection, ServerIds]


class Song(msgspec.Struct, forbid_unknown_fields=True):
    item_id: str
    title: str
    author: str
    album: str
    distance: float


class Representative(msgspec.Struct):
    item_id: str
    title: str


class Match(msgspec.Struct):
    artist1_representative_songs: list[Representative]
    artist2_representative_songs: list[Representative]


class Artist(msgspec.Struct):
    artist: str
    artist_id: str
    component_matches: list[Match] = []


def sent(content: Any, kind: Any) -> Any:
    """Return an answer as the plugin reads it."""
    return msgspec.json.decode(json.dumps(content), type=kind)


def asked(request: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request).query).items()}


ARTISTS = ["Ann", "Ann", "Bo", "Bo", "Cy", "Cy", "Ann", "Ann", "Ann", "Dee"]
ANGLES = [0, 10, 20, 30, 170, 180, 2, 4, 6, 1]


@pytest.fixture
def music() -> Music:
    radians = np.deg2rad(ANGLES)
    tracks = [
        dataclasses.replace(
            BLANK, id=f"music:{n}", artist=artist, artist_id=f"library-artist:{artist}", title=f"T{n}", album="A"
        )
        for n, artist in enumerate(ARTISTS)
    ]
    tracks[7] = dataclasses.replace(tracks[7], title="T0")  # once more what is asked for
    vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    at_server = {track.id: f"nd-{n}" for n, track in enumerate(tracks[:9])}  # the last is in a folder only
    of_artist = {f"library-artist:{artist}": f"nd-ar-{artist}" for artist in ("Ann", "Bo", "Cy")}
    return Collection(tracks, vectors), ServerIds(at_server, of_artist)


def test_similar_tracks_as_the_plugin_asks(music: Music):
    parameters = asked(TRACKS_ASKED)
    songs = sent(
        similar_tracks(*music, parameters["item_id"], int(parameters["n"]), eliminate_duplicates=True), list[Song]
    )
    assert [song.item_id for song in songs] == ["nd-6", "nd-8", "nd-1"]
    assert (songs[0].title, songs[0].author, songs[0].album) == ("T6", "Ann", "A")
    assert songs[0].distance == pytest.approx(1 - np.cos(np.deg2rad(2)), abs=1e-6)
    everything = similar_tracks(*music, "nd-0", 500)
    assert [song["item_id"] for song in everything][:5] == ["nd-6", "nd-7", "nd-8", "nd-1", "nd-2"]
    assert len(everything) == 8 and "nd-0" not in [song["item_id"] for song in everything]
    artists = [song["author"] for song in similar_tracks(*music, "nd-2", 500, eliminate_duplicates=True)]
    assert artists.count("Ann") == 3


def test_similar_artists_as_the_plugin_asks(music: Music):
    parameters = asked(ARTISTS_ASKED)
    for name in (parameters["artist"], "ann"):
        artists = sent(similar_artists(*music, name, 10, include_component_matches=True), list[Artist])
        assert [(found.artist, found.artist_id) for found in artists] == [("Bo", "nd-ar-Bo"), ("Cy", "nd-ar-Cy")]
    (match,) = artists[0].component_matches
    assert [song.item_id for song in match.artist1_representative_songs][:2] == ["nd-1", "nd-8"]
    assert [song.item_id for song in match.artist2_representative_songs] == ["nd-2", "nd-3"]
    assert "component_matches" not in similar_artists(*music, "Ann")[0]


def test_what_is_not_here_and_what_is_out_of_bounds(music: Music):
    asks: list[Any] = [similar_tracks, similar_artists]
    for ask in asks:
        with pytest.raises(DataError, match="There is no"):
            ask(*music, "unknown")
        for wrong in (0, 501):
            with pytest.raises(UsageError, match="n must be from 1 to 500"):
                ask(*music, "nd-0", wrong)
        with pytest.raises(UsageError, match="is missing"):
            ask(*music, "")
