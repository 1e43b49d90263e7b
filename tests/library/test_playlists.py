"""Playlists of a library, and saved searches, on a stub of a server."""

from typing import Any

import numpy as np
import pytest

from tests.library.servers import PASSWORD, USER
from tests.library.stubs import SubsonicStub, serving
from unisono.base.errors import UsageError
from unisono.library.library import Library
from unisono.library.playlists import (
    SavedSearch,
    on_servers,
    read,
    refresh,
    remove,
    save,
    saved_searches,
    server_ids,
    targets,
    write,
)
from unisono.library.sources import SourceTrack, TrackFacts
from unisono.retrieval.collection import Collection
from unisono.search.query import Query
from unisono.search.run import search


class Model:
    """Finds what has the words of the query in its title."""

    def embed_text(self, texts):
        return np.array([[1.0, 0.0] if "calm" in text else [0.0, 1.0] for text in texts], dtype=np.float32)


MODEL: Any = Model()


@pytest.fixture
def stub(monkeypatch):
    monkeypatch.setenv("UNISONO_SERVER_PASSWORD", PASSWORD)
    songs = [
        {"id": f"s{n}", "title": f"T{n}", "artist": "Ann", "artistId": "ar-1", "album": "Al", "size": 9, "duration": 60}
        for n in range(6)
    ]
    with serving(SubsonicStub(songs=songs, extensions=["formPost"])) as stub:
        yield stub


@pytest.fixture
def library(stub, tmp_path, monkeypatch):
    """Six tracks of a server, and in a folder three that it has too and one that it does not have."""
    (tmp_path / "Music").mkdir()
    with Library.open(tmp_path / "library", "music", create=True) as library:
        library.add(f"subsonic:{stub.url.replace('//', f'//{USER}@')}")
        library.add(tmp_path / "Music")
        server, folder = library.catalogue.sources()
        facts = TrackFacts(title="T5", artist="Ann", album="Al")
        files = {"same content": (b"c4", None), "same words": (b"c5", facts), "only here": (b"c6", None)}
        with library.catalogue.writing() as revision:
            for song in stub.songs:
                its = TrackFacts(title=song["title"], artist="Ann", album="Al", artist_id="ar-1")
                track = SourceTrack(song["id"], "", 9, 0, 60.0, its)
                library.catalogue.insert(server.number, track, b"c4" if song["id"] == "s4" else None, revision)
            for name, (content, known) in files.items():
                track = SourceTrack(f"{name}.mp3", f"{name}.mp3", 9, 1, 60.2, known)
                library.catalogue.insert(folder.number, track, content, revision)
        yield library


@pytest.fixture
def collection(library, monkeypatch):
    from unisono.library.gathered import indexed

    addresses = {source.number: source.address for source in library.catalogue.sources()}
    tracks = [indexed(track, "music", addresses[track.source]) for track in library.catalogue.tracks()]
    vectors = np.array([[np.cos(n / 9), np.sin(n / 9)] for n in range(len(tracks))], dtype=np.float32)
    found = Collection(tracks, vectors)
    monkeypatch.setattr(library, "collection", lambda model: found)
    return found


def test_tracks_go_to_the_server_that_has_them_whatever_source_they_are_of(library, collection, stub):
    target = "subsonic:Quiet: evening"
    saved = write([library], target, list(collection.tracks), comment="calm")
    (playlist,) = stub.playlists.values()
    assert [entry["id"] for entry in playlist["entry"]] == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert (playlist["name"], playlist["comment"]) == ("Quiet: evening", "calm [unisono]")
    assert saved.tracks == 6 and saved.left_out == 1
    again = write([library], target, list(collection.tracks[7:8]))
    assert [entry["id"] for entry in playlist["entry"]] == ["s5"] and again.tracks == 1
    nothing = write([library], target, list(collection.tracks[8:]))
    assert [entry["id"] for entry in playlist["entry"]] == ["s5"] and (nothing.tracks, nothing.left_out) == (0, 1)
    assert len(stub.playlists) == 1


def test_a_playlist_on_a_server_is_a_seed(library, collection, stub, tmp_path):
    stub.playlists["p"] = {"id": "p", "name": "Mine", "entry": [{"id": "s3"}, {"id": "s1"}, {"id": "new"}]}
    (listed,) = on_servers([library])
    assert listed == f"{library.catalogue.sources()[0].address}#Mine"
    for named in ("subsonic:Mine", listed):
        playlists = read([library], [f"{named}^0.5", "T2"])
        assert playlists == {named: ["music:4", "music:2", "new"]}
        hits = search(MODEL, Query(like=f"{named}^0.5", top=1), collection, playlists)
        assert [hit.track.title for hit in hits] == ["T2"]
        assert hits.notes == (f"Not here: 1 of the 3 tracks of {named}.",)
    save(library, SavedSearch(name="x", query=Query(like="subsonic:Mine", top=2), target=str(tmp_path / "x.m3u8")))
    (done,) = refresh(library, model=MODEL)
    assert done.problem == "nothing was found that it could hold"  # T2 and T0 are no files


def test_targets_that_mean_no_server_or_several(library, stub, tmp_path):
    (address,) = targets([library])
    assert write([library], f"{address}#Quiet", []).tracks == 0
    other = Library.open(tmp_path / "library", "other", create=True)
    other.add(address.replace(USER, "bob"))
    with other, pytest.raises(UsageError, match="There are several servers") as caught:
        write([library, other], "subsonic:Quiet", [])
    assert f"{address}#Quiet" in caught.value.hint
    with pytest.raises(UsageError, match="No library follows a jellyfin server"):
        write([library], "jellyfin:Quiet", [])
    with pytest.raises(UsageError, match="names no playlist"):
        write([library], f"{address}#", [])
    with pytest.raises(UsageError, match=r"must end in \.m3u8"):
        save(library, SavedSearch(name="x", query=Query("calm"), target="quiet.txt"))


def test_saved_searches_are_refreshed_and_one_that_fails_stays(library, collection, stub, tmp_path):
    file = tmp_path / "quiet.m3u8"
    searches = [
        SavedSearch(name="a", query=Query("calm", top=3), target="subsonic:Quiet"),
        SavedSearch(name="b", query=Query("calm", where=["artist=Nobody"]), target="subsonic:Nobody"),
        SavedSearch(name="c", query=Query("calm", where=["title=T5"]), target=str(file), path_map=[f"{tmp_path}=/m"]),
    ]
    for each in searches:
        save(library, each)
    assert saved_searches(library) == searches
    done = refresh(library, model=MODEL)
    assert [bool(each.problem) for each in done] == [False, True, False]
    assert "Nobody" in done[1].problem
    (playlist,) = stub.playlists.values()
    assert [entry["id"] for entry in playlist["entry"]] == ["s0", "s1", "s2"] and "calm" in playlist["comment"]
    assert file.read_text().splitlines()[-1] == "/m/Music/same words.mp3"
    stub.songs[0]["title"] = "changed"
    collection.tracks.pop(0), collection.__init__(collection.tracks, collection.vectors[:-1])
    refresh(library, ["a"], model=MODEL)
    assert [entry["id"] for entry in playlist["entry"]] == ["s1", "s2", "s3"] and len(stub.playlists) == 1
    assert [bool(search.refreshed) for search in saved_searches(library)] == [True, False, True]
    remove(library, "b")
    with pytest.raises(UsageError, match="There is no saved search 'b'"):
        refresh(library, ["b"])


def test_what_the_server_calls_tracks_and_artists(library):
    ids = server_ids(library)
    assert ids.of_track == {f"music:{n + 1}": f"s{n}" for n in range(6)} | {"music:7": "s4", "music:8": "s5"}
    assert ids.of_artist == {"library-artist:ann": "ar-1"}
