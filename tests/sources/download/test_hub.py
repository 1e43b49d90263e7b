"""Datasets on the Hugging Face Hub, fetched by the real command from a server that answers like it."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.releases import jamendo_max_caps
from tests.sources.download import hub
from tests.sources.download import server as misbehaviour
from tests.sources.download.archives import tree
from tests.sources.download.server import Server, serving
from unisono.base.errors import DataError
from unisono.sources import registry as datasets
from unisono.sources.base import HubFiles
from unisono.sources.download import hub_listing
from unisono.sources.download.hub_listing import known_files
from unisono.sources.download.shards import unpack_shard
from unisono.sources.hub import credentials

REPO = "amaai-lab/JamendoMaxCaps"


class Jamendo:
    """JamendoMaxCaps on a fake Hub, and the command that fetches it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        jamendo_max_caps.build(folder / "upstream")
        upstream = tree(folder / "upstream")
        audio = {Path(path).name: content for path, content in upstream.items() if path.startswith("audio/")}
        self.metadata = {path: content for path, content in upstream.items() if not path.startswith("audio/")}
        names = sorted(audio)
        self.shards = [{name: audio[name] for name in names[:3]}, {name: audio[name] for name in names[3:]}]
        files = self.metadata | {"README.md": b"# JamendoMaxCaps\n", ".gitattributes": b"*.parquet filter=lfs\n"}
        for number, content in enumerate(self.shards):
            name = f"data/train-{number:05}-of-00002.parquet"
            files[name] = hub.shard(folder / "shards" / name, content)
        self.hub = hub.FakeHub(server, REPO, files)

    def tree(self, shards: int) -> dict[str, bytes]:
        """Return the files expected in the end."""
        audio = {f"audio/{name}": content for shard in self.shards[:shards] for name, content in shard.items()}
        return self.metadata | audio

    def download(self, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "unisono",
            "download",
            "jamendo_max_caps",
            "--data-root",
            str(self.folder / "data"),
        ]
        environment = {**os.environ, "HF_ENDPOINT": self.server.url, "HF_TOKEN": token, "HF_HUB_DISABLE_TELEMETRY": "1"}
        environment["HF_HOME"] = str(self.folder / "hf")
        return subprocess.run(
            [*command, *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
        )

    @property
    def here(self) -> dict[str, bytes]:
        return tree(self.folder / "data" / "raw" / "jamendo_max_caps")


@pytest.fixture
def jamendo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jamendo]:
    with serving() as server:
        yield Jamendo(server, tmp_path)


def test_by_part_and_then_everything(jamendo: Jamendo) -> None:
    done = jamendo.download("--metadata-only")
    assert done.returncode == 0, done.stderr
    assert jamendo.here == jamendo.tree(0)
    done = jamendo.download("--shards", "1", token="hf_secret")
    assert done.returncode == 0, done.stderr
    assert jamendo.here == jamendo.tree(1), "the shard is unpacked, the bytes unchanged, and itself gone"
    fetched = {path: headers for path, headers in jamendo.server.requests if path.endswith(".parquet")}
    assert [headers["Authorization"] for headers in fetched.values()] == ["Bearer hf_secret"]
    assert all(hub.COMMIT in path for path in fetched), "at the commit that was found first"
    done = jamendo.download("--keep-archives")
    assert done.returncode == 0, done.stderr
    here = jamendo.here
    assert here.pop("data/train-00001-of-00002.parquet")
    assert here == jamendo.tree(2)
    before = len(jamendo.server.requests)
    done = jamendo.download()
    assert "complete already" in " ".join(done.stderr.split())
    assert len(jamendo.server.requests) == before, "the Hub is not asked again"


def test_the_hub_misbehaves(jamendo: Jamendo) -> None:
    prefix = f"/datasets/{REPO}/resolve/{hub.COMMIT}"
    jamendo.server.script[f"{prefix}/final_caption30sec.jsonl"] = [misbehaviour.cut(100), misbehaviour.hang_up]
    jamendo.server.script[f"{prefix}/data/train-00000-of-00002.parquet"] = [
        misbehaviour.cut(5000),
        misbehaviour.damaged,
    ]
    jamendo.server.script[f"{prefix}/data/train-00001-of-00002.parquet"] = [misbehaviour.redirect("/cdn/1")]
    jamendo.server.files["/cdn/1"] = jamendo.hub.files["data/train-00001-of-00002.parquet"]
    done = jamendo.download()
    assert done.returncode == 0, done.stderr
    assert jamendo.here == jamendo.tree(2)


def test_the_hub_cannot_be_asked(jamendo: Jamendo) -> None:
    jamendo.server.script[jamendo.hub.listing] = [misbehaviour.status(404)] * 10
    done = jamendo.download("--metadata-only")
    assert done.returncode == 1
    assert "could not be asked" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "GatedRepo", "only for those who accept its conditions"),
        (404, "RepoNotFound", "no dataset amaai-lab/JamendoMaxCaps at revision main, or it is private"),
        (404, "RevisionNotFound", "no amaai-lab/JamendoMaxCaps at revision main"),
    ],
)
def test_what_the_hub_refuses_is_said_in_words(jamendo: Jamendo, status: int, code: str, words: str) -> None:
    def refuse(handler: misbehaviour.Handler, content: bytes) -> None:
        handler.answer(status, b"", {"X-Error-Code": code})

    jamendo.server.script[jamendo.hub.listing] = [refuse] * 10
    done = jamendo.download("--metadata-only")
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_hub_is_not_asked_in_offline_mode(jamendo: Jamendo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = jamendo.download("--metadata-only")
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE is set" in " ".join(done.stderr.split())
    assert not jamendo.server.requests


def test_the_token_goes_to_the_hub_only(jamendo: Jamendo, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = jamendo.folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password another_secret\nmachine localhost login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    path = f"/datasets/{REPO}/resolve/{hub.COMMIT}/data/train-00000-of-00002.parquet"
    with serving() as elsewhere:
        elsewhere.files["/cdn"] = jamendo.hub.files["data/train-00000-of-00002.parquet"]
        jamendo.server.script[path] = [misbehaviour.redirect(elsewhere.url.replace("127.0.0.1", "localhost") + "/cdn")]
        done = jamendo.download("--shards", "1", token="hf_secret")
        assert done.returncode == 0, done.stderr
        assert [headers.get("Authorization") for _, headers in elsewhere.requests] == [None]
    asked = [headers.get("Authorization") for asked, headers in jamendo.server.requests if asked == path]
    assert asked == ["Bearer hf_secret"], "and not what .netrc says"


def test_a_listing_that_was_handed_over_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    files = HubFiles(repo=REPO, revision="main", patterns=("*.jsonl",))
    entries = [
        {"path": path, "url": url, "size": 1, "checksum": ""}
        for path, url in {
            "../up.jsonl": "https://huggingface.co/a",
            "/absolute.jsonl": "https://huggingface.co/a",
            ".download/lock": "https://huggingface.co/a",
            "fine.jsonl": "https://huggingface.co.evil.example/a",
            "good.jsonl": "https://huggingface.co/a",
        }.items()
    ]
    listing = hub_listing._listing_path(files, tmp_path)
    listing.parent.mkdir()
    listing.write_text(json.dumps({"commit": hub.COMMIT, "files": entries}))
    known = known_files(files, tmp_path)
    assert known is not None and [file.name for file in known] == ["fine.jsonl", "good.jsonl"]
    assert [bool(credentials(file)) for file in known] == [False, True]


@pytest.mark.parametrize(
    ("name", "identities"),
    [
        ("jamendo_max_caps", ["2df405d8ffe663e9", "b07a02fb970fc51c"]),
        ("musicbench", ["69080cb774a38b99", "c7c1394e2d68fe4c"]),
        ("hf:owner/name", ["f5f2c12c22ebe805"]),
    ],
)
def test_listings_of_earlier_downloads_are_found(name: str, identities: list[str]) -> None:
    """A download that was finished with an earlier version must not begin again, at another commit."""
    paths = [hub_listing._listing_path(files, Path()).name for files in datasets.get(name).files]  # type: ignore[arg-type]
    assert paths[: len(identities)] == [f"hub-{identity}.json" for identity in identities]


def test_a_shard_gives_its_bytes(tmp_path: Path) -> None:
    audio = {f"{number}.mp3": random.Random(number).randbytes(20_000) for number in range(20)}
    hub.shard(tmp_path / "a.parquet", audio)
    counts: list[int] = []
    number, sample = unpack_shard(tmp_path / "a.parquet", "audio", tmp_path / "audio", advance=counts.append)
    assert tree(tmp_path / "audio") == audio
    assert number == 20
    assert sample == (str(tmp_path / "audio" / "19.mp3"), 20_000)
    assert sum(counts) == 400_000


def test_names_in_shards_cannot_lead_elsewhere(tmp_path: Path) -> None:
    hub.shard(tmp_path / "a.parquet", {"../../up.mp3": b"1", "/tmp/absolute.mp3": b"2", "a\\b\\windows.mp3": b"3"})
    unpack_shard(tmp_path / "a.parquet", "audio", tmp_path / "deep" / "audio")
    assert tree(tmp_path / "deep") == {"audio/up.mp3": b"1", "audio/absolute.mp3": b"2", "audio/windows.mp3": b"3"}


@pytest.mark.parametrize("name", ["", "..", "a/..", None, "a\0b"])
def test_names_in_shards_must_be_names(tmp_path: Path, name: str) -> None:
    hub.shard(tmp_path / "a.parquet", {name: b"1"})
    with pytest.raises(DataError, match="row 0 has no usable file name"):
        unpack_shard(tmp_path / "a.parquet", "audio", tmp_path / "audio")


@pytest.mark.parametrize("how", ["cut", "another column", "no bytes", "no parquet"])
def test_broken_shards_are_named(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.parquet"
    row = None if how == "no bytes" else random.Random(1).randbytes(5000)
    content = hub.shard(path, {"1.mp3": row}, column="image" if how == "another column" else "audio")
    if how == "cut":
        path.write_bytes(content[:3000])
    elif how == "no parquet":
        path.write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"a\.parquet: "):
        unpack_shard(path, "audio", tmp_path / "audio")
