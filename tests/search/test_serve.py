"""The page's server over real connections, with a stand-in for the model."""

import dataclasses
import http.client
import json
import threading

import numpy as np
import pytest

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import UnisonoError, UsageError
from unisono.commands.search import SearchOptions, run
from unisono.retrieval.collection import Collection
from unisono.retrieval.model import Model
from unisono.search.serve import SearchService, listen, make_server

AUDIO = bytes(range(256)) * 1000


class TowardsTheFirst(Model):
    """Puts every text where the first track is."""

    def __init__(self):
        pass

    def embed_text(self, text, *, cached=False):
        return np.array([[1, 0.5, 0]], dtype=np.float32)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "ö.mp3").write_bytes(AUDIO)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    tracks = [
        dataclasses.replace(BLANK, id="0", title="<b>First</b>", audio_path=str(tmp_path / "ö.mp3"), dataset="fma"),
        dataclasses.replace(BLANK, id="1", audio_path=str(tmp_path / "gone.mp3"), dataset="other"),
        dataclasses.replace(BLANK, id="2", audio_path=str(tmp_path / "gone.mp3"), dataset="fma"),
    ]
    collection = Collection(tracks, np.eye(3, dtype=np.float32))
    server = make_server(SearchService(TowardsTheFirst(), collection, np.array([0, 1]), top=2))
    with listen(0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def ask(port, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_the_page_says_how_many_tracks_it_searches(server):
    answer, content = ask(server, "/")
    assert answer.status == 200
    assert b"/about" in content
    assert json.loads(ask(server, "/about")[1]) == {"tracks": 2}


def test_searching_gives_the_best_with_their_numbers(server):
    _, content = ask(server, "/search?q=slow+choir")
    assert [(hit["number"], hit["score"]) for hit in json.loads(content)] == [(0, 1), (1, 0.5)]
    _, content = ask(server, "/search?q=choir&where=dataset%3Dother")
    assert [hit["number"] for hit in json.loads(content)] == [1]
    _, content = ask(server, "/search?q=choir&where=dataset%3Dnone")
    assert json.loads(content) == []


@pytest.mark.parametrize("path", ["/search", "/search?q=%20", "/search?q=" + "a" * 1001, "/search?q=x&where=colour"])
def test_what_cannot_be_searched_is_refused_with_a_reason(server, path):
    answer, content = ask(server, path)
    assert answer.status == 400
    assert json.loads(content)["error"]


def test_audio_whole_and_in_ranges(server):
    answer, content = ask(server, "/audio/0")
    assert (answer.status, content) == (200, AUDIO)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Accept-Ranges"] == "bytes"
    answer, content = ask(server, "/audio/0", Range="bytes=1000-1009")
    assert (answer.status, content) == (206, AUDIO[1000:1010])
    assert answer.headers["Content-Range"] == f"bytes 1000-1009/{len(AUDIO)}"
    answer, _ = ask(server, "/audio/0", Range=f"bytes={len(AUDIO)}-")
    assert answer.status == 416
    answer, content = ask(server, "/audio/0", method="HEAD")
    assert (answer.headers["Content-Length"], content) == (str(len(AUDIO)), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/audio/1",
        "/audio/9",
        "/audio/-1",
        "/audio/../secret.txt",
        "/audio/%2e%2e/secret.txt",
        "/secret.txt",
        "/audio/",
        "/x",
    ],
)
def test_nothing_but_the_tracks_is_served(server, path):
    answer, content = ask(server, path)
    assert answer.status == 404
    assert b"secret" not in content


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example:80"])
def test_other_hosts_are_refused(server, host):
    answer, content = ask(server, "/search?q=choir", Host=host)
    assert answer.status == 400
    assert b"First" not in content


def test_a_taken_port_is_an_error_with_a_hint(server):
    with pytest.raises(UnisonoError) as refused:
        listen(server)
    assert "--port" in refused.value.hint


def test_descriptions_are_given_on_the_page(tmp_path):
    with pytest.raises(UsageError, match="--serve takes its descriptions on the page"):
        run(["choir"], SearchOptions(checkpoint=tmp_path, serve=True))
