"""Music with embedded tags, read through `folder`, goes into every format and comes back with nothing lost."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.commands.test_convert import convert
from tests.releases import audio
from tests.sources.own.test_folder import id3
from unisono.curation.unify import unify
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track

TAGS = {
    "title": 'Größe, "in quotes"; or not', "artist": "Zoë & the\tTabs", "album": "Album, with comma", "genre": "Jazz",
    "comment": "piano, recorded in 日本", "date": "1998", "license": "http://creativecommons.org/licenses/by/4.0/",
}  # fmt: skip
ID3 = {"TIT2": "title", "TPE1": "artist", "TALB": "album", "TCON": "genre", "COMM": "comment", "TDRC": "date"}


@pytest.fixture(scope="module")
def unified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a unified file of a folder with one tagged file of each format, in two folders."""
    folder = tmp_path_factory.mktemp("music") / "My Music"
    time_s = np.arange(16000) / 16000
    for number, ending in enumerate(("flac", "ogg", "opus")):
        path = folder / f"disc {number}" / f"a song.{ending}"
        path.parent.mkdir(parents=True)
        format_ = {"format": "OGG", "subtype": "OPUS"} if ending == "opus" else {}
        with soundfile.SoundFile(str(path), "w", 16000, 1, **format_) as file:
            for name, text in TAGS.items():
                setattr(file, name, text)
            file.write(0.3 * np.sin(2 * np.pi * (300 + 50 * number) * time_s))
    mp3 = folder / "disc 3" / "a song.mp3"
    audio.tone(mp3, 1, 500)
    mp3.write_bytes(
        id3({frame: TAGS[name] for frame, name in ID3.items()} | {"TXXX:mood": "sad; wistful"}) + mp3.read_bytes()
    )
    unify([f"folder:{folder}"], output=folder.parent / "unified.json")
    return folder.parent / "unified.json"


def test_the_tags_are_all_there(unified: Path) -> None:
    tracks = {Path(track.audio_path).suffix: track for track in read_tracks(unified)}
    assert set(tracks) == {".flac", ".ogg", ".opus", ".mp3"}
    for ending, track in tracks.items():
        assert (track.title, track.artist, track.genre) == (TAGS["title"], "Zoë & the Tabs", "Jazz"), ending
        assert track.extra == {"album": TAGS["album"], "comment": TAGS["comment"], "year": "1998"}, ending
        assert track.license == ("unknown" if ending == ".mp3" else "CC-BY-4.0"), ending
        assert "piano" in track.tags and "piano" in track.caption
        assert track.duration == pytest.approx(1, abs=0.1)
    assert tracks[".mp3"].tags == ["sad", "wistful", "piano"]
    assert tracks[".mp3"].caption == "A sad, wistful Jazz track featuring piano"


def fields(track: Track) -> dict[str, object]:
    return {name: getattr(track, name) for name in track.__struct_fields__ if name != "audio_path"}


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "parquet"])
def test_through_files(unified: Path, tmp_path: Path, ending: str) -> None:
    there = convert(unified, tmp_path / f"there.{ending}")
    back = convert(there, tmp_path / "back.json")
    assert read_tracks(back) == read_tracks(unified)


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
def test_through_folders_with_the_music(unified: Path, tmp_path: Path, to: str) -> None:
    folder = convert(unified, tmp_path / "there", to=to, with_audio=True)
    back = {track.id: track for track in read_tracks(convert(folder, tmp_path / "back.json", with_audio=True))}
    tracks = read_tracks(unified)
    assert back.keys() == {track.id for track in tracks}
    for track in tracks:
        assert fields(back[track.id]) == fields(track)
        assert Path(back[track.id].audio_path).read_bytes() == Path(track.audio_path).read_bytes()
        (here, rate_hz), (there, rate_there_hz) = (
            soundfile.read(path, dtype="float32") for path in (track.audio_path, back[track.id].audio_path)
        )
        assert rate_hz == rate_there_hz and np.array_equal(here, there)


def test_the_unpacked_music_is_a_folder_of_tagged_files_again(unified: Path, tmp_path: Path) -> None:
    folder = convert(unified, tmp_path / "there", to="webdataset")
    convert(folder, tmp_path / "back.json", with_audio=True)
    unify([f"folder:{tmp_path / 'back_audio'}"], output=tmp_path / "again.json")
    names = ("title", "artist", "genre", "tags", "caption", "license", "duration", "extra", "artist_id")

    def said(path: Path) -> list[list[object]]:
        return sorted([[getattr(track, name) for name in names] for track in read_tracks(path)], key=repr)

    assert said(tmp_path / "again.json") == said(unified)


def test_what_goes_to_hugging_face_is_a_data_set_of_it(unified: Path, tmp_path: Path) -> None:
    folder = convert(unified, tmp_path / "there", to="huggingface", with_audio=True)
    unify([f"hf:{folder}"], output=tmp_path / "again.json")
    again = {Path(track.audio_path).read_bytes(): track for track in read_tracks(tmp_path / "again.json")}
    for track in read_tracks(unified):
        found = again[Path(track.audio_path).read_bytes()]
        for name in ("caption", "title", "artist", "genre", "tags", "license", "duration"):
            assert getattr(found, name) == getattr(track, name), name
