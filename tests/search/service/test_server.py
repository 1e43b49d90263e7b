"""The page's server over real connections, with a stand-in for the model."""

import concurrent.futures
import contextlib
import http.client
import json
import math
import os
import socket

import numpy as np
import pytest
import soundfile

from tests.search.service.world import AUDIO, ask, running, track
from unisono.base.errors import UnisonoError, UsageError
from unisono.commands.search import SearchOptions, run
from unisono.search.service import server as server_module
from unisono.search.service.server import listen

V1 = "/api/v1"


@pytest.fixture
def server(tmp_path):
    (tmp_path / "ö.mp3").write_bytes(AUDIO)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    tracks = [
        track(0, title="<b>First</b>", audio_path=str(tmp_path / "ö.mp3"), dataset="fma"),
        track(1, audio_path=str(tmp_path / "gone.mp3"), dataset="other"),
    ]
    with running(tracks) as port:
        yield port


def test_the_page_is_there(server):
    answer, content = ask(server, "/")
    assert answer.status == 200 and b'src="page.js"' in content


def test_audio_whole_and_in_ranges(server):
    answer, content = ask(server, f"{V1}/audio?id=0")
    assert (answer.status, content) == (200, AUDIO)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Accept-Ranges"] == "bytes"
    answer, content = ask(server, f"{V1}/audio?id=0", Range="bytes=1000-1009")
    assert (answer.status, content) == (206, AUDIO[1000:1010])
    assert answer.headers["Content-Range"] == f"bytes 1000-1009/{len(AUDIO)}"
    answer, _ = ask(server, f"{V1}/audio?id=0", Range=f"bytes={len(AUDIO)}-")
    assert answer.status == 416
    answer, content = ask(server, f"{V1}/audio?id=0", method="HEAD")
    assert (answer.headers["Content-Length"], content) == (str(len(AUDIO)), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/audio?id=1",
        "/api/v1/audio?id=9",
        "/api/v1/audio?id=../secret.txt",
        "/api/v1/cover?id=0",
        "/api/v1/playlist.m3u8?name=../secret",
        "/page/../secret.txt",
        "/%2e%2e/secret.txt",
        "/secret.txt",
        "/preact.LICENSE.txt",
        "/x",
    ],
)
def test_nothing_but_the_tracks_is_served(server, path):
    answer, content = ask(server, path)
    assert answer.status == 404
    assert b"secret" not in content


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example:80"])
def test_other_hosts_are_refused(server, host):
    answer, content = ask(server, f"{V1}/search?q=choir", Host=host)
    assert answer.status == 400
    assert b"First" not in content


def test_a_taken_port_is_an_error_with_a_hint(server):
    with pytest.raises(UnisonoError) as refused:
        listen(server)
    assert "--port" in refused.value.hint


def test_descriptions_are_given_on_the_page(tmp_path):
    with pytest.raises(UsageError, match="--serve takes what is searched for on the page"):
        run(["choir"], SearchOptions(checkpoint=tmp_path, serve=True))


PAGES = [
    "/",
    "/page.js",
    "/page.css",
    f"{V1}/about",
    f"{V1}/search?q=choir",
    f"{V1}/search",
    f"{V1}/audio?id=0",
    f"{V1}/audio?id=1",
    "/x",
]


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
    assert ask(server, f"{V1}/audio?id=0", Sec_Fetch_Site="same-origin")[0].status == 200


def test_the_page_needs_nothing_that_its_policy_forbids(server):
    _, page = ask(server, "/")
    assert b"<script>" not in page and b"<style" not in page and b" style=" not in page and b" onc" not in page
    for name, kind in (("/page.js", "text/javascript"), ("/player.js", "text/javascript"), ("/page.css", "text/css")):
        answer, content = ask(server, name)
        assert answer.headers["Content-Type"].startswith(kind) and content
        assert b"innerHTML" not in content and b"http:" not in content and b"https:" not in content


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


def test_only_audio_is_sent_whatever_it_is_called(tmp_path):
    for name, (content, _) in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to("/proc/self/environ")
    others = ["pipe.wav", "folder.wav", "link.wav"]
    absent = ["/dev/zero", "/proc/self/environ", "", "http://127.0.0.1/x.mp3", "a\0b", "x" * 5000]
    paths = [str(tmp_path / name) for name in [*CONTENTS, *others]] + absent
    tracks = [track(row, audio_path=path) for row, path in enumerate(paths)]
    with running(tracks) as port:
        for row, path in enumerate(paths):
            content, kind = CONTENTS.get(path.rpartition("/")[2], (b"", None))
            answer, found = ask(port, f"{V1}/audio?id={row}")
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
    tracks = [track(name, audio_path=str(tmp_path / name)) for name in names]
    with running(tracks) as port:
        found = [ask(port, f"{V1}/audio?id={name}")[0] for name in names]
    assert [each.status for each in found] == [200, 200, 404]
    assert [each.headers["Content-Type"] for each in found[:2]] == ["audio/mpeg", "audio/x-caf"]


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
    answer, content = ask(server, f"{V1}/audio?id=0", Range=asked)
    assert (answer.status, content) == (206, AUDIO[begin:end])


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=0-1,3-4", "bytes=", "bytes=-", "lines=1-2", "bytes=x-", "bytes=" + "9" * 50]
)
def test_what_is_no_single_range_is_answered_with_the_whole_file(server, asked):
    answer, content = ask(server, f"{V1}/audio?id=0", Range=asked)
    assert (answer.status, content) == (200, AUDIO)


def test_a_file_that_is_cut_while_it_is_sent_ends_the_answer_without_a_traceback(tmp_path, capfd):
    path = tmp_path / "long.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(50_000_000))
    with running([track(0, audio_path=str(path))]) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", f"{V1}/audio?id=0")
        answer = connection.getresponse()
        answer.read(1000)
        os.truncate(path, 5000)
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        connection.close()
        assert ask(port, f"{V1}/about")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_half_sent_requests_are_closed_and_whole_ones_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "REQUEST_WITHIN_S", 0.3)
    with running([track(0)]) as port, contextlib.ExitStack() as stack:
        half = []
        for begin in (
            b"",
            b"GET /api/v1/about HTTP/1.1\r\nHost: 127",
            b"GET /api/v1/about HTTP/1.1\r\nHost: localhost\r\n\r\nGET /",
        ):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.sendall(begin)
            half.append(connection)
        assert ask(port, f"{V1}/about")[0].status == 200
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        head = b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        slow.sendall(head + b"Content-Length: 99\r\n\r\n{")
        for connection in (*half, slow):
            while connection.recv(1000):
                pass  # an answer to the whole request, then the end


def test_too_many_connections_are_refused(monkeypatch):
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 5)
    with running([track(0)]) as port, contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert ask(port, f"{V1}/about")[0].status == 503


def test_200_clients_at_once_beside_slow_ones_are_all_answered(server):
    with contextlib.ExitStack() as stack:
        for _ in range(50):  # these never finish their requests
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server), timeout=20))
            slow.sendall(b"GET /api/v1/about HTTP/1.1\r\nHost: localhost\r\nX: ")
        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            found = list(pool.map(lambda number: ask(server, f"{V1}/search?q=choir+{number}")[0].status, range(200)))
    assert found == [200] * 200


def test_numbers_that_are_none_are_never_answered():
    tracks = [track(row, start_s=math.nan, duration_s=math.inf) for row in range(3)]
    with running(tracks) as port:
        found = json.loads(ask(port, f"{V1}/search?q=x")[1], parse_constant=pytest.fail)
    assert [hit["track"]["duration_s"] for hit in found["hits"]] == [0, 0, 0]
