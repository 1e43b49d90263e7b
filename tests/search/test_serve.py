"""The page's server over real connections, with a stand-in for the model."""

import contextlib
import dataclasses
import http.client
import json
import math
import os
import socket
import threading
import urllib.parse

import numpy as np
import pytest
import soundfile

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import UnisonoError, UsageError
from unisono.commands.search import SearchOptions, run
from unisono.retrieval.collection import Collection
from unisono.retrieval.model import Model
from unisono.search import serve as serve_module
from unisono.search.serve import SearchService, listen, make_server

AUDIO = b"ID3\x04" + bytes(range(256)) * 1000


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
    assert b"Search by description" in content
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


PAGES = ["/", "/page.js", "/page.css", "/about", "/search?q=choir", "/search", "/audio/0", "/audio/1", "/x"]


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_keeps_other_pages_out(server, path):
    answer, _ = ask(server, path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "whatever"])
def test_requests_of_other_sites_are_refused(server, path, site):
    answer, content = ask(server, path, Sec_Fetch_Site=site)
    assert answer.status == 403 and b"First" not in content and content != AUDIO
    assert ask(server, "/", Sec_Fetch_Site="none")[0].status == 200
    assert ask(server, "/audio/0", Sec_Fetch_Site="same-origin")[0].status == 200


def test_the_page_needs_nothing_that_its_policy_forbids(server):
    _, page = ask(server, "/")
    assert b"<script>" not in page and b"<style" not in page and b" style=" not in page and b" onc" not in page
    for name, kind in (("/page.js", "text/javascript"), ("/page.css", "text/css")):
        assert name.encode() in page
        answer, content = ask(server, name)
        assert answer.headers["Content-Type"].startswith(kind) and content
    assert b"innerHTML" not in ask(server, "/page.js")[1]


CONTENTS = {
    "evil.html": (b"RIFF\x10\0\0\0WAVE<script>alert(1)</script>", "audio/wav"),
    "a.svg": (b"fLaC" + bytes(60), "audio/flac"),
    "b.js": (b"OggS" + bytes(60), "audio/ogg"),
    "c.wav": (b"FORM\0\0\0\0AIFF" + bytes(60), "audio/aiff"),
    "d.mp3": (b"\0\0\0\x20ftypM4A " + bytes(60), "audio/mp4"),
    "e.txt": (b"\xff\xfb\x90\0" + bytes(60), "audio/mpeg"),
    "passwd": (b"root:x:0:0:root:/root:/bin/sh\n", None),
    "id_rsa.wav": (b"-----BEGIN OPENSSH PRIVATE KEY-----", None),
    "page.mp3": (b"<!doctype html><script>alert(1)</script>", None),
    "picture.flac": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
    "empty.wav": (b"", None),
}


def serving(tracks):
    collection = Collection(tracks, np.ones((len(tracks), 3), dtype=np.float32))
    return make_server(SearchService(TowardsTheFirst(), collection, np.arange(len(tracks)), top=len(tracks)))


@contextlib.contextmanager
def running(tracks):
    server = serving(tracks)
    with listen(0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def test_only_audio_is_sent_whatever_it_is_called(tmp_path):
    for name, (content, _) in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to("/proc/self/environ")
    others = ["pipe.wav", "folder.wav", "link.wav"]
    absent = ["/dev/zero", "/proc/self/environ", "", "http://127.0.0.1/x.mp3", "a\0b", "x" * 5000]
    paths = [str(tmp_path / name) for name in [*CONTENTS, *others]] + absent
    tracks = [dataclasses.replace(BLANK, id=str(row), audio_path=path) for row, path in enumerate(paths)]
    with running(tracks) as port:
        for row, path in enumerate(paths):
            content, kind = CONTENTS.get(path.rpartition("/")[2], (b"", None))
            answer, found = ask(port, f"/audio/{row}")
            if kind:
                assert (answer.status, found, answer.headers["Content-Type"]) == (200, content, kind), path
            else:
                assert answer.status == 404, path


def test_an_mp3_that_begins_with_anything_and_a_caf_are_sent(tmp_path):
    sound = np.sin(np.arange(44100) / 20).astype(np.float32)
    soundfile.write(tmp_path / "plain.mp3", sound, 44100)
    (tmp_path / "odd.mp3").write_bytes(b"junk that is no tag" + (tmp_path / "plain.mp3").read_bytes())
    soundfile.write(tmp_path / "sound.caf", sound, 44100)
    (tmp_path / "secret.vox").write_bytes(b"root:x:0:0:root:/root:/bin/sh\n" * 99)
    names = ["odd.mp3", "sound.caf", "secret.vox"]
    tracks = [dataclasses.replace(BLANK, id=name, audio_path=str(tmp_path / name)) for name in names]
    with running(tracks) as port:
        found = [ask(port, f"/audio/{row}")[0] for row in range(3)]
    assert [each.status for each in found] == [200, 200, 404]
    assert [each.headers["Content-Type"] for each in found[:2]] == ["audio/mpeg", "audio/x-caf"]


@pytest.mark.parametrize("number", ["9" * 5000, "0x1", "1e1", "٣", "%D9%A3", "-0", "00000000000000000001", "+1", "0 "])
def test_no_number_is_not_found(server, number, capfd):
    answer, _ = ask(server, "/audio/" + urllib.parse.quote(number, safe="%"))
    assert answer.status == 404
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-", 0, None),
        ("bytes=-5", -5, None),
        ("bytes=-999999999", 0, None),
        ("bytes=10-999999999", 10, None),
        ("bytes=3-3", 3, 4),
    ],
)
def test_ranges(server, asked, begin, end):
    answer, content = ask(server, "/audio/0", Range=asked)
    assert (answer.status, content) == (206, AUDIO[begin:end])


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=0-1,3-4", "bytes=", "bytes=-", "lines=1-2", "bytes=x-", "bytes=" + "9" * 50]
)
def test_what_is_no_single_range_is_answered_with_the_whole_file(server, asked):
    answer, content = ask(server, "/audio/0", Range=asked)
    assert (answer.status, content) == (200, AUDIO)


def test_a_file_that_is_cut_while_it_is_sent_ends_the_answer_without_a_traceback(tmp_path, capfd):
    path = tmp_path / "long.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(50_000_000))
    with running([dataclasses.replace(BLANK, id="0", audio_path=str(path))]) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/audio/0")
        answer = connection.getresponse()
        answer.read(1000)
        os.truncate(path, 5000)
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        connection.close()
        assert ask(port, "/about")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_half_sent_requests_are_closed_and_whole_ones_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(serve_module, "REQUEST_WITHIN_S", 0.3)
    with running([BLANK]) as port, contextlib.ExitStack() as stack:
        half = []
        for begin in (b"", b"GET /about HTTP/1.1\r\nHost: 127", b"GET /about HTTP/1.1\r\nHost: localhost\r\n\r\nGET /"):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.sendall(begin)
            half.append(connection)
        assert ask(port, "/about")[0].status == 200
        for connection in half:
            while connection.recv(1000):
                pass  # an answer to the whole request, then the end


def test_too_many_connections_are_refused(monkeypatch):
    monkeypatch.setattr(serve_module, "MOST_CONNECTIONS", 5)
    with running([BLANK]) as port, contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert ask(port, "/about")[0].status == 503


def test_numbers_that_are_none_are_never_answered():
    tracks = [dataclasses.replace(BLANK, id=str(row), start_s=math.nan, duration_s=math.inf) for row in range(3)]
    vectors = np.array([[1, 0, 0], [math.nan, 0, 0], [0, 1, 0]], dtype=np.float32)
    service = SearchService(TowardsTheFirst(), Collection(tracks, vectors), np.arange(3), top=3)
    found = service.find("x", [])
    json.dumps(found, allow_nan=False)
    assert {hit["number"] for hit in found} == {0, 2}
