"""Catalogues that are damaged, newer, locked, or worked on by two; and syncs that are killed."""

import os
import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.forked import start, wait
from tests.library.conftest import sing
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.library import catalogue
from unisono.library.library import Library

KILLS = 30


def state(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what a catalogue holds, without times and revisions."""
    with closing(sqlite3.connect(root / "music.sqlite")) as db:
        tracks = db.execute(
            "SELECT number, key, size, content, removed IS NULL, fault, facts FROM tracks ORDER BY number"
        )
        embeddings = db.execute("SELECT content, encoder, starts_s, vectors FROM embeddings ORDER BY content")
        return {"tracks": tracks.fetchall(), "embeddings": embeddings.fetchall()}


def changed_folder(folder: Path) -> None:
    """Make changes of every kind."""
    (folder / "0.flac").rename(folder / "moved.flac")
    (folder / "1.flac").unlink()
    sing(folder / "2.flac", 70)
    for number in range(80, 86):
        sing(folder / f"new/{number}.flac", number)


def sync(root: Path) -> None:
    with Library.open(root) as library:
        library.sync()
    raise SystemExit(0)


def prepared(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Make a library that knows eight tracks, of which some have changed since."""
    music, root = folder / "music", folder / "libraries"
    for number in range(8):
        sing(music / f"{number}.flac", number)
    with Library.open(root, create=True) as library:
        library.add(music)
        library.sync()
    changed_folder(music)
    return music, root


def test_killed_at_any_moment_the_next_sync_ends_as_if_nothing_had_been(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(catalogue, "WAIT_S", 5.0)
    monkeypatch.setattr("unisono.library.embed.SAVED_EVERY_S", 0.02)
    monkeypatch.setattr("unisono.library.sync.LOT", 3)
    _, root = prepared(tmp_path)
    before = {path.name: path.read_bytes() for path in root.iterdir() if path.suffix == ".sqlite"}
    began = os.times().elapsed
    assert wait(start(lambda: sync(root)), 60) == 0
    whole_s = os.times().elapsed - began
    promised = state(root)
    assert len(promised["tracks"]) == 14
    moments = random.Random(0)
    hit = 0
    for _ in range(KILLS):
        for path in root.iterdir():
            path.unlink()
        for name, content in before.items():
            (root / name).write_bytes(content)
        process = start(lambda: sync(root))
        if wait(process, moments.uniform(0, whole_s)) is None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            hit += 1
        assert wait(start(lambda: sync(root)), 60) == 0
        assert state(root) == promised
    assert hit, "no kill hit the work"


def test_two_syncs_at_once(tmp_path: Path) -> None:
    _, root = prepared(tmp_path)
    with Library.open(root) as library, Library.open(root) as other:
        with library._alone(), pytest.raises(UnisonoError, match="Another process is working"):
            other.sync()
        other.sync()
        assert len(library.collection()) == 13, "what the other brought in is there"


def test_a_newer_catalogue_is_refused(tmp_path: Path) -> None:
    Library.open(tmp_path, create=True).close()
    with closing(sqlite3.connect(tmp_path / "music.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="newer version"):
        Library.open(tmp_path)


@pytest.mark.parametrize("left", [0, 50, 5000])
def test_a_catalogue_that_is_cut_short_is_refused(tmp_path: Path, left: int) -> None:
    _, root = prepared(tmp_path)
    path = root / "music.sqlite"
    path.write_bytes(path.read_bytes()[:left])
    if left == 0:  # SQLite takes an empty file for a new one
        with Library.open(root) as library, pytest.raises(UsageError, match="is empty"):
            library.sync()
        return
    with pytest.raises(DataError, match="damaged") as error, Library.open(root) as library:
        library.sync()
    assert "unisono library add" in error.value.hint


def test_another_file_is_no_catalogue(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "music.sqlite")) as db:
        db.execute("CREATE TABLE a (b)")
    with pytest.raises(DataError, match="no catalogue"):
        Library.open(tmp_path)
    (tmp_path / "music.sqlite").write_text("words " * 1000)
    with pytest.raises(DataError, match="damaged"):
        Library.open(tmp_path)


def test_a_catalogue_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "WAIT_S", 0.1)
    _, root = prepared(tmp_path)
    with closing(sqlite3.connect(root / "music.sqlite", isolation_level=None)) as db, Library.open(root) as library:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnisonoError, match="held by another program"):
            library.sync()
        db.execute("ROLLBACK")
        assert library.sync().embedding.embedded == 7


@pytest.mark.parametrize("name", ["../music", "", ".hidden", "a/b"])
def test_a_library_has_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        Library.open(tmp_path, name, create=True)


def test_packed_states_that_were_altered_are_read_from_the_rows(tmp_path: Path) -> None:
    _, root = prepared(tmp_path)
    with Library.open(root) as library:
        library.sync()
        library.sync()
        library.catalogue._ask("UPDATE states SET packed = x'ff00'")
        report = library.sync()
        assert report.sources[0].known == report.sources[0].listed == 13
        assert not (report.sources[0].added or report.sources[0].removed)
