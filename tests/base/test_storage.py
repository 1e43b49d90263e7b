"""Objects on a real S3 server, a process of its own, behind a proxy that spoils what it is told to."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import loaded
from tests.broken_audio import write_music
from tests.embeddings.prepare.conftest import Folder
from unisono.audio.decode import Excerpt, decode
from unisono.audio.faults import MISSING, UNREADABLE, Fault
from unisono.audio.probe import probe
from unisono.base import storage
from unisono.base.backoff import Patience
from unisono.curation.collection import read_tracks
from unisono.curation.unify import unify

Spoil = Callable[[bytes], Any]
"""From a good body to what is sent instead: bytes under its length, bytes in a list under their own, or a status."""


class S3:
    """A bucket, and what goes wrong with the objects in it."""

    def __init__(self, port: int) -> None:
        self.moto = port
        self.spoils: dict[str, list[Spoil]] = {}
        """Key -> what happens to its next downloads."""
        self.downloads: Counter[str] = Counter()
        import boto3  # only the process that runs this test loads it

        self.client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")

    def put(self, key: str, path: Path) -> str:
        self.client.put_object(Bucket="music", Key=key, Body=path.read_bytes())
        return f"s3://music/{key}"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[S3, ThreadingHTTPServer]]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        patch.delenv("HTTP_PROXY", raising=False)
        patch.setattr(storage, "_PATIENCE", Patience(first_pause=0.01, longest_pause=0.01))
        with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
            port = unused.server_address[1]
        moto = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            s3 = S3(port)
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                    break
                time.sleep(0.1)
            s3.client.create_bucket(Bucket="music")
            proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"s3": s3}))
            thread = threading.Thread(target=proxy.serve_forever)
            thread.start()
            patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{proxy.server_address[1]}")
            storage._file_system.cache_clear()
            yield s3, proxy
            proxy.shutdown()
            proxy.server_close()
            thread.join()
        finally:
            storage._file_system.cache_clear()
            moto.kill()
            moto.wait()


class Handler(BaseHTTPRequestHandler):
    """Passes everything on to the server, and spoils downloads."""

    protocol_version = "HTTP/1.1"
    s3: S3

    def do_GET(self) -> None:
        upstream = HTTPConnection("127.0.0.1", self.s3.moto)
        upstream.request(self.command, self.path, headers=dict(self.headers))
        answer = upstream.getresponse()
        body = sent = answer.read()
        upstream.close()
        status = answer.status
        key = self.path.rpartition("/")[2].partition("?")[0]
        if self.command == "GET" and key:
            self.s3.downloads[key] += 1
            if self.s3.spoils.get(key):
                spoiled = self.s3.spoils[key].pop(0)(body)
                if isinstance(spoiled, int):
                    status, body, sent = spoiled, b"", b""
                elif isinstance(spoiled, list):
                    body = sent = spoiled[0]
                else:
                    sent = spoiled
        self.send_response(status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "server", "date", "transfer-encoding"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        self.wfile.write(sent)
        if len(sent) < len(body):
            self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def s3(server: tuple[S3, ThreadingHTTPServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    found = server[0]
    found.spoils.clear()
    found.downloads.clear()
    monkeypatch.setenv(storage.FOLDER, str(tmp_path / "cache"))
    return found


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_music(tmp_path / "a.wav", 2.0, rate_hz=16_000, channels=1, seed=1)


def cut(body: bytes) -> bytes:
    return body[: len(body) // 2]


def test_an_object_is_fetched_once_and_decoded_as_the_file_is(s3: S3, music: Path) -> None:
    url = s3.put("a.wav", music)
    expected = decode(Excerpt(str(music), 0, 2), 16_000)
    for place in (url, url, f"file://{music}"):
        found = decode(Excerpt(place, 0, 2), 16_000)
        assert not isinstance(found, Fault) and not isinstance(expected, Fault)
        assert (found == expected).all()
    assert probe(url) == probe(str(music))
    assert s3.downloads == {"a.wav": 1}
    assert storage.status(url)[0] == music.stat().st_size


@pytest.mark.parametrize(
    ("spoils", "downloads"),
    [
        ([lambda _: 503] * 2, 3),
        ([cut], 2),
        ([lambda body: [cut(body)]], 2),
        ([lambda body: [body + b"more"]], 2),
        ([lambda body: time.sleep(1) or body], 1),
    ],
    ids=["busy", "cut", "shorter", "longer", "slow"],
)
def test_what_passes_is_waited_for(s3: S3, music: Path, spoils: list[Spoil], downloads: int) -> None:
    url = s3.put("b.wav", music)
    s3.spoils["b.wav"] = list(spoils)
    assert not isinstance(decode(Excerpt(url, 0, 2), 16_000), Fault)
    assert s3.downloads["b.wav"] == downloads


def test_an_answer_that_does_not_come_is_asked_for_again(s3: S3, music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(storage._SETTINGS["s3"]["config_kwargs"], "read_timeout", 2)
    storage._file_system.cache_clear()
    url = s3.put("stuck.wav", music)
    s3.spoils["stuck.wav"] = [lambda body: time.sleep(4) or body]
    assert not isinstance(decode(Excerpt(url, 0, 2), 16_000), Fault)
    assert s3.downloads["stuck.wav"] == 2
    storage._file_system.cache_clear()


def test_a_full_disk_of_the_cache_is_the_fault(s3: S3, music: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    url = s3.put("full.wav", music)
    code = f"from unisono.audio.decode import Excerpt, decode; print(decode(Excerpt('{url}', 0, 2), 16_000))"
    done = loaded.python("-c", code, most_bytes=music.stat().st_size // 2)
    assert UNREADABLE in done.stdout and "File too large" in done.stdout, done
    assert s3.downloads == {"full.wav": 1} and not list((tmp_path / "cache").iterdir())
    assert not isinstance(decode(Excerpt(url, 0, 2), 16_000), Fault)


def test_what_does_not_pass_is_a_fault_of_the_one_vocabulary(
    s3: S3, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "TRIES", 2)
    faults: dict[str, Any] = {}
    for name, spoil in {"busy": lambda _: 503, "short": cut, "forbidden": lambda _: 403}.items():
        url = s3.put(name, music)
        s3.spoils[name] = [spoil] * 100
        faults[name] = decode(Excerpt(url, 0, 2), 16_000)
    faults["absent"] = decode(Excerpt("s3://music/absent", 0, 2), 16_000)
    assert {name: fault.reason for name, fault in faults.items()} == {
        "busy": UNREADABLE,
        "short": UNREADABLE,
        "forbidden": UNREADABLE,
        "absent": MISSING,
    }
    assert all(fault.detail or name == "absent" for name, fault in faults.items())
    assert not any(fault.lasting for fault in faults.values())


def test_an_object_that_changes_amid_is_read_as_it_then_is(s3: S3, music: Path, tmp_path: Path) -> None:
    other = write_music(tmp_path / "other.wav", 2.0, rate_hz=16_000, channels=1, seed=2)
    url = s3.put("c.wav", music)

    def change(body: bytes) -> bytes:
        s3.put("c.wav", other)
        return body

    s3.spoils["c.wav"] = [change]
    descriptor, place = storage.open_file(url)
    os.close(descriptor)
    assert Path(place).read_bytes() == other.read_bytes()
    assert len(list(Path(place).parent.iterdir())) == 1


def test_the_cache_is_bounded_and_forgets_what_was_used_longest_ago(
    s3: S3, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = music.stat().st_size
    monkeypatch.setenv(storage.SIZE, str(2.5 * size / 1e9))
    urls = [s3.put(f"n{number}", music) for number in range(3)]
    for number in (0, 1, 0, 2, 0):
        os.close(storage.open_file(urls[number])[0])
        time.sleep(0.02)
        assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) <= 2.5 * size
    assert s3.downloads == {"n0": 1, "n1": 1, "n2": 1}
    monkeypatch.setenv(storage.SIZE, str(0.5 * size / 1e9))
    fault = decode(Excerpt(s3.put("large", music), 0, 2), 16_000)
    assert isinstance(fault, Fault) and "do not fit into a cache" in fault.detail


def test_several_processes_share_a_cache_that_is_too_small(s3: S3, music: Path) -> None:
    urls = [s3.put(f"p{number}", music) for number in range(4)]
    environment = os.environ | {storage.SIZE: str(2.5 * music.stat().st_size / 1e9)}
    code = f"""
from unisono.audio.decode import Excerpt, decode
from unisono.audio.faults import Fault
for url in {urls} * 3:
    found = decode(Excerpt(url, 0, 2), 16_000)
    assert not isinstance(found, Fault), found
"""
    programs = [loaded.start("-c", code, env=environment) for _ in range(3)]
    said = [program.communicate() for program in programs]
    assert [program.returncode for program in programs] == [0] * 3, said


def test_prepare_reads_where_the_path_map_says(s3: S3, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number in range(3):
        record = folder.add(f"t{number}", 2.0)
        s3.put(f"set/t{number}.wav", Path(record["audio_path"]))
        record["audio_path"] = f"/srv/nas/set/t{number}.wav"
    folder.records[2]["audio_path"] = "s3://music/set/t2.wav"
    folder.write()
    folder.prepare(path_map=("/srv/nas=s3://music",))
    assert sum(folder.done.counts.values()) == 3
    again = folder.prepare(path_map=("/srv/nas=s3://music",))
    assert not folder.done.written and again.is_file()


def test_a_recipe_names_a_bucket(s3: S3, music: Path, tmp_path: Path) -> None:
    """Its files are measured there; what lies elsewhere, or is not there, is said."""
    s3.put("set/a b.wav", music)
    s3.put("set/inner/b.wav", music)
    s3.put("other/c.wav", music)
    names = (
        "a b.wav",
        "s3://music/set/inner/b.wav",
        "none.wav",
        "../other/c.wav",
        "s3://music/other/c.wav",
        "/etc/c.wav",
    )
    rows = "".join(f"{name},a slow song {number}\n" for number, name in enumerate(names))
    (tmp_path / "t.csv").write_text(f"file,text\n{rows}")
    recipe = tmp_path / "t.toml"
    recipe.write_text('table="t.csv"\naudio_root="s3://music/set"\naudio="{file}"\n[columns]\ncaption="text"\n')
    unify([str(recipe)], output=tmp_path / "u.json", data_root=tmp_path)
    assert {(track.audio_path, track.duration) for track in read_tracks(tmp_path / "u.json")} == {
        ("s3://music/set/a b.wav", 2.0),
        ("s3://music/set/inner/b.wav", 2.0),
    }
    dropped = json.loads((tmp_path / "u.report.json").read_text())["dropped"]
    assert [row["reason"] for row in dropped] == [MISSING] * 4
    assert sum("relative to s3://music/set" in row["detail"] for row in dropped) == 3
