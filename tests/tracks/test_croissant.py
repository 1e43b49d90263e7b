"""The description has what Croissant requires, and its hashes and fields are those of the files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_convert import convert, make
from unisono.base.errors import UsageError
from unisono.tracks.croissant import REQUIRED, validate

ABOUT: dict[str, Any] = {
    "croissant": True, "url": "https://example.org/music", "creator": "Somebody", "published": "2026-01-31",
}  # fmt: skip


def described(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    validate(document)
    return document


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_a_file(tmp_path: Path, ending: str) -> None:
    make(tmp_path)
    target = convert(tmp_path / "unified.json", tmp_path / f"out.{ending}", **ABOUT)
    document = described(tmp_path / "out.croissant.json")
    assert all(document[name] for name in REQUIRED)
    assert document["name"] == "out"
    assert document["description"].startswith("12 described pieces of music")
    assert document["license"] == ["CC-BY-4.0", "unknown"]
    (file,) = document["distribution"]
    assert file["contentUrl"] == target.name
    assert file["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    names = {field["@id"].removeprefix("tracks/") for field in document["recordSet"][0]["field"]}
    assert {"id", "audio_path", "caption", "duration"} <= names
    assert ("tags" in names) == (ending != "json"), "only what every record holds can be taken from JSON"


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
def test_a_folder(tmp_path: Path, to: str) -> None:
    tracks = make(tmp_path)
    Path(tracks[0].audio_path).unlink()
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to=to, with_audio=True, **ABOUT)
    document = described(folder / "croissant.json")
    assert document["description"].startswith("11 described pieces of music"), "without the one that was left out"
    files = {item["contentUrl"]: item["sha256"] for item in document["distribution"] if "contentUrl" in item}
    assert len(files) == 4
    for name, sha256 in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256


def test_what_is_required_is_asked_for_before_any_work(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(UsageError, match=r"requires --url, --creator, --published"):
        convert(tmp_path / "unified.json", tmp_path / "out.csv", croissant=True)
    with pytest.raises(UsageError, match="YYYY-MM-DD, found 'soon'"):
        convert(tmp_path / "unified.json", tmp_path / "out.csv", **{**ABOUT, "published": "soon"})
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", REQUIRED)
def test_an_incomplete_description_is_no_description(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    convert(tmp_path / "unified.json", tmp_path / "out.csv", **ABOUT)
    document = described(tmp_path / "out.croissant.json")
    del document[name]
    with pytest.raises(ValueError, match="is missing"):
        validate(document)
