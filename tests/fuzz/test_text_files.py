"""Damaged tables, unified files, recipes and archives: tracks, rows left out with a reason, or an error in words."""

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.fuzz.rounds import damaged, run
from tests.making import make_track
from tests.releases import audio
from tests.sources.download.archives import pack, tree
from unisono.base.errors import DataError, UnisonoError
from unisono.base.tally import Dropped
from unisono.commands.settings import config_of
from unisono.sources import registry
from unisono.sources.cells import is_text
from unisono.sources.download.unpack import Unpacker
from unisono.tracks.convert import convert
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track

ROWS = [
    {"file": f"{n}.wav", "text": f"slow piano, number {n}, café", "tags": ["a", "b"], "start": 1.5, "split": "train"}
    for n in range(6)
]
RECIPE = """
table = "t.{ending}"
audio = "{{file}}"
license = "CC BY 4.0"
[columns]
caption = "text"
tags = "tags"
start = "start"
split = "split"
"""


def _as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


def _as_arrow(rows: list[dict[str, Any]]) -> bytes:
    sink, table = pa.BufferOutputStream(), pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


TABLES: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "csv": _as_csv,
    "tsv": lambda rows: _as_csv(rows, "\t"),
    "json": lambda rows: json.dumps(rows).encode(),
    "jsonl": lambda rows: b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows),
    "parquet": _as_parquet,
    "arrow": _as_arrow,
}


@pytest.mark.parametrize("ending", TABLES)
def test_tables(tmp_path: Path, ending: str) -> None:
    content, table, recipe = TABLES[ending](ROWS), tmp_path / f"t.{ending}", tmp_path / "t.toml"
    recipe.write_text(RECIPE.format(ending=ending))

    def trial(chance: random.Random) -> None:
        table.write_bytes(damaged(content, chance))
        try:
            items = list(registry.get(str(recipe)).records(tmp_path))
        except UnisonoError as error:
            assert error.message and is_text(error.message)
            return
        for item in items:
            assert isinstance(item, (Track, Dropped))
            if isinstance(item, Track):
                assert all(is_text(caption.text) for caption in item.captions) and is_text(item.audio_path)

    run(trial, 80)


def test_recipes_and_files_of_options(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(_as_csv(ROWS))

    def trial(chance: random.Random) -> None:
        path = tmp_path / chance.choice(["t.toml", "t.json"])
        plain = RECIPE.format(ending="csv") if path.suffix == ".toml" else json.dumps({"options": {"seed": 3}})
        path.write_bytes(damaged(plain.encode(), chance))
        for read in (lambda: list(registry.get(str(path)).records(tmp_path)), lambda: config_of(path, ("unify",))):
            try:
                read()
            except UnisonoError as error:
                assert error.message

    run(trial, 100)


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet", "csv"])
def test_unified_files(tmp_path: Path, ending: str) -> None:
    tracks = [
        make_track(id=f"d_{n}", audio_path=f"/{n}.wav", caption="café", alt_captions=["x"], duration=3, tags=["a"])
        for n in range(5)
    ]
    write_tracks(tmp_path / "whole.json", tracks)
    path, back = tmp_path / f"a.{ending}", tmp_path / "back.json"
    convert(tmp_path / "whole.json", path)
    content = path.read_bytes()

    def trial(chance: random.Random) -> None:
        path.write_bytes(damaged(content, chance))
        try:
            if ending == "csv":
                convert(path, back)
                read_tracks(back)
                return
            found = read_tracks(path)
        except UnisonoError as error:
            assert f"a.{ending}" in error.message
            return
        write_tracks(back, found)
        assert read_tracks(back) == found

    run(trial, 80)


@pytest.mark.parametrize("kind", ["stored.zip", "deflated.zip", "tar", "tar.gz", "7z"])
def test_archives(tmp_path: Path, kind: str) -> None:
    files = {"in/a.txt": b"words " * 300, "b.bin": bytes(range(256)) * 4}
    path, folder = tmp_path / f"a.{kind}", tmp_path / "out"
    content = pack(files, path)

    def trial(chance: random.Random) -> None:
        path.write_bytes(damaged(content, chance))
        try:
            Unpacker(path, folder, limit=1 << 20).run()
        except DataError as error:
            assert str(path) in error.message
        assert sorted(tmp_path.iterdir()) in ([path], [path, folder])
        for inner in sorted(folder.rglob("*"), reverse=True):
            inner.rmdir() if inner.is_dir() else inner.unlink()

    run(trial, 60)
    path.write_bytes(content)
    Unpacker(path, folder, limit=1 << 20).run()
    assert tree(folder) == files


def test_tags(tmp_path: Path) -> None:
    whole = {}
    for ending in ("mp3", "flac", "ogg", "wav", "aiff"):
        audio.tone(tmp_path / f"x.{ending}", 0.3, 440)
        whole[ending] = (tmp_path / f"x.{ending}").read_bytes()
        (tmp_path / f"x.{ending}").unlink()
    frames = (
        b"TCON\0\0\0\x09\0\0\x03Jazz\0Pop" + b"TIT2\0\0\0\x04\0\0\x01\xff\xfeA" + b"COMM\0\0\0\x0b\0\0\x03eng\0calm x"
    )
    whole["mp3"] = b"ID3\4\0\0\0\0\0" + bytes([len(frames)]) + frames + whole["mp3"]

    def trial(chance: random.Random) -> None:
        ending = chance.choice(sorted(whole))
        path = tmp_path / f"{chance.choice('ab')}.{ending}"
        path.write_bytes(damaged(whole[ending], chance))
        for item in registry.get(f"folder:{tmp_path}").records(tmp_path):
            assert isinstance(item, (Track, Dropped))
            if isinstance(item, Track):
                assert all(map(is_text, (item.title, item.artist, item.genre, *item.tags)))
        path.unlink()

    run(trial, 150)
