"""A library follows its folders: what is new, moved, tagged again, replaced, gone and back; nothing is embedded twice."""

import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.library.conftest import DspModel, sing
from tests.planted import retag_mp3
from unisono.base.errors import UsageError
from unisono.library.catalogue import Catalogue
from unisono.library.gathered import Gathered
from unisono.library.library import Library


def paths(library: Library) -> dict[str, int]:
    return {track.path: track.number for track in library.catalogue.tracks()}


def gathered(catalogues: dict[str, Catalogue], model: Any) -> Gathered:
    return Gathered(catalogues, model)


def contents(library: Library) -> set[bytes]:
    return library.catalogue.contents(1)


def test_everything_comes_in_and_a_second_sync_does_nothing(library: Library, music: Path) -> None:
    report = library.sync()
    (changes,) = report.sources
    assert len(changes.added) == 6
    assert report.embedding.embedded == 6
    assert len(library.collection()) == 6
    revision = library.catalogue.revision()
    again = library.sync()
    assert again.embedding.embedded == 0
    assert library.catalogue.revision() == revision, "nothing is written"
    assert not again.problems


def test_a_move_keeps_the_track_and_its_embedding(library: Library, music: Path) -> None:
    library.sync()
    before = paths(library)
    (music / "album 0/0.flac").rename(music / "else.flac")
    shutil.move(music / "album 1", music / "a/b")
    report = library.sync()
    (changes,) = report.sources
    assert ("album 0/0.flac", "else.flac") in changes.moved
    assert len(changes.moved) == 4
    assert (changes.added, changes.removed, report.embedding.embedded) == ([], [], 0)
    after = paths(library)
    assert after["else.flac"] == before["album 0/0.flac"]
    assert after["a/b/4.flac"] == before["album 1/4.flac"]
    assert len(library.collection()) == 6


def test_tags_that_are_written_anew_are_the_same_music(library: Library, music: Path) -> None:
    sound, rate_hz = soundfile.read(music / "album 0/0.flac")
    soundfile.write(music / "x.mp3", sound, rate_hz, format="MP3")
    library.sync()
    number = paths(library)["x.mp3"]
    retag_mp3(music / "x.mp3", music / "y.mp3")
    (music / "y.mp3").replace(music / "x.mp3")
    report = library.sync()
    assert report.sources[0].retagged == ["x.mp3"]
    assert report.embedding.embedded == 0
    track = library.catalogue.numbered([number])[number]
    assert track.facts.title != "x"
    found = next(each for each in library.collection().tracks if each.number == number)
    assert found.title == track.facts.title


def test_other_music_under_the_same_name_is_embedded(library: Library, music: Path) -> None:
    library.sync()
    sing(music / "album 0/0.flac", 77)
    report = library.sync()
    assert report.sources[0].replaced == ["album 0/0.flac"]
    assert report.embedding.embedded == 1


def test_what_is_gone_goes_and_comes_back_without_being_embedded_again(library: Library, music: Path) -> None:
    library.sync()
    before = paths(library)
    (music / "album 0/0.flac").rename(music.parent / "kept.flac")
    (changes,) = library.sync().sources
    assert changes.removed == ["album 0/0.flac"]
    assert len(library.collection()) == 5
    assert library.status().removed == 1
    (music.parent / "kept.flac").rename(music / "album 0/0.flac")
    report = library.sync()
    assert report.sources[0].restored == ["album 0/0.flac"]
    assert report.embedding.embedded == 0
    assert paths(library) == before
    (music / "album 0/0.flac").rename(music.parent / "kept.flac")
    library.sync()
    (music.parent / "kept.flac").rename(music / "under another name.flac")
    assert library.sync().sources[0].restored == ["under another name.flac"]
    assert paths(library)["under another name.flac"] == before["album 0/0.flac"]


def test_copies_are_embedded_once(library: Library, music: Path) -> None:
    shutil.copy(music / "album 0/0.flac", music / "copy.flac")
    report = library.sync()
    assert report.embedding.embedded == 6
    assert len(library.collection()) == 7


@pytest.mark.parametrize("seed", range(4))
def test_after_any_changes_the_library_is_what_the_folder_is(library: Library, music: Path, seed: int) -> None:
    """Deletes, moves, copies, replacements and additions in any order: the same tracks, and each music embedded once."""
    source = random.Random(seed)
    made = 100 * (seed + 1)
    seen: set[bytes] = set()
    total = 0
    for _ in range(8):
        report = library.sync(remove_missing=True)
        total += report.embedding.embedded
        there = sorted(path.relative_to(music).as_posix() for path in music.rglob("*.flac"))
        assert sorted(paths(library)) == there
        found = library.collection().tracks
        assert {Path(track.audio_path).relative_to(music).as_posix() for track in found} == set(there)
        seen |= {track.content for track in library.catalogue.tracks() if track.content}
        assert total == len(seen), "each music once"
        for _ in range(source.randint(1, 4)):
            files = sorted(music.rglob("*.flac"))
            action = source.choice(["add", "add", "delete", "move", "copy", "replace", "swap"])
            made += 1
            new = music / f"{source.choice('abc')}/{made}.flac"
            new.parent.mkdir(exist_ok=True)
            if action == "add" or len(files) < 2:
                sing(new, made)
            elif action == "delete":
                source.choice(files).unlink()
            elif action == "move":
                source.choice(files).rename(new)
            elif action == "copy":
                shutil.copy(source.choice(files), new)
            elif action == "replace":
                sing(source.choice(files), made)
            else:
                one, other = source.sample(files, 2)
                one.rename(new), other.rename(one), new.rename(other)
    fresh = gathered({"music": library.catalogue}, DspModel()).collection()
    grown = library.collection()
    assert [track.id for track in grown.tracks] == [track.id for track in fresh.tracks]
    np.testing.assert_allclose(grown.vectors[:], fresh.vectors[:], atol=1e-6)
    np.testing.assert_array_equal(grown.windows.of, fresh.windows.of)


def test_a_dry_run_says_what_a_sync_does_and_writes_nothing(library: Library, music: Path) -> None:
    library.sync()
    (music / "album 0/0.flac").rename(music / "moved.flac")
    (music / "album 0/1.flac").unlink()
    sing(music / "album 1/3.flac", 50)
    sing(music / "new.flac", 51)
    revision = library.catalogue.revision()
    told = library.sync(dry_run=True)
    assert library.catalogue.revision() == revision
    assert told.sources == library.sync().sources


@pytest.mark.parametrize("empty", [False, True])
def test_a_folder_that_lost_most_of_its_tracks_removes_nothing(library: Library, music: Path, empty: bool) -> None:
    library.sync()
    for path in sorted(music.rglob("*.flac"))[: 6 if empty else 4]:
        path.unlink()
    report = library.sync()
    assert len(report.sources[0].kept) == (6 if empty else 4)
    assert "nothing is removed" in report.problems[0]
    assert len(paths(library)) == 6
    believed = library.sync(remove_missing=True)
    assert not believed.problems
    assert len(paths(library)) == (0 if empty else 2)


def test_a_folder_that_is_away_changes_nothing(library: Library, music: Path) -> None:
    library.sync()
    music.rename(music.parent / "unmounted")
    report = library.sync(remove_missing=True)
    assert "cannot be read" in report.problems[0]
    assert len(paths(library)) == 6


def test_what_lies_in_an_unreadable_folder_stays(
    library: Library, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.sync()
    (music / "album 0/0.flac").unlink()
    real = os.scandir

    def refuse(path):
        if str(path).endswith("album 1"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = library.sync()
    assert report.sources[0].removed == ["album 0/0.flac"]
    assert "Permission denied" in report.problems[0]
    assert len(paths(library)) == 5


def test_a_removal_can_be_undone_for_thirty_days(library: Library, music: Path) -> None:
    library.sync()
    (music / "album 0/0.flac").unlink()
    library.sync()
    assert [track.path for track in library.undo()] == ["album 0/0.flac"]
    assert len(library.collection()) == 6
    assert library.sync().sources[0].removed == [], "it stays until it is seen again"
    library.remove(music)
    assert len(library.collection()) == 0
    assert len(library.undo()) == 6
    assert len(library.collection()) == 6
    library.remove(music)
    catalogue = library.catalogue
    catalogue._ask("UPDATE tracks SET removed = '2020-01-01' WHERE number = 1")
    catalogue.forget_old()
    assert catalogue.count("number = 1") == 0
    assert len(contents(library)) == 5
    assert len(library.undo()) == 5


def test_names_in_any_bytes_and_files_that_play_nothing(library: Library, music: Path) -> None:
    odd = os.fsencode(music) + b"/\xff\xfe caf\xe9.flac"
    shutil.copy(music / "album 0/0.flac", os.fsdecode(odd))
    Path(os.fsdecode(os.fsencode(music) + b"/broken \xff.mp3")).write_bytes(b"nothing" * 100)
    (music / "short.wav").write_bytes(sing(music.parent / "s.wav", 9, 0.2).read_bytes())
    report = library.sync()
    assert {fault.reason for _, fault in report.embedding.faults} == {"too short"}
    status = library.status()
    assert {track.fault for track in status.faults} == {"too short", "not an audio file"}
    assert status.sources[0].embedded == 7
    found = next(track for track in library.collection().tracks if "caf" in track.title)
    assert os.fsencode(found.audio_path) == odd
    assert Path(found.audio_path).is_file()
    assert library.sync().embedding.embedded == 0
    os.rename(odd, music / "now.flac")  # noqa: PTH104
    assert len(library.sync().sources[0].moved) == 1


def test_an_endless_tag_does_not_fill_the_catalogue(library: Library, music: Path) -> None:
    sound, rate_hz = soundfile.read(music / "album 0/0.flac")
    with soundfile.SoundFile(music / "endless.flac", "w", rate_hz, 1) as file:
        file.title = "x" * 100_000
        file.write(sound)
    library.sync()
    (track,) = (track for track in library.catalogue.tracks() if track.path == "endless.flac")
    assert track.facts.title == "x" * 499 + "…"


def test_two_libraries_are_searched_as_one(library: Library, music: Path, tmp_path: Path) -> None:
    library.sync()
    sing(tmp_path / "books/one.flac", 60)
    with Library.open(tmp_path / "libraries", "books", create=True) as other:
        other.add(tmp_path / "books")
        other.sync()
        both = gathered({"music": library.catalogue, "books": other.catalogue}, DspModel(compares_tracks=True))
        assert sorted({track.library for track in both.collection().tracks}) == ["books", "music"]
        (music / "album 0/0.flac").unlink()
        library.sync()
        sing(tmp_path / "books/two.flac", 61)
        other.sync()
        assert [track.id for track in both.collection().tracks] == [f"music:{n}" for n in range(2, 7)] + [
            "books:1",
            "books:2",
        ]
        assert both.collection() is both.collection()


def test_a_folder_within_another_is_refused(library: Library, music: Path) -> None:
    with pytest.raises(UsageError, match="one in the other"):
        library.add(music / "album 0")
    with pytest.raises(UsageError, match="There is no folder"):
        library.add(music.parent / "nowhere")
    assert not library.add(music), "it is there already"


def test_a_file_that_cannot_be_read_now_is_said_and_found_later(
    library: Library, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = music / "album 0/0.flac"
    real = Path.open

    def open_file(self: Path, *words: Any, **more: Any):
        if self == refused:
            raise PermissionError(13, "Permission denied")
        return real(self, *words, **more)

    monkeypatch.setattr(Path, "open", open_file)
    report = library.sync()
    assert report.sources[0].unread == ["album 0/0.flac"]
    assert report.embedding.embedded == 5
    monkeypatch.setattr(Path, "open", real)
    assert library.sync().sources[0].added == ["album 0/0.flac"]


def test_a_folder_whose_name_is_no_text(library: Library, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    sing(tmp_path / "a.flac", 30).rename(folder / "a.flac")
    library.add(folder)
    library.sync()
    assert not library.add(folder)
    found = next(track for track in library.collection().tracks if track.title == "a")
    assert Path(found.audio_path) == folder / "a.flac"


def test_what_was_brought_back_is_not_looked_into_again(
    library: Library, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.sync()
    library.remove(music)
    library.undo()
    monkeypatch.setattr("unisono.library.sync.look", lambda path: pytest.fail("it was opened"))
    assert len(library.sync().sources[0].restored) == 6
    revision = library.catalogue.revision()
    library.sync()
    assert library.catalogue.revision() == revision
