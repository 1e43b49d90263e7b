"""`unisono encoders` as a user runs it, against a small hub on this machine that can be slow, false or gone."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.embeddings.encoders.tiny_text import write_bert
from unisono.base.errors import DataError
from unisono.embeddings.encoders import text
from unisono.embeddings.encoders.audio import latent, mert

HEAD_COMMIT = "a" * 40


class Hub:
    """The part of the hub's interface that its client uses to look up a revision and to fetch a file."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders
        self.ranges: list[str] = []
        """The `Range` headers that were sent."""
        self.stop_after: int | None = None
        """Send so many bytes of a large file, then nothing more."""
        self.altered = False
        """Send another file than was stated."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, *, body: bool) -> None:
                parts = self.path.partition("?")[0].strip("/").split("/")
                if parts[:2] == ["api", "models"]:
                    self.look_up("/".join(parts[2:4]), parts[5] if len(parts) > 4 else "main", body=body)
                elif parts[2:3] == ["resolve"]:
                    self.file("/".join(parts[:2]), parts[3], parts[4], body=body)
                else:
                    self.reply(404, b"", {}, body=body)

            def look_up(self, repo: str, revision: str, *, body: bool) -> None:
                siblings = [
                    {
                        "rfilename": path.name,
                        "size": path.stat().st_size,
                        "lfs": {"sha256": sha256(path), "size": path.stat().st_size, "pointerSize": 1},
                    }
                    for path in hub.folders[repo].iterdir()
                ]
                commit = HEAD_COMMIT if revision == "main" else revision
                content = json.dumps({"id": repo, "sha": commit, "siblings": siblings, "tags": [], "private": False})
                self.reply(200, content.encode(), {"Content-Type": "application/json"}, body=body)

            def file(self, repo: str, revision: str, name: str, *, body: bool) -> None:
                path = hub.folders[repo] / name
                content = path.read_bytes()
                headers = {"X-Repo-Commit": revision, "ETag": f'"{sha256(path)}"', "Accept-Ranges": "bytes"}
                if hub.altered:
                    content = content[:-1] + bytes([content[-1] ^ 1])
                wanted = self.headers.get("Range")
                if wanted and body:
                    hub.ranges.append(wanted)
                    start = int(wanted.removeprefix("bytes=").partition("-")[0])
                    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                    self.reply(206, content[start:], headers, body=body)
                else:
                    self.reply(200, content, headers, body=body)

            def reply(self, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(key, value)
                self.end_headers()
                if not body:
                    return
                if hub.stop_after is not None and len(content) > hub.stop_after:
                    self.wfile.write(content[: hub.stop_after])
                    self.wfile.flush()
                    time.sleep(60)
                else:
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def hub(weights_root: Path) -> Iterator[Hub]:
    hub = Hub({mert.WEIGHTS.repo: weights_root / "mert", latent.WEIGHTS.repo: weights_root / "latent"})
    thread = threading.Thread(target=hub.server.serve_forever, daemon=True)
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def environment(hub: Hub | None, root: Path) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if "proxy" not in key.lower()},
        "UNISONO_WEIGHTS": str(root),
        "HF_HOME": str(root / "hf"),
        "HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
        "COLUMNS": "200",
    }


def unisono(hub: Hub | None, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unisono", "encoders", *words]
    return subprocess.run(command, env=environment(hub, root), capture_output=True, text=True, check=False, timeout=120)


def test_a_pinned_revision_is_fetched_verified_recorded_and_not_fetched_again(
    hub: Hub, weights_root: Path, tmp_path: Path
) -> None:
    run = unisono(hub, tmp_path, "fetch", "mert")
    assert run.returncode == 0, run.stderr
    assert "is the published file" in run.stdout
    record = json.loads((tmp_path / "mert" / "fetched.json").read_text())
    assert record["revision"] == mert.WEIGHTS.revision
    for name in ("config.json", "pytorch_model.bin"):
        assert (
            sha256(tmp_path / "mert" / name) == sha256(weights_root / "mert" / name) == record["files"][name]["sha256"]
        )
    assert {path.name for path in (tmp_path / "mert").iterdir()} == {"config.json", "pytorch_model.bin", "fetched.json"}

    again = unisono(None, tmp_path, "fetch", "mert")  # the hub is gone, and not needed
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stderr

    here = {each["name"]: each["here"] for each in json.loads(unisono(None, tmp_path, "list", "--json").stdout)}
    assert here["mert"] is True and here["muq"] is False


def test_where_no_commit_is_pinned_the_one_found_is_recorded(hub: Hub, tmp_path: Path) -> None:
    run = unisono(hub, tmp_path, "fetch", "latent")
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "latent" / "fetched.json").read_text())["revision"] == HEAD_COMMIT


def test_a_killed_download_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    published = tmp_path / "published" / "music2latent.pt"
    published.parent.mkdir()
    published.write_bytes(os.urandom(3_000_000))
    hub.folders[latent.WEIGHTS.repo] = published.parent
    hub.stop_after = 2_000_000
    process = subprocess.Popen(
        [sys.executable, "-m", "unisono", "encoders", "fetch", "latent"],
        env=environment(hub, tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.rglob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "latent" / "music2latent.pt").exists()

    hub.stop_after = None
    run = unisono(hub, tmp_path, "fetch", "latent")
    assert run.returncode == 0, run.stderr
    assert len(hub.ranges) == 1, "the second run did not go on where the first stopped"
    assert sha256(tmp_path / "latent" / "music2latent.pt") == sha256(published)


def test_a_file_that_is_not_what_the_hub_states_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.altered = True
    run = unisono(hub, tmp_path, "fetch", "latent")
    assert run.returncode == 1
    assert "the publisher has changed the file" in run.stderr
    assert "accept" not in run.stderr
    assert not list(tmp_path.rglob("music2latent.pt"))


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path) -> None:
    run = unisono(None, tmp_path, "fetch", "mert")
    assert run.returncode == 1
    assert f"Cannot fetch {mert.WEIGHTS.repo}" in run.stderr
    assert f"hf download {mert.WEIGHTS.repo} --revision {mert.WEIGHTS.revision}" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(tmp_path.glob("mert"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Name the encoders to fetch"),
        (("mert", "nonsense"), "no encoder 'nonsense'"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    run = unisono(None, tmp_path, "fetch", *words)
    assert run.returncode == 2
    assert message in run.stderr


@pytest.fixture
def e5(tmp_path: Path) -> Path:
    """A tiny e5 as its publisher lays it out, with files that are not wanted."""
    folder = write_bert(tmp_path / "published e5")
    (folder / "pytorch_model.bin").write_bytes(b"not to be unpickled")
    (folder / "README.md").write_text("a card")
    return folder


def test_a_text_encoder_is_fetched_verified_and_used(hub: Hub, e5: Path, tmp_path: Path) -> None:
    spec = text.spec("e5-small")
    hub.folders[spec.source] = e5
    run = unisono(hub, tmp_path, "fetch", "e5-small")
    assert run.returncode == 0, run.stderr
    assert "e5-small: " in run.stdout and "is the published file" in run.stdout
    kept = {path.name for path in (tmp_path / "e5-small").iterdir()}
    assert kept == {path.name for path in e5.iterdir()} - {"README.md", "pytorch_model.bin"} | {"fetched.json"}
    assert json.loads((tmp_path / "e5-small" / "fetched.json").read_text())["revision"] == spec.revision
    assert "nothing to do" in unisono(None, tmp_path, "fetch", "e5-small").stderr
    here = {each["name"]: each["here"] for each in json.loads(unisono(None, tmp_path, "list", "--json").stdout)}
    assert [here[name] for name in here if name.startswith("e5-")] == [False, False, True]


def test_a_text_encoder_comes_from_a_folder_and_is_held_against_its_record(
    e5: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unisono(None, tmp_path, "fetch", "e5-small", "--from-dir", str(e5))
    assert run.returncode == 0, run.stderr
    assert "Whether it is the published one is not known here" in run.stdout
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    assert sum(parameter.numel() for parameter in text.tunable(text.build("e5-small")).backbone.parameters()) > 1000
    weights = tmp_path / "e5-small" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DataError, match="cut short or altered") as caught:
        text.build("e5-small")
    assert "unisono encoders fetch e5-small" in caught.value.hint


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("config.json", "missing is config.json"),
        ("model.safetensors", "missing is *.safetensors"),
        ("a part", "missing is 1 of the 2 files of tensors"),
        ("bytes", "is cut short"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(e5: Path, tmp_path: Path, lacking: str, message: str) -> None:
    weights = e5 / "model.safetensors"
    if lacking == "a part":
        weights.rename(e5 / "model-00001-of-00002.safetensors")
    elif lacking == "bytes":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        (e5 / lacking).unlink()
    run = unisono(None, tmp_path, "fetch", "e5-small", "--from-dir", str(e5))
    assert run.returncode == 1
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "e5-small" / "config.json").exists()
