"""`kill -9` at any moment of `convert`, and a disk that is full: the output is whole or absent."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.test_convert import convert, make
from tests.conftest import REPOSITORY
from tests.loaded import python, unisono
from unisono.base.files import partial_path
from unisono.tracks.convert import convert as convert_tracks
from unisono.tracks.files import read_tracks

KILLS = 6
COMMANDS = {
    "csv": ("unified.json", "out.csv"),
    "parquet": ("unified.json", "out.parquet"),
    "webdataset": ("unified.json", "out", "--to", "webdataset", "--shard-size", "1"),
    "huggingface": ("unified.json", "out", "--to", "huggingface", "--with-audio", "--shard-size", "1"),
    "unpack": ("shards", "back.json", "--with-audio"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments(tmp_path: Path, name: str) -> None:
    tracks = make(tmp_path, 60)
    if name == "unpack":
        convert(tmp_path / "unified.json", tmp_path / "shards", to="webdataset")
    source, target, *options = COMMANDS[name]
    seed = random.randrange(1000)
    words = ["convert", str(tmp_path / source), str(tmp_path / target), *options]
    done = python("-m", "tests.killed", tmp_path / target, KILLS, seed, *words, cwd=REPOSITORY)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    if name == "unpack":
        held = {track.id: Path(track.audio_path).read_bytes() for track in tracks}
        back = read_tracks(tmp_path / target)
        assert {track.id: Path(track.audio_path).read_bytes() for track in back} == held
        assert len(list((tmp_path / "back_audio").iterdir())) == len({track.audio_path for track in back})


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_leaves_nothing(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    if name == "unpack":
        convert(tmp_path / "unified.json", tmp_path / "shards", to="webdataset")
    source, target, *options = COMMANDS[name]
    words = ["convert", str(tmp_path / source), str(tmp_path / target), *options]
    done = unisono(*words, most_bytes=2000)
    assert done.returncode == 1, done.stdout
    assert "Cannot write" in done.stderr and "Traceback" not in done.stderr and "Unexpected" not in done.stderr
    assert not (tmp_path / target).exists()
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")]
    assert unisono(*words).returncode == 0


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    make(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = partial_path(tmp_path / "out").name
    host = mine.removesuffix(".partial").rpartition(".")[2].rpartition("-")[0]
    stale, busy, foreign = (tmp_path / f".out.{name}.partial" for name in (f"{host}-{gone.pid}", f"{host}-1", "feed-2"))
    for folder in (stale, busy, foreign):
        (folder / "data").mkdir(parents=True)
    convert_tracks(tmp_path / "unified.json", tmp_path / "out", to="webdataset")
    assert not stale.exists(), "its process is no more"
    assert busy.exists(), "its process runs"
    assert foreign.exists(), "its process may run on another host"
