"""A recipe's table as users' tables are: odd bytes, odd columns, odd cells. Nothing crashes, every row is accounted for."""

import csv
import gzip
import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.releases import audio
from unisono.base.errors import DataError, UnisonoError
from unisono.base.tally import Dropped
from unisono.curation.unify import unify as run
from unisono.sources import registry as datasets
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track

RECIPE = """
table = "t.{ending}"
audio_root = "clips"
audio = "{{file}}.wav"
[columns]
caption = "text"
tags = "tags"
duration = "length"
start = "from"
end = "to"
split = "part"
year = "year"
"""
COLUMNS = ("file", "text", "tags", "length", "from", "to", "part", "year")
COMMON = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}


def write_recipe(folder: Path, ending: str = "csv") -> str:
    (folder / "mine.toml").write_text(RECIPE.format(ending=ending))
    return str(folder / "mine.toml")


def parse(recipe: str) -> list[Track | Dropped]:
    return list(datasets.get(recipe).records(Path(recipe).parent))


def unify(recipe: str) -> tuple[list[Track], dict[str, Any]]:
    output = Path(recipe).with_name("out.json")
    run([recipe], output=output)
    return read_tracks(output), json.loads(output.with_suffix(".report.json").read_text())


cells = st.one_of(
    st.sampled_from(
        ["", "nan", "1e999", "-1", "0", "1.0", "1e12", "&amp; &#39;x&#39; <b>", "['a', 'b']", "[__import__('os')]", '"',
         "a,b", "x\r\ny", "\x00", "=1+1", "../../etc/passwd", "/abs", "test", "TRAIN", "1999-01-01"]
    ),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=6),
)  # fmt: skip


@settings(max_examples=80, **COMMON)  # type: ignore[arg-type]
@given(
    rows=st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)), min_size=1, max_size=5),
    order=st.permutations([*COLUMNS, "extra", "another"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_any_table_of_text_is_read_or_explained(
    tmp_path: Path, rows: list[dict[str, str]], order: list[str], encoding: str, line_end: str, quoting: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, order, restval="more", lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(rows)
    (tmp_path / "t.csv").write_bytes(text.getvalue().encode(encoding, errors="replace"))
    try:
        items = parse(write_recipe(tmp_path))
    except DataError as error:
        assert "t.csv" in error.message
        return
    tracks = [item for item in items if isinstance(item, Track)]
    assert len(items) <= text.getvalue().count("\n") + text.getvalue().count("\r"), "lines: a bare CR ends one, too"
    assert len({track.id for track in tracks}) == len(tracks)
    for track in tracks:
        assert 0 <= track.duration < 1e6 and 0 <= track.start < 1e6
        assert track.split in (None, "train", "val", "test")
        assert track.audio_path.endswith(".wav")


@settings(max_examples=60, **COMMON)  # type: ignore[arg-type]
@given(content=st.binary(max_size=200), ending=st.sampled_from(["csv", "tsv", "json", "jsonl", "parquet", "arrow"]))
def test_any_bytes_are_read_or_explained(tmp_path: Path, content: bytes, ending: str) -> None:
    (tmp_path / f"t.{ending}").write_bytes(content)
    try:
        items = parse(write_recipe(tmp_path, ending))
    except UnisonoError as error:
        assert f"t.{ending}" in error.message
    else:
        assert all(isinstance(item, (Dropped, Track)) for item in items)


@settings(max_examples=40, **COMMON)  # type: ignore[arg-type]
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*COLUMNS, "extra"]),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), cells),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)
                ),
                max_leaves=4,
            ),
        ),
        max_size=4,
    ),
    st.sampled_from(["json", "jsonl"]),
)
def test_any_objects_are_read_or_explained(tmp_path: Path, rows: list[dict[str, Any]], ending: str) -> None:
    text = json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows))
    (tmp_path / f"t.{ending}").write_text(text)
    try:
        items = parse(write_recipe(tmp_path, ending))
    except DataError as error:
        assert "columns found" in error.message or f"t.{ending}" in error.message
    else:
        assert len(items) <= len(rows)


def test_what_becomes_of_every_row(tmp_path: Path) -> None:
    for name in ("1", "2", "dup", "sub/deep"):
        audio.tone(tmp_path / "clips" / f"{name}.wav", 1, 300)
    audio.broken(tmp_path / "clips" / "empty.wav", "empty")
    audio.broken(tmp_path / "clips" / "page.wav", "not audio")
    (tmp_path / "clips" / "lfs.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "clips" / "stub.wav").symlink_to("nowhere.wav")
    audio.tone(tmp_path / "clips" / "other.flac", 1, 300)
    (tmp_path / "clips" / "pickle.wav").write_bytes(gzip.compress(pickle.dumps(os.getcwd)))
    table = """text,unused,file,tags,length,from,to,part,year
One & only &amp; more,x,1,,,,,,
"Two, with ""quotes""
and a line",x,2.0,,1e12,,,,
,x,1.5,,,,,,
Same,x,dup,,,,,,
Same again,x,dup,,,,,,
Deep,x,sub/deep,,,,,,
,x,dup,,,,,,
No caption,x,missing,,,,,,
Nothing,x,empty,,,,,,
A page,x,page,,,,,,
A pointer,x,lfs,,,,,,
A stub,x,stub,,,,,,
Another kind,x,other,,,,,,
A pickle,x,pickle,,,,,,
Outside,x,../mine,,,,,,
Too,few,cells
"""
    (tmp_path / "t.csv").write_bytes(("\ufeff" + table).encode())
    tracks, report = unify(write_recipe(tmp_path))
    assert {track.audio_path.removeprefix(f"{tmp_path}/clips/"): track.texts for track in tracks} == {
        "1.wav": ["One & only &amp; more"],
        "dup.wav": ["Same", "Same again"],
        "sub/deep.wav": ["Deep"],
    }
    assert report["reasons"] == {
        "audio file empty": 1,
        "audio file missing": 5,
        "malformed row": 2,
        "not an audio file": 3,
    }
    assert report["came"] == {"mine": 14}, "rows of one file are one track"
    assert sum(report["kept"].values()) + len(report["dropped"]) == 14


def test_ids_that_became_floats(tmp_path: Path) -> None:
    audio.tone(tmp_path / "clips" / "7.wav", 1, 300)
    columns = {name: [""] for name in COLUMNS} | {"file": [7.0], "text": ["Seven"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    ((track,), _) = unify(write_recipe(tmp_path, "parquet"))
    assert track.id == "mine_7.wav"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"t.{ending}").write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(DataError, match=f"t.{ending}"):
        parse(write_recipe(tmp_path, ending))
