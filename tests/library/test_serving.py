"""Libraries behind the service: followed while they change, and no file of theirs but their own."""

import json
import time
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from tests.library.servers import PASSWORD, USER
from tests.library.stubs import SubsonicStub, serving
from tests.search.service.world import AUDIO, PNG, TowardsTheFirst, ask, running
from unisono.base.errors import UnisonoError, UsageError
from unisono.embeddings.encoders import audio
from unisono.embeddings.prepare.settings import encoder_record
from unisono.library import serving as serving_module
from unisono.library.catalogue import Vectors
from unisono.library.library import Library
from unisono.library.serving import LibraryMusic
from unisono.library.sources import SourceTrack, TrackFacts

V1 = "/api/v1"


class WithMusic(TowardsTheFirst):
    """Its space is the first three numbers of an embedding."""

    audio_encoder = encoder_record(audio.spec("tags"), "mean", "")
    compares_tracks = False
    explain = None

    def project_audio(self, embeddings, of=None):
        return embeddings[:, :3].astype(np.float32)


MODEL: Any = WithMusic()


def add(library, source, key, path, place):
    """Add an embedded track; return its id."""
    content = key.encode()
    vector = np.zeros((1, 100), np.float16)
    vector[0, place] = 1
    with library.catalogue.writing() as revision:
        facts = TrackFacts(title=key, artist="Ann", artist_id="ar-1")
        number = library.catalogue.insert(source, SourceTrack(key, path, len(AUDIO), 1, 60.0, facts), content, revision)
        encoder = library.catalogue.encoder(MODEL.audio_encoder, add=True)
        library.catalogue.put_vectors(content, encoder, Vectors(np.zeros(1, np.float32), vector), revision)
    return f"{library.name}:{number}"


@pytest.fixture
def stub(monkeypatch):
    monkeypatch.setenv("UNISONO_SERVER_PASSWORD", PASSWORD)
    monkeypatch.setattr(serving_module, "LOOK_EVERY_S", 0.05)
    songs = [{"id": "s0", "title": "s0", "size": len(AUDIO), "duration": 60}]
    with serving(SubsonicStub(songs=songs, audio={"s0": AUDIO}, extensions=["formPost"])) as stub:
        yield stub


def test_a_library_is_served_and_followed(stub, tmp_path):
    folder = tmp_path / "Music"
    folder.mkdir()
    (folder / "a.mp3").write_bytes(AUDIO)
    (folder / "cover.png").write_bytes(PNG)
    (tmp_path / "secret.mp3").write_bytes(AUDIO + b"secret")
    with Library.open(tmp_path / "library", "music", create=True) as library:
        library.add(folder)
        library.add(f"subsonic:{stub.url.replace('//', f'//{USER}@')}")
        at_home, at_server = (row.number for row in library.catalogue.sources())
        here = add(library, at_home, "a.mp3", "a.mp3", 0)
        there = add(library, at_server, "s0", str(tmp_path / "secret.mp3"), 1)  # a path that the server tells
        gone = add(library, at_server, "s1", str(tmp_path / "secret.mp3"), 2)
        music = LibraryMusic(tmp_path / "library", ["music"], MODEL)
        with running([], music=music, folder=tmp_path) as port:
            found = json.loads(ask(port, f"{V1}/search?q=calm")[1])["hits"]
            assert [hit["track"]["id"] for hit in found] == [here, there, gone]
            assert ask(port, f"{V1}/audio?id={here}")[1] == ask(port, f"{V1}/audio?id={there}")[1] == AUDIO
            answer, content = ask(port, f"{V1}/audio?id={there}", Range="bytes=5-9")
            assert (answer.status, content) == (206, AUDIO[5:10])
            assert sum("download" in path for path in stub.paths()) == 1
            answer, content = ask(port, f"{V1}/audio?id={gone}")
            assert answer.status == 400 and "no longer on the server" in json.loads(content)["error"]
            stub.covers = {"s0": PNG}
            covers = [ask(port, f"{V1}/cover?id={id}")[0].status for id in (here, there, gone)]
            assert covers == [200, 200, 404]
            for _ in range(2):
                assert ask(port, f"{V1}/cover?id={there}")[1] == PNG
            assert sum("getCoverArt" in path for path in stub.paths()) == 2, "asked for once for each track"
            stub.playlists["p"] = {"id": "p", "name": "Mine", "entry": [{"id": "s0"}]}
            (mine,) = json.loads(ask(port, f"{V1}/playlists?on_servers=true")[1])["on_servers"]
            found = json.loads(ask(port, f"{V1}/search?like={quote(mine)}")[1])["hits"]
            assert [hit["track"]["id"] for hit in found] == [here, gone]
            stub.playlists.clear()
            address = json.loads(ask(port, f"{V1}/playlists")[1])["targets"][1]
            wanted = {"name": "Evening", "tracks": [there, here], "target": address}
            answer, content = ask(port, f"{V1}/playlists", "POST", json.dumps(wanted))
            assert answer.status == 200, content
            assert (json.loads(content)["tracks"], json.loads(content)["left_out"]) == (1, 1)
            (made,) = stub.playlists.values()
            assert made["name"] == "Evening" and made["entry"] == [{"id": "s0"}]
            similar = json.loads(ask(port, "/api/similar_tracks?item_id=s0&n=5")[1])
            assert [each["item_id"] for each in similar] == ["s1"]
            new = add(library, at_home, "b.mp3", "b.mp3", 0)
            for _ in range(200):
                ids = [track["id"] for track in json.loads(ask(port, f"{V1}/tracks")[1])["tracks"]]
                if new in ids:
                    break
                time.sleep(0.05)
            assert ids == [here, there, gone, new]
            with pytest.raises(UsageError, match="no media server"):
                music.save_playlist("x", [], "subsonic:https://elsewhere.example")


def test_a_library_that_cannot_be_read_is_refused_at_once(tmp_path):
    with Library.open(tmp_path, "music", create=True):
        pass
    with pytest.raises(UnisonoError):
        LibraryMusic(tmp_path, ["music", "other"], MODEL)
