"""A library follows a media server: what comes, what goes under other ids, and what happens when the server is unwell."""

import json
from typing import Any

import pytest

from tests.library.conftest import DspModel, sing
from tests.library.servers import PASSWORD, USER
from tests.library.stubs import Reply, SubsonicStub, failed, serving
from unisono.library.library import Library
from unisono.library.playlists import SavedSearch, refresh, save
from unisono.search.query import Query

MODEL: Any = DspModel()
DOWNLOAD = "/rest/download"


@pytest.fixture
def stub(tmp_path, monkeypatch):
    monkeypatch.setenv("UNISONO_SERVER_PASSWORD", PASSWORD)
    audio = {f"s{n}": sing(tmp_path / f"{n}.flac", n).read_bytes() for n in range(6)}
    songs = [
        {"id": id, "title": f"T{id}", "artist": "Ann", "album": "Al", "size": len(sound), "path": f"A/{id}.flac"}
        for id, sound in audio.items()
    ]  # fmt: skip
    with serving(SubsonicStub(songs=songs, audio=audio)) as stub:
        yield stub


@pytest.fixture
def followed(stub, tmp_path):
    """A library of the server, not synced yet."""
    with Library.open(tmp_path / "libraries", create=True) as library:
        library.add(f"subsonic:{stub.url.replace('//', f'//{USER}@')}")
        yield library


def numbers(library):
    return {track.facts.title: track.number for track in library.catalogue.tracks("removed IS NULL")}


def test_each_file_is_fetched_once(followed, stub):
    report = followed.sync()
    assert (len(report.sources[0].added), report.embedding.embedded, report.problems) == (6, 6, [])
    assert stub.paths().count(DOWNLOAD) == 6
    stub.songs.pop()
    report = followed.sync()
    assert (report.sources[0].removed, report.embedding.embedded) == (["A/s5.flac"], 0)
    assert stub.paths().count(DOWNLOAD) == 6 and len(followed.collection(MODEL)) == 5


def test_all_ids_are_encoded_anew_and_the_playlist_follows(followed, stub):
    stub.songs[0] |= {"musicBrainzId": "mb-0", "path": ""}
    followed.sync()
    save(followed, SavedSearch(name="all", query=Query("calm", top=6), target="subsonic:All"))
    refresh(followed, model=MODEL)
    before, (playlist,) = numbers(followed), stub.playlists.values()
    asked = [entry["id"] for entry in playlist["entry"]]
    stub.playlists = {"other id": playlist | {"id": "other id"}}
    for n, song in enumerate(stub.songs):
        song["id"] = f"new-{song['id']}"
        if n == 0:
            song |= {"path": "elsewhere", "size": song["size"] + 1}  # tagged again: the MusicBrainz id tells
        elif n % 2:
            song["path"] = f"B/{n}.flac"  # the words and the size tell
        else:
            song["album"] = "another"  # the path tells
    stub.audio = {f"new-{id}": sound for id, sound in stub.audio.items()}
    report = followed.sync()
    assert len(report.sources[0].moved) == 6 and not report.sources[0].added and not report.sources[0].removed
    assert report.embedding.embedded == 0 and stub.paths().count(DOWNLOAD) == 6
    assert numbers(followed) == before
    assert not refresh(followed, model=MODEL)[0].problem
    (playlist,) = stub.playlists.values()
    assert [entry["id"] for entry in playlist["entry"]] == [f"new-{id}" for id in asked]


@pytest.mark.parametrize("how", ["forgets half", "lists nothing", "breaks off", "is busy", "logs nobody in"])
def test_nothing_is_removed_when_the_server_is_unwell(followed, stub, how):
    followed.sync()
    before, songs, order = numbers(followed), stub.songs, stub.order
    if how in ("forgets half", "lists nothing"):
        stub.songs = songs[:2] if how == "forgets half" else []
        stub.getAlbumList2 = lambda request: failed(70)
    elif how == "logs nobody in":
        stub.takes = {"apiKey"}
    else:
        stub.page = 2
        reply = Reply(b"{}", cut=1) if how == "breaks off" else Reply(b"", "text/plain", 503)
        stub.order = lambda request, songs: stub.faults["/rest/search3"].extend([reply] * 3) or songs
    report = followed.sync()
    assert report.problems and numbers(followed) == before
    stub.faults.clear()
    stub.songs, stub.takes, stub.order = songs, {"t"}, order
    assert not followed.sync().problems and numbers(followed) == before


def test_a_server_that_goes_away_in_the_middle_of_fetching(followed, stub):
    fetch = stub.download

    def until_four(request):
        if stub.paths().count(DOWNLOAD) > 4:
            stub.faults[DOWNLOAD] = [Reply(b"", "text/plain", 503)] * 20
            return Reply(b"", "text/plain", 503)
        return fetch(request)

    stub.download = until_four
    report = followed.sync(workers=1)
    assert 0 < report.embedding.embedded <= 4 and any("503" in problem for problem in report.problems)
    done = report.embedding.embedded
    stub.download, stub.faults = fetch, stub.faults.__class__(list)
    report = followed.sync()
    assert report.embedding.embedded == 6 - done and not report.problems


def test_an_error_in_place_of_the_audio_is_a_fault_until_it_is_gone(followed, stub):
    stub.faults[DOWNLOAD] = [failed(70)]
    report = followed.sync(workers=1)
    ((_, fault),) = report.embedding.faults
    assert fault.reason == "no longer on the server" and report.embedding.embedded == 5
    assert followed.sync().embedding.embedded == 1


def test_from_the_server_to_its_playlists_as_typed(typed, stub):
    code, _, err = typed("library", "add", f"subsonic:{stub.url.replace('//', f'//{USER}:{PASSWORD}@')}")
    assert code == 2 and "must not hold a password" in err and PASSWORD not in err
    assert typed("library", "add", f"subsonic:{stub.url.replace('//', f'//{USER}@')}")[0] == 0
    code, out, _ = typed("library", "sync", "--json")
    assert (code, json.loads(out)["embedded"]) == (0, 6)
    code, _, err = typed("search", "calm", "--top", "2", "--playlist", "subsonic:Quiet evening")
    assert code == 0 and "Wrote the playlist Quiet evening: 2 tracks." in err
    code, _, err = typed(
        "playlist", "add", "loud", "metal", "--not", "calm", "--where", "title!=x", "artist!=y", "--top", "3",
        "--to", "subsonic:Loud",
    )  # fmt: skip
    assert code == 0 and "subsonic:Loud: 3 tracks." in err, err
    quiet, loud = stub.playlists.values()
    assert (quiet["name"], len(quiet["entry"]), quiet["comment"]) == ("Quiet evening", 2, "calm [unisono]")
    assert (loud["name"], loud["comment"]) == ("Loud", "metal, without calm, where title!=x and artist!=y [unisono]")
    assert "title!=x" in typed("playlist", "list")[1]
    loud["entry"] = []
    code, out, _ = typed("library", "sync", "--json")
    assert (code, len(loud["entry"])) == (0, 3) and json.loads(out)["sources"]
    loud["name"] = "renamed by hand"
    assert typed("playlist", "refresh")[0] == 0 and len(stub.playlists) == 2
    stub.faults["/rest/getPlaylist"] = [failed(50, "not yours")]
    code, _, err = typed("playlist", "refresh", "loud")
    assert code == 1 and "the playlist loud stayed as it was" in err and "not yours (50)" in err
    code, _, err = typed("search", "calm", "--playlist", "jellyfin:Quiet")
    assert code == 2 and "No library follows a jellyfin server" in err
    assert typed("playlist", "remove", "loud")[0] == 0
    assert typed("playlist", "refresh", "loud")[0] == 2
    assert "No search is saved." in typed("playlist", "list")[1]
    typed("playlist", "add", "in/a folder", "calm")  # of which no file is on this machine
    assert "playlists/in_a" in "".join(typed("playlist", "list")[1].split())
