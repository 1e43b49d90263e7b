import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.releases import audio
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.tally import Dropped
from unisono.captions.ways.template import caption
from unisono.curation.unify import unify
from unisono.sources import registry as datasets
from unisono.tracks.track import Track
from unisono.tracks.vocabulary import key


def read(folder: Path) -> dict[str, Track | Dropped]:
    dataset = datasets.get(f"folder:{folder}")
    assert dataset.root == folder
    return {item.id: item for item in dataset.records(folder)}


def id3(frames: dict[str, str]) -> bytes:
    """Make an ID3v2.4 tag; `TXXX:mood` is a custom field."""
    content = b""
    for name, text in frames.items():
        name, _, description = name.partition(":")
        start = b"eng\x00" if name == "COMM" else description.encode() + b"\x00" if name == "TXXX" else b""
        body = b"\x03" + start + text.encode()
        content += name.encode() + synchsafe(len(body)) + b"\x00\x00" + body
    return b"ID3\x04\x00\x00" + synchsafe(len(content)) + content


def synchsafe(number: int) -> bytes:
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "My Music"
    audio.tone(folder / "Jazz" / "blue.mp3", 2, 300)
    words = "double bass, ripped by somebody, slow, piano"
    tags = {"TIT2": "Blau", "TPE1": "Zoë Piano", "TCON": "Jazz; Bossa Nova", "TXXX:mood": "sad; saudade", "COMM": words}
    tags |= {"TALB": "Album", "TDRC": "1998-05-03"}
    path = folder / "Jazz" / "blue.mp3"
    path.write_bytes(id3(tags) + path.read_bytes())
    with soundfile.SoundFile(str(folder / "日本.flac"), "w", 16000, 1) as file:
        file.genre, file.comment = "Ambient", "calm"
        file.license = "http://creativecommons.org/licenses/by/4.0/"
        file.write(np.zeros(16000))
    audio.tone(folder / "untagged.wav", 1, 500)
    audio.broken(folder / "broken.mp3", "not audio")
    (folder / "cover.jpg").write_bytes(b"jpg")
    audio.tone(folder / ".hidden" / "x.wav", 1, 500)
    return folder


def test_a_folder(music: Path) -> None:
    items = read(music)
    assert sorted(items) == [
        "folder_mymusic_Jazz/blue.mp3",
        "folder_mymusic_broken.mp3",
        "folder_mymusic_untagged.wav",
        "folder_mymusic_日本.flac",
    ]
    blue, flac = items["folder_mymusic_Jazz/blue.mp3"], items["folder_mymusic_日本.flac"]
    assert isinstance(blue, Track) and isinstance(flac, Track)
    assert (blue.title, blue.artist, blue.genre) == ("Blau", "Zoë Piano", "Jazz")
    assert blue.tags == ["Bossa Nova", "sad", "saudade", "double bass", "slow"]  # "piano" is of the artist's name
    assert blue.extra == {"album": "Album", "comment": "double bass, ripped by somebody, slow, piano", "year": "1998"}
    assert caption(blue.genre, blue.tags) == "A sad, slow Jazz track with Bossa Nova elements, featuring double bass"
    assert blue.duration == pytest.approx(2, abs=0.2)
    assert (flac.genre, flac.tags) == ("Ambient", ["calm"])
    assert flac.license == "http://creativecommons.org/licenses/by/4.0/"


def test_what_tags_do_not_tell_is_left_to_unify(music: Path) -> None:
    items = read(music)
    untagged, broken = items["folder_mymusic_untagged.wav"], items["folder_mymusic_broken.mp3"]
    assert isinstance(untagged, Track) and caption(untagged.genre, untagged.tags) == ""
    assert isinstance(broken, Dropped) or broken.duration == 0 or caption(broken.genre, broken.tags) == ""


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        datasets.get(f"folder:{tmp_path / 'none'}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.binary(max_size=300), st.sampled_from([b"", b"ID3\x04\x00\x00\x00\x00\x01\x00", b"fLaC", b"OggS", b"RIFF"]))
def test_files_of_anything_are_read_or_dropped(tmp_path: Path, content: bytes, start: bytes) -> None:
    for ending in ("mp3", "flac", "ogg", "wav", "m4a"):
        (tmp_path / f"x.{ending}").write_bytes(start + content)
    assert len(read(tmp_path)) == 5


def test_the_real_clip(shared_data: Path) -> None:
    (item,) = read(shared_data / "fma" / "fma_small").values()
    assert isinstance(item, Track)
    assert (item.artist, item.title, item.genre) == ("AWOL", "Food", "Hip-Hop")
    assert item.duration == pytest.approx(29.98, abs=0.05)


def test_what_stands_in_place_of_files_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "lfs.mp3").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "stub.flac").symlink_to("nowhere.flac")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "folder.mp3").mkdir()
    os.mkfifo(tmp_path / "pipe.mp3")
    audio.broken(tmp_path / "empty.ogg", "empty")
    audio.tone(tmp_path / "good.wav", 1, 300)
    (tmp_path / "link.wav").symlink_to("good.wav")
    items = read(tmp_path)
    name = f"folder_{key(tmp_path.name)}"
    pipe = items[f"{name}_pipe.mp3"]
    assert isinstance(pipe, Dropped) and pipe.reason == "not a regular file"
    assert {id.removeprefix(f"{name}_") for id in items} == {
        "lfs.mp3", "pipe.mp3", "stub.flac", "loop.wav", "empty.ogg", "good.wav", "link.wav",
    }  # fmt: skip
    for file in ("stub.flac", "loop.wav"):
        item = items[f"{name}_{file}"]
        assert isinstance(item, Dropped) and item.reason == "audio file missing"
    for file in ("good.wav", "link.wav"):
        item = items[f"{name}_{file}"]
        assert isinstance(item, Track) and item.duration == pytest.approx(1)


texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)
odd = st.sampled_from(
    ["", "nan", "&amp;&#39;<b>", "a\nb;c/d|e", "0000-00-00", "1e999", "x" * 300, "\ufeff", "http://x"]
)
FRAMES = ("TIT2", "TPE1", "TALB", "TCON", "TDRC", "TCOP", "TXXX:mood", "COMM")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FRAMES, st.one_of(texts, odd))))
def test_any_tags_become_a_track(tmp_path: Path, frames: dict[str, str]) -> None:
    path = tmp_path / "x.mp3"
    path.unlink(missing_ok=True)
    audio.tone(path, 0.2, 300)
    path.write_bytes(id3(frames) + path.read_bytes())
    (item,) = read(tmp_path).values()
    assert isinstance(item, Track)
    for text in (item.title, item.artist, item.genre, item.license, *item.tags, *item.extra.values()):
        assert text == " ".join(text.split())
    kept = {field for field in item.extra if not field.endswith("_as_tagged")}
    assert kept <= {"album", "comment", "year"} and all(item.extra.values())
    assert item.extra.get("year", "1999").isdecimal()


def test_a_folder_without_tags_says_what_to_do(tmp_path: Path) -> None:
    audio.tone(tmp_path / "music" / "a.mp3", 1, 300)
    with pytest.raises(UnisonoError, match="No track is left") as failure:
        unify([f"folder:{tmp_path}/music"], output=tmp_path / "a.json")
    assert "--captions metadata" in failure.value.hint and "docs/your-own-music.md" in failure.value.hint
