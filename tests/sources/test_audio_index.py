"""Audio is found by listing folders, in any layout and any script, and never outside the dataset's folder."""

import os
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from unisono.sources.audio_index import AudioIndex

Form = Literal["NFC", "NFD"]


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_the_first_folder_that_holds_the_file_wins(tmp_path: Path) -> None:
    make(tmp_path, "audio/audio/34/a.mp3", "34/a.mp3", "34/b.mp3", "c.mp3")
    index = AudioIndex(tmp_path, ("audio", "audio/audio", "."))
    assert index.find("34/a.mp3") == f"{tmp_path}/audio/audio/34/a.mp3"
    assert index.find("34/b.mp3") == f"{tmp_path}/34/b.mp3"
    assert index.find("c.mp3") == f"{tmp_path}/c.mp3"
    assert index.find("34/c.mp3") is None
    assert index.where("34/c.mp3") == f"{tmp_path}/audio/34/c.mp3"


@pytest.mark.parametrize(("folder", "below"), [("**", ""), ("audio/**", "audio/")])
def test_anywhere_below_by_name(tmp_path: Path, folder: str, below: str) -> None:
    make(tmp_path, f"{below}part-1/deep/x.mp3", f"{below}part-0/y.mp3", f"{below}part-1/y.mp3", f"{below}z.mp3")
    index = AudioIndex(tmp_path, (folder,))
    assert index.find("x.mp3") == f"{tmp_path}/{below}part-1/deep/x.mp3"
    assert index.find("y.mp3") == f"{tmp_path}/{below}part-0/y.mp3"
    assert index.find("some/path/z.mp3") == f"{tmp_path}/{below}z.mp3"
    assert index.find("none.mp3") is None


def test_folders_are_listed_once_and_files_never_asked_for(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, *(f"{n % 3}/{n}.mp3" for n in range(30)))
    listed = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scan(path))
    for asking in ("stat", "lstat", "access"):
        monkeypatch.setattr(os, asking, lambda *_, **__: pytest.fail("a file was asked for"))
    index = AudioIndex(tmp_path, (".",))
    assert all(index.find(f"{n % 3}/{n}.mp3") for n in range(30))
    assert not any(index.find(f"{n % 3}/{n}.mp3") for n in range(30, 60))
    assert len(listed) == 3


@pytest.mark.parametrize("name", ["../secret.mp3", "a/../../secret.mp3", "/etc/hostname", "..", "", "a\0b.mp3"])
def test_nothing_outside_the_folder_is_found(tmp_path: Path, name: str) -> None:
    make(tmp_path, "secret.mp3", "dataset/a/b.mp3")
    assert AudioIndex(tmp_path / "dataset", (".", "**")).find(name) is None


@pytest.mark.parametrize(
    "name", ["Ünïted – été.mp3", "音楽.mp3", "موسيقى.mp3", '🎵 it\'s "ok" $(x).mp3', "a\nb.mp3", "..mp3"]
)
def test_names_in_any_script(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"in/{name}")
    index = AudioIndex(tmp_path, (".", "**"))
    assert index.find(f"in/{name}") == f"{tmp_path}/in/{name}"


@pytest.mark.parametrize(("stored", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names_are_one(tmp_path: Path, stored: Form, asked: Form) -> None:
    name = "Café.mp3"
    make(tmp_path, unicodedata.normalize(stored, name))
    found = AudioIndex(tmp_path, (".",)).find(unicodedata.normalize(asked, name))
    assert found == f"{tmp_path}/{unicodedata.normalize(stored, name)}"


def test_names_that_are_no_text_are_not_taken(tmp_path: Path) -> None:
    make(tmp_path, os.fsdecode(b"in/caf\xe9.mp3"), os.fsdecode(b"\xff/a.mp3"))
    index = AudioIndex(tmp_path, ("**",))
    assert index.find("caf\udce9.mp3") is None
    assert index.find("a.mp3") is None


def test_folders_and_dead_links_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "dead.mp3").symlink_to(tmp_path / "nowhere")
    index = AudioIndex(tmp_path, (".",))
    assert index.find("folder.mp3") is None
    assert index.find("dead.mp3") is None


def test_links_to_other_disks_are_followed_but_circles_are_not(tmp_path: Path) -> None:
    make(tmp_path, "disk/part/a.mp3", "dataset/b.mp3")
    (tmp_path / "dataset/audio").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/part/back").symlink_to(tmp_path / "disk")
    assert AudioIndex(tmp_path / "dataset", ("audio/**",)).find("a.mp3") == f"{tmp_path}/dataset/audio/part/a.mp3"
    assert AudioIndex(tmp_path / "dataset", ("audio",)).find("part/a.mp3") == f"{tmp_path}/dataset/audio/part/a.mp3"


def test_paths_are_absolute(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, "a.mp3")
    monkeypatch.chdir(tmp_path)
    assert AudioIndex(Path(), (".",)).find("a.mp3") == str(tmp_path / "a.mp3")


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_letters_of_folders_may_be_composed_or_decomposed(tmp_path: Path, on_disk: Form, asked: Form) -> None:
    make(tmp_path, unicodedata.normalize(on_disk, "Älbûm/Ñämè.wav"))
    name = unicodedata.normalize(asked, "Älbûm/Ñämè.wav")
    for path in (name, f"{tmp_path}/{name}"):
        assert (
            AudioIndex(tmp_path, (".",)).find(path) == f"{tmp_path}/{unicodedata.normalize(on_disk, 'Älbûm/Ñämè.wav')}"
        )
