"""Media servers as sources of music: the faults that they have, and what is kept of a login."""

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.library.servers import PASSWORD, USER, maneki, supysonic
from tests.library.stubs import KEY, JellyfinStub, Reply, SubsonicStub, failed, of_subsonic, serving
from tests.releases import audio
from unisono.audio.faults import UnusableError
from unisono.base.errors import DataError, UsageError
from unisono.library.sources import SourceAwayError, SourceTrack, TrackFacts
from unisono.library.sources import build as build_source
from unisono.library.sources._again import recognised
from unisono.library.sources._connection import ConnectionLimits, RefusedError


def build(address, folder) -> Any:
    return build_source(address, folder)


MP3 = b"\xff\xfb" + bytes(100_000)


def song(number, **more):
    facts = {
        "title": f"Title {number}",
        "artist": "Ann",
        "artistId": "ar-1",
        "album": "Al",
        "path": f"Ann/Al/{number}.mp3",
    }
    return {"id": f"s{number}", "size": len(MP3), "duration": 100 + number, **facts, **more}


@pytest.fixture
def stub():
    stub = SubsonicStub(songs=[song(number) for number in range(3)], audio={f"s{number}": MP3 for number in range(3)})
    with serving(stub):
        yield stub


@pytest.fixture
def jelly():
    items = [
        {
            "Id": f"j{number}", "Name": f"Title {number}", "Album": "Al", "AlbumArtist": "Ann", "Artists": ["Ann"],
            "ArtistItems": [{"Name": "Ann", "Id": "ar-1"}], "RunTimeTicks": 1_000_000_000 + number, "ProductionYear": 1999,
            "Genres": ["Folk", "Ambient"], "Path": f"/media/{number}.mp3", "MediaSources": [{"Size": len(MP3)}],
            "ProviderIds": {"MusicBrainzRecording": f"MB-{number}"},
        }
        for number in range(1203)
    ]  # fmt: skip
    with serving(JellyfinStub(items=items, audio={"j0": MP3})) as stub:
        yield stub


def source(stub, tmp_path, kind="subsonic", user=USER, login=PASSWORD):
    """Return a source that is logged in."""
    who = f"{user}@" if user else ""
    found = build(f"{kind}:{stub.url.replace('//', f'//{who}')}", tmp_path / "library")
    if login:
        found.log_in(lambda question: login)
    return found


def fetched(source, track):
    with source.open(track) as path:
        return path.read_bytes()


# Logging in


def test_a_token_is_sent_and_kept_and_the_password_is_neither(stub, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    first = source(stub, tmp_path)
    assert [track.key for track in first.list()] == ["s0", "s1", "s2"]
    assert not any("p" in request.values for request in stub.asked)
    kept = tmp_path / "library/servers.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    secrets = [PASSWORD, PASSWORD.encode().hex(), *(request.value("t") for request in stub.asked if request.value("t"))]
    assert PASSWORD not in kept.read_text() and secrets[-1] in kept.read_text()
    assert not any(secret in f"{first.client.secret!r} {vars(first)}" for secret in secrets)
    again = source(stub, tmp_path, login=None)  # another day, unattended
    assert len(list(again.list())) == 3
    ours = [record.getMessage() for record in caplog.records if record.name == "unisono"]
    assert not any(secret in line for line in ours for secret in secrets)


@pytest.mark.parametrize("takes", [{"p"}, {"apiKey"}])
def test_passwords_where_no_token_is_taken_and_keys(stub, tmp_path, takes, monkeypatch):
    stub.takes = takes
    if takes == {"p"}:
        assert len(list(source(stub, tmp_path).list())) == 3
        return
    with pytest.raises(RefusedError, match="42"):
        source(stub, tmp_path)
    with pytest.raises(RefusedError, match="44"):
        source(stub, tmp_path, user="", login="another key")
    monkeypatch.setenv("UNISONO_SERVER_KEY", KEY)
    assert len(list(source(stub, tmp_path, user="", login=None).list())) == 3
    assert not (tmp_path / "library/servers.json").exists(), "what the environment holds is not kept"


def test_a_password_is_never_sent_where_others_can_read_it(stub, jelly, tmp_path):
    stub.takes = {"p"}
    for server, kind in ((stub, "subsonic"), (jelly, "jellyfin")):
        found = source(server, tmp_path, kind, login=None)
        found.connection.is_private = False  # as at http://192.168.1.10
        before = len(server.asked)
        with pytest.raises(RefusedError, match="over https or within this machine only"):
            found.log_in(lambda question: PASSWORD)
        assert all(PASSWORD not in f"{request.values} {request.json}" for request in server.asked[before:])


def test_what_is_private_and_what_is_an_address(tmp_path):
    private = {"https://music.example.org": True, "http://127.0.0.1:4533": True, "http://192.168.1.10": False}
    private |= {"http://localhost": True, "http://[::1]:80": True, "http://localhost.example.org": False}
    for address, is_private in private.items():
        assert build(f"subsonic:{address}", tmp_path).connection.is_private is is_private
    for wrong in ("https://me:secret@host", "ftp://host", "host", "https://", "https://host?x=1", "https://host:99999"):
        with pytest.raises(UsageError) as caught:
            build(f"subsonic:{wrong}", tmp_path)
        assert "secret" not in caught.value.message + caught.value.hint
    assert build("subsonic:https://me@host/below/", tmp_path).address == "subsonic:https://me@host/below"


def test_wrong_logins_say_what_to_do(stub, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="Nothing is known that logs alice in") as caught:
        source(stub, tmp_path, login=None).log_in()
    assert "UNISONO_SERVER_PASSWORD" in caught.value.hint
    monkeypatch.setenv("UNISONO_SERVER_PASSWORD", "wrong")
    with pytest.raises(SourceAwayError, match=r"Wrong username or password \(40\)"):
        list(source(stub, tmp_path, login=None).list())
    (tmp_path / "library").mkdir()
    (tmp_path / "library/servers.json").write_text("{")
    with pytest.raises(DataError, match=r"servers\.json cannot be read"):
        source(stub, tmp_path, login=None).log_in()


# Listing


def test_pages_that_overlap_are_read_again_and_each_id_comes_once(stub, tmp_path):
    stub.songs = [song(number) for number in range(40)]
    stub.page = 7
    stub.order = lambda request, songs: songs if request > 7 else [*songs[5:7], *songs[:5], *songs[6:]]
    assert len(list(source(stub, tmp_path).list())) == 40


@pytest.mark.parametrize(
    "empty", [of_subsonic(searchResult3={}), failed(0, "unknown"), Reply(b"404", "text/plain", 404)]
)
def test_albums_are_walked_where_an_empty_search_finds_nothing(stub, tmp_path, empty):
    stub.faults["/rest/search3"] = [empty]
    albums = {"a": [song(0), song(1)], "b": song(2), "gone": None}
    stub.getAlbumList2 = lambda request: of_subsonic(
        albumList2={"album": [{"id": id} for id in albums]} if request.value("offset") == "0" else {}
    )
    stub.getAlbum = lambda request: (
        of_subsonic(album={"song": found}) if (found := albums[request.value("id")]) else failed(70)
    )
    assert [track.key for track in source(stub, tmp_path).list()] == ["s0", "s1", "s2"]


def test_one_music_folder_of_a_server_is_listed(stub, tmp_path):
    stub.folders = {"Music": "1", "Audio books": "2"}
    for number, listed in enumerate(stub.songs):
        listed["folder"] = "2" if number == 1 else "1"
    address = f"subsonic:{stub.url.replace('//', f'//{USER}@')}"
    build(address, tmp_path).log_in(lambda question: PASSWORD)
    books = build(f"{address}?folder=Audio%20books", tmp_path)  # the login of the server counts for its folders
    assert [track.key for track in books.list()] == ["s1"]
    assert books.address == f"{address}?folder=Audio books"
    with pytest.raises(SourceAwayError, match="no music folder 'Films'") as refused:
        list(build(f"{address}?folder=Films", tmp_path).list())
    assert refused.value.hint == "There are: Music, Audio books."
    with pytest.raises(UsageError, match="names a music folder"):
        build(f"{address}?files=x", tmp_path)
    for listed in stub.songs:
        del listed["folder"]  # a server that lists everything whatever it is asked for
    with pytest.raises(SourceAwayError, match="does not tell its music folders apart"):
        list(build(f"{address}?folder=Music", tmp_path).list())


@pytest.mark.parametrize("kind", ["subsonic", "jellyfin"])
def test_covers_and_playlists_that_a_person_made_are_read(stub, jelly, tmp_path, kind):
    server, key = (stub, "s1") if kind == "subsonic" else (jelly, "j1")
    server.covers[key] = b"\x89PNG"
    found = source(server, tmp_path, kind)
    assert found.cover(key) == b"\x89PNG" and found.cover("other") == b""
    if kind == "subsonic":  # the picture of an album's folder
        stub.songs[2]["coverArt"], stub.covers["al-2"] = "al-2", b"\xff\xd8\xff"
        assert found.cover("s2") == b"\xff\xd8\xff" and found.cover("s0") == b""
    for name, keys in (("Mine", [key, key[0] + "0"]), ("mine", [key]), ("Evening", [key[0] + "2"])):
        found.playlists.write(name, keys)
    again = build(found.address, tmp_path / "library")
    assert sorted(again.playlists.names()) == ["Evening", "Mine", "mine"]
    assert again.playlists.keys("Mine") == [key, key[0] + "0"]
    assert again.playlists.keys("evening") == [key[0] + "2"]
    for name in ("MINE", "Nothing"):
        with pytest.raises(UsageError, match=repr(name)):
            again.playlists.keys(name)


def test_what_is_known_of_a_song(stub, tmp_path):
    stub.songs = [
        song(
            7, id=7, genres=[{"name": "Folk"}, {"name": "Drone"}], moods=["calm"], year=1999, bpm=0, userRating=4,
            musicBrainzId="AB-1", albumArtists=[{"name": "Various"}], displayArtist="Ann & Bo",
        ),
        {"id": "x", "isDir": True},
        {"id": "odd", "size": "12", "duration": None, "year": "long ago", "title": ["?"], "genres": "Jazz"},
        {"title": "without id"},
    ]  # fmt: skip
    first, odd = source(stub, tmp_path).list()
    assert first == SourceTrack(
        "7", "Ann/Al/7.mp3", len(MP3), 0, 107.0,
        TrackFacts(
            title="Title 7", artist="Ann & Bo", artist_id="ar-1", album="Al", album_artist="Various", genre="Folk",
            tags=["Drone", "calm"], year=1999, rating=4.0, recording="musicbrainz:ab-1",
        ),
    )  # fmt: skip
    assert odd == SourceTrack("odd", "", 12, 0, 0.0, TrackFacts())


def test_paths_that_lead_to_files_are_used_and_made_up_ones_are_not(stub, tmp_path):
    (tmp_path / "Music/Ann/Al").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"Music/Ann/Al/{number}.mp3").write_bytes(MP3)
    found = source(stub, tmp_path)
    found.map_paths([f"={tmp_path}/Music"])
    tracks = list(found.list())
    assert tracks[0].path == f"{tmp_path}/Music/Ann/Al/0.mp3"
    with found.open(tracks[0]) as path:
        assert str(path) == tracks[0].path
    assert "/rest/download" not in stub.paths()
    outside = SourceTrack("s0", str(tmp_path / "private.mp3"), len(MP3))
    (tmp_path / "private.mp3").write_bytes(MP3)
    with found.open(outside) as path:
        assert path != tmp_path / "private.mp3", "a server cannot name files of this machine"
    for made_up in stub.songs:
        made_up["size"] = 5
    assert next(iter(found.list())).path == "Ann/Al/0.mp3"


# Fetching


def test_a_file_is_fetched_and_removed(stub, tmp_path):
    found = source(stub, tmp_path)
    with found.open(next(iter(found.list()))) as path:
        assert path.read_bytes() == MP3 and path.suffix == ".mp3"
        source(stub, tmp_path)  # another connection leaves it alone
        assert path.exists()
    assert not path.parent.exists()


def test_what_a_killed_process_had_fetched_is_removed(stub, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    script = (
        "import os; from unisono.library.sources import build, SourceTrack; from pathlib import Path;"
        f"source = build('subsonic:{stub.url.replace('//', f'//{USER}@')}', Path('library'));"
        f"kept = source.open(SourceTrack('s0', 'a.mp3', {len(MP3)})); kept.__enter__(); os._exit(9)"
    )
    environment = os.environ | {"UNISONO_SERVER_PASSWORD": PASSWORD, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=False)
    assert list(tmp_path.glob(".unisono-track-*/track.mp3"))
    source(stub, tmp_path)
    assert not list(tmp_path.glob(".unisono-track-*"))


XML = b'<subsonic-response status="failed">\n<error message="Not &lt;here&gt;" code="70"/></subsonic-response>'
NOT_ALLOWED = Reply(
    b'<subsonic-response status="failed"><error code="50" message="x"/></subsonic-response>', "text/xml"
)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (failed(70), "no longer on the server"),
        (Reply(XML, "text/xml"), "no longer on the server"),
        (Reply(b"Gone", "text/plain", 410), "no longer on the server"),
        (Reply(b"404 page not found", "text/plain", 404), "no longer on the server"),
        (Reply(b"<html>Sign in</html>", "text/html"), "server sends no audio"),
        (failed(0, "broken"), "server sends no audio"),
        (Reply(b"", "text/plain", 500), "server sends no audio"),
        (Reply(MP3 + b"!", "audio/mpeg"), "server sends another length than it lists"),
        (Reply(MP3[:-1], "audio/mpeg"), "server sends another length than it lists"),
        (Reply(MP3, "audio/mpeg", cut=5000), "download broken off"),
    ],
)
def test_what_comes_in_place_of_the_audio_is_a_fault_of_this_track(stub, tmp_path, reply, reason):
    found = source(stub, tmp_path)
    track = next(iter(found.list()))
    stub.faults["/rest/download"] = [reply] * 3
    stub.faults["/rest/stream"] = [reply] * 3
    with pytest.raises(UnusableError) as caught:
        fetched(found, track)
    assert caught.value.fault.reason == reason and not caught.value.fault.lasting
    stub.faults.clear()
    assert fetched(found, track) == MP3


def test_a_transcoded_download_and_a_forbidden_one_are_fetched_by_streaming(stub, tmp_path):
    found = source(stub, tmp_path)
    tracks = list(found.list())
    stub.faults["/rest/download"] = [Reply(b"transcoded", "audio/ogg"), NOT_ALLOWED]
    assert [fetched(found, track) for track in tracks] == [MP3] * 3
    assert stub.paths().count("/rest/download") == 2, "what is not allowed is not tried again"
    stub.faults["/rest/stream"] = [NOT_ALLOWED]
    with pytest.raises(SourceAwayError, match="fetch no audio"):
        fetched(found, tracks[0])


def test_a_broken_connection_and_a_busy_server_are_tried_again(stub, tmp_path):
    found = source(stub, tmp_path)
    track = next(iter(found.list()))
    busy = Reply(b"", "text/plain", 429, {"Retry-After": "0"})
    stub.faults["/rest/download"] = [busy, Reply(MP3, "audio/mpeg", cut=5000)]
    assert fetched(found, track) == MP3


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(b"", "text/plain", 429, {"Retry-After": "3600"}), "429 Too Many Requests, and asks to wait 3,600 s"),
        (Reply(b"", "text/plain", 503), "503"),
        (Reply(b"{}", cut=1), "breaks off its answers"),
        (Reply(b"", "text/plain", 401), "HTTP 401"),
        (Reply(XML, "text/xml"), r"Not <here> \(70\)"),
        (Reply(b"<html>router</html>", "text/html"), "something else than Subsonic"),
        (Reply(b"[1]"), "something else than Subsonic"),
        (
            Reply(b"", status=302, headers={"Location": "https://other.example.org/rest?p=x"}),
            "https://other.example.org;",
        ),
    ],
)
def test_a_server_that_cannot_be_listed_is_away(stub, tmp_path, reply, message):
    found = source(stub, tmp_path)
    stub.faults["/rest/search3"] = [reply] * 3
    stub.faults["/rest/getAlbumList2"] = [reply] * 3
    with pytest.raises(SourceAwayError, match=message):
        list(found.list())


def test_a_server_that_is_not_there_is_away(tmp_path):
    with serving(SubsonicStub()) as stub:
        found = source(stub, tmp_path)
    found.connection._session.close()
    with pytest.raises(SourceAwayError, match=r"does not answer \(ConnectionError\)") as caught:
        list(found.list())
    assert caught.value.__context__ is None, "an error of requests holds the address with the login"


def test_limits_are_patient():
    assert ConnectionLimits is not None and ConnectionLimits.tries == 4


# Ids that change


def listed(key, path="", title="", size=0, seconds=60.0, recording=""):
    return SourceTrack(key, path, size, 0, seconds, TrackFacts(title=title, artist="A", album="B", recording=recording))


def test_ids_are_matched_again_and_never_guessed():
    known = [
        listed("1", recording="musicbrainz:a"),
        listed("2", path="x/2.mp3"),
        listed("3", title="Three", size=9, seconds=60.4),
        listed("4", title="Twin", size=9),
        listed("5", title="Twin", size=9),
        listed("6", path="x/6.mp3", seconds=60),
        listed("7", recording="isrc:b"),
    ]
    new = [
        listed("A", recording="musicbrainz:a", path="elsewhere"),
        listed("B", path="x/2.mp3", title="Retagged"),
        listed("C", title="three", size=9, seconds=60.0),
        listed("D", title="Twin", size=9),
        listed("E", title="Twin", size=9),
        listed("F", path="x/6.mp3", seconds=90),
        listed("G", recording="isrc:c"),
    ]
    assert recognised(known, new) == {"A": "1", "B": "2", "C": "3"}


# Playlists


@pytest.mark.parametrize("extensions", [["formPost"], []])
def test_a_playlist_is_made_and_replaced_in_place(stub, tmp_path, extensions):
    stub.extensions = extensions
    target = source(stub, tmp_path).playlists
    ids = [f"song-{number:036}" for number in range(1000)]
    id = target.write("Quiet", ids, "", "calm guitar")
    assert [entry["id"] for entry in stub.playlists[id]["entry"]] == ids
    assert stub.playlists[id]["comment"] == "calm guitar [unisono]"
    assert target.write("Quiet", ids[500:], id, "calm guitar") == id
    assert [entry["id"] for entry in stub.playlists[id]["entry"]] == ids[500:]
    before = len(stub.asked)
    assert target.write("Quiet", ids[500:], id, "calm guitar") == id
    assert {request.path for request in stub.asked[before:]} == {"/rest/getPlaylist"}, "the same again changes nothing"
    assert target.write("Quiet", ids[:1], "an id of before", "calm guitar") == id, "found again by its name and mark"
    assert len(stub.playlists) == 1


def test_a_playlist_whose_answer_is_lost_is_not_made_twice(stub, tmp_path):
    target = source(stub, tmp_path).playlists
    stub.faults["/rest/createPlaylist"] = [Reply(b"{}", cut=1)]
    with pytest.raises(SourceAwayError, match="breaks off its answers"):
        target.write("Quiet", ["s0"])
    assert stub.paths().count("/rest/createPlaylist") == 1
    stub.faults["/rest/createPlaylist"] = [Reply(b"", "text/plain", 503)]  # it has done nothing
    target.write("Quiet", ["s0"])
    assert len(stub.playlists) == 1


def test_a_playlist_that_a_person_made_or_that_is_read_only_is_not_touched(stub, tmp_path):
    target = source(stub, tmp_path).playlists
    stub.playlists["mine"] = {"id": "mine", "name": "Quiet", "comment": "by hand", "entry": [{"id": "s0"}]}
    with pytest.raises(UsageError, match="that unisono did not make"):
        target.write("Quiet", ["s1"])
    stub.playlists["smart"] = {"id": "smart", "name": "Smart", "readonly": True, "entry": []}
    with pytest.raises(RefusedError, match="read-only"):
        target.write("Smart", ["s1"], "smart")
    assert stub.playlists["mine"]["entry"] == [{"id": "s0"}] and stub.playlists["smart"]["entry"] == []


# Jellyfin


def test_jellyfin_lists_fetches_and_keeps_a_session(jelly, tmp_path):
    tracks = list(source(jelly, tmp_path, "jellyfin").list())
    assert len(tracks) == 1203
    facts = TrackFacts(
        title="Title 0", artist="Ann", artist_id="ar-1", album="Al", album_artist="Ann", genre="Folk", tags=["Ambient"],
        year=1999, recording="musicbrainz:mb-0",
    )  # fmt: skip
    assert tracks[0] == SourceTrack("j0", "/media/0.mp3", len(MP3), 0, 100.0, facts)
    assert PASSWORD not in (tmp_path / "library/servers.json").read_text()
    jelly.may_download = False
    again = source(jelly, tmp_path, "jellyfin", login=None)
    assert fetched(again, tracks[0]) == MP3
    with pytest.raises(UnusableError):
        fetched(again, tracks[1])


@pytest.mark.parametrize(
    ("user", "login", "replaces"), [(USER, PASSWORD, True), (USER, PASSWORD, False), ("", KEY, True)]
)
def test_a_playlist_of_jellyfin_is_replaced_in_place(jelly, tmp_path, user, login, replaces):
    jelly.replaces = replaces
    target = source(jelly, tmp_path, "jellyfin", user, login).playlists
    ids = [f"j{number}" for number in range(120)]
    id = target.write("Quiet", ids)
    assert jelly.playlists[id]["ids"] == ids
    assert target.write("Quiet", ids[60:][::-1], id) == id
    assert jelly.playlists[id]["ids"] == ids[60:][::-1]
    with pytest.raises(UsageError, match="that unisono did not make"):
        target.write("Quiet", ids, "")


def test_wrong_passwords_and_keys_of_jellyfin(jelly, tmp_path):
    for user, login in ((USER, "wrong"), ("", "wrong key")):
        with pytest.raises(RefusedError, match="HTTP 401"):
            source(jelly, tmp_path, "jellyfin", user, login)
    jelly.faults["/Items"] = [Reply(b"<html>", "text/html")] * 3
    with pytest.raises(SourceAwayError, match="something else than Jellyfin"):
        source(jelly, tmp_path, "jellyfin").log_in()
        list(source(jelly, tmp_path, "jellyfin").list())


# A real server


def test_supysonic_lists_sends_and_keeps_playlists(tmp_path, monkeypatch):
    (tmp_path / "Music/Ann").mkdir(parents=True)
    for number in range(6):
        audio.tone(tmp_path / f"Music/Ann/{number}.flac", 1.0, 200.0 + 40 * number)
    with supysonic(tmp_path / "Music", tmp_path / "server") as server:
        found = build(server.address, tmp_path / "library")
        found.log_in(lambda question: PASSWORD)
        tracks = {track.path: track for track in found.list()}
        assert sorted(tracks) == [f"Ann/{number}.flac" for number in range(6)]
        for path, track in tracks.items():
            assert fetched(found, track) == (tmp_path / "Music" / path).read_bytes()
        keys = [track.key for track in tracks.values()]
        id = found.playlists.write("Quiet evening", keys[:4], "", "calm")
        assert found.playlists.write("Quiet evening", keys[3:], id, "calm") == id
        playlist = found.client.playlist(id)
        assert [entry["id"] for entry in playlist["entry"]] == keys[3:]
        assert playlist["comment"] == "calm [unisono]" and len(found.client.playlists()) == 1
        (tmp_path / "Music/Ann/0.flac").rename(tmp_path / "Music/0.flac")
        server.rescan()
        moved = list(found.list())
        gone = [track for track in tracks.values() if track.key not in {each.key for each in moved}]
        new = [each for each in moved if each.key not in {track.key for track in tracks.values()}]
        assert len(gone) == len(new) == 1
        with pytest.raises(UnusableError):
            fetched(found, gone[0])
        monkeypatch.setenv("UNISONO_SERVER_PASSWORD", "wrong")
        with pytest.raises(SourceAwayError, match="40"):
            list(build(server.address, tmp_path / "other").list())


@pytest.mark.skipif(not os.environ.get("UNISONO_MANEKI"), reason="UNISONO_MANEKI names no program of maneki")
def test_maneki_lists_sends_and_keeps_playlists(tmp_path):
    (tmp_path / "Music/Ann/Al").mkdir(parents=True)
    for number in range(6):
        audio.tone(tmp_path / f"Music/Ann/Al/{number}.flac", 1.0, 200.0 + 40 * number)
    with maneki(Path(os.environ["UNISONO_MANEKI"]), tmp_path / "Music", tmp_path / "server") as server:
        found = build(server.address, tmp_path / "library")
        found.log_in(lambda question: PASSWORD)
        assert found.client.secret.kind == "token"
        tracks = list(found.list())
        assert [fetched(found, track) for track in tracks] == [
            (tmp_path / "Music" / track.path).read_bytes() for track in tracks
        ]
        keys = [track.key for track in tracks]
        assert len(keys) == 6
        id = found.playlists.write("Quiet evening", keys[:4])
        assert found.playlists.write("Quiet evening", keys[3:], id) == id
        assert [entry["id"] for entry in found.client.playlist(id)["entry"]] == keys[3:]
