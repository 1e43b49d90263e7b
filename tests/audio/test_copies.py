"""Copies of a file are known by its hash, and no more is read than that takes."""

from pathlib import Path

import pytest

from tests.audio.test_listening import run
from tests.commands.test_dedupe import track
from unisono.audio import copies as same_files
from unisono.audio.copies import FileSizes
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track


def written(folder: Path) -> dict[str, Track]:
    """Write files: b is a copy of a, c has its size, d its size and its middle."""
    content = bytes(range(256)) * 400
    files = {
        "a": content,
        "b": content,
        "c": content[::-1],
        "d": b"x" + content[1:],
        "e": content[:-1],
        "empty": b"",
        "nothing": b"",
    }
    for name, its_content in files.items():
        (folder / name).write_bytes(its_content)
    return {name: track(name, audio_path=str(folder / name)) for name in [*files, "gone"]}


def hashes_of_copies(tracks: list[Track]) -> dict[str, str]:
    sizes = FileSizes()
    sizes.look(tracks)
    return sizes.hashes_of_copies(lambda: tracks)


def test_only_copies_have_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = written(tmp_path)
    known = track("known", audio_path=str(tmp_path / "a"), sha256="ff")
    read = []
    sha256 = same_files._sha256
    monkeypatch.setattr(same_files, "_sha256", lambda path: read.append(Path(path).name) or sha256(path))
    hashes = hashes_of_copies([*tracks.values(), known])
    assert hashes == dict.fromkeys((str(tmp_path / "a"), str(tmp_path / "b")), sha256(str(tmp_path / "a")))
    assert sorted(read) == ["a", "b", "d"]
    assert hashes_of_copies([]) == {}


def test_one_file_in_two_records_needs_no_hash(tmp_path: Path) -> None:
    tracks = [written(tmp_path)["a"], track("again", audio_path=str(tmp_path / "a"))]
    assert hashes_of_copies(tracks) == {}


def test_leaks_and_dedupe_find_copied_files(tmp_path: Path) -> None:
    tracks = written(tmp_path)
    write_tracks(tmp_path / "train.json", [tracks["a"], tracks["c"], tracks["gone"]])
    write_tracks(tmp_path / "benchmark.json", [tracks["b"], tracks["d"]])
    said = run("leaks", tmp_path / "train.json", tmp_path / "benchmark.json", "--match", "ids", "sha256", code=1)
    assert "1 of the 3 records" in said and "--match ids sha256 --remove" in said
    run("leaks", tmp_path / "train.json", tmp_path / "benchmark.json", "--remove")
    assert read_tracks(tmp_path / "train.clean.json") == [tracks["c"], tracks["gone"]]
    write_tracks(tmp_path / "all.json", tracks.values())
    assert f"{len(tracks) - 1} records left" in run("dedupe", tmp_path / "all.json")
