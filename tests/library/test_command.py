"""`unisono library` as a person types it, and the search that asks the library where nothing else is named."""

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.conftest import DspModel, sing
from unisono.audio import ffmpeg
from unisono.base.errors import UsageError
from unisono.commands import library as command
from unisono.library import watch
from unisono.library.library import Library, open_all


def test_from_the_first_folder_to_a_search(typed, music: Path, tmp_path: Path) -> None:
    code, out, _ = typed("library", "add", str(music))
    assert code == 0
    assert "Bring in its music with: unisono library sync" in out
    code, out, _ = typed("library", "sync", "--dry-run")
    assert "6 tracks would be added" in out
    assert "Nothing was changed" in out
    code, out, _ = typed("library", "sync")
    assert code == 0
    assert "6 tracks embedded" in out
    code, out, _ = typed("search", "calm guitar", "--top", "2", "--json")
    assert code == 0, out
    (found,) = json.loads(out)
    assert found["searched"] == 6
    assert found["hits"][0]["library"] == "music"
    assert Path(found["hits"][0]["audio_path"]).is_file()
    (music / "album 0/0.flac").unlink()
    code, out, _ = typed("library", "sync", "--json")
    assert json.loads(out)["sources"][0]["removed"] == ["album 0/0.flac"]
    code, out, _ = typed("library", "undo")
    assert "Brought back 1 track" in out
    code, out, _ = typed("library", "remove", str(music))
    assert "with 6 tracks" in out
    code, out, err = typed("library", "sync")
    assert code == 2
    assert "unisono library add" in err


def test_a_sync_that_is_not_complete_fails_and_says_why(typed, music: Path) -> None:
    typed("library", "add", str(music))
    typed("library", "sync")
    music.rename(music.parent / "away")
    code, _, err = typed("library", "sync")
    assert code == 1
    assert "cannot be read" in err
    assert "--remove-missing" in err
    code, out, _ = typed("library", "status", "--json")
    assert json.loads(out)["sources"][0]["tracks"] == 6


def test_what_cannot_be_played_is_listed_with_what_to_do(
    typed, music: Path, monkeypatch: pytest.MonkeyPatch, with_ffmpeg: None
) -> None:
    from tests.audio.test_ffmpeg import made
    from tests.broken_audio import music as sound

    made(music / "a.m4a", sound(2), "aac")
    typed("library", "add", str(music))
    monkeypatch.setattr(ffmpeg, "is_here", lambda: False)
    code, out, _ = typed("library", "sync")
    assert code == 0
    assert "6 tracks embedded" in out
    code, out, _ = typed("library", "status", "--faults")
    assert "a.m4a: AAC or ALAC in MP4 (m4a): needs ffmpeg" in out
    assert "apt install ffmpeg" in out
    code, out, _ = typed("library", "sync")
    assert "0 tracks embedded" in out
    monkeypatch.undo()
    monkeypatch.setattr(Library, "load_model", lambda self, device="cpu": DspModel())
    monkeypatch.chdir(music.parent)
    code, out, _ = typed("library", "sync")
    assert "1 track embedded" in out
    code, out, _ = typed("library", "status", "--json")
    assert json.loads(out)["faults"] == []


def test_watching_brings_in_what_arrives(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Library.open(tmp_path / "data/library", create=True) as library:
        library.add(music)

    def looks(folders: list[Path], *_: object) -> Iterator[None]:
        yield
        sing(folders[0] / "arrived.flac", 40)
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "looks", looks)
    command.watch_library(options=command.SyncOptions(data_root=tmp_path / "data"))
    with Library.open(tmp_path / "data/library") as library:
        assert len(library.collection()) == 7


@pytest.mark.parametrize("watched", [True, False])
def test_a_change_is_seen_long_before_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    monkeypatch.setattr(watch, "QUIET_S", 0.05)
    if not watched:
        monkeypatch.setitem(sys.modules, "watchfiles", None)
    (tmp_path / "data").mkdir()
    looks = watch.looks([tmp_path], 3600 if watched else 0.01, tmp_path / "data")
    next(looks)
    changes = [threading.Timer(at, (tmp_path / name).touch) for at, name in ((0.5, "data/x.sqlite"), (1.5, "a.flac"))]
    for change in changes:
        change.start()
    next(looks)
    assert (tmp_path / "a.flac").exists() == watched, "what is written in the ignored folder is no reason to look"
    for change in changes:
        change.cancel()


def test_libraries_for_different_models_are_not_mixed(tmp_path: Path, music: Path, typed) -> None:
    typed("library", "add", str(music))
    sing(tmp_path / "other/0.flac", 1)
    typed("library", "add", str(tmp_path / "other"), "--library", "other")
    with Library.open("data/library", "other") as other:
        other.catalogue.put_setting("model", "clap")
    code, _, err = typed("search", "words")
    assert code == 2
    assert "different models" in err
    with pytest.raises(UsageError, match="There is no library 'nothing'"):
        open_all(Path("data/library"), ["nothing"])


def test_an_unknown_model_is_refused_with_the_known_ones(typed, music: Path) -> None:
    code, _, err = typed("library", "add", str(music), "--model", "tgas")
    assert code == 2
    assert "tags" in err


def test_a_folder_that_is_not_there_begins_no_library(typed, tmp_path: Path) -> None:
    code, _, err = typed("library", "add", str(tmp_path / "nowhere"))
    assert code == 2
    assert "There is no folder" in err
    assert not (tmp_path / "data").exists()


def test_a_search_before_the_first_sync_says_what_to_do(typed, music: Path) -> None:
    typed("library", "add", str(music))
    code, _, err = typed("search", "calm guitar")
    assert code == 1
    assert "unisono library sync" in err
