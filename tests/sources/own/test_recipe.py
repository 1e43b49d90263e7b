import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.making import make_track
from tests.releases import audio
from unisono.base.errors import DataError, UsageError
from unisono.base.tally import Dropped
from unisono.curation.unify import unify
from unisono.sources import own as intake
from unisono.sources import registry as datasets
from unisono.sources.base import HubFiles
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track

RECIPE = """
table = "captions.{ending}"
audio_root = "clips"
audio = "{{file}}.mp3"
recording = "youtube:{{file}}"
license = "CC BY 4.0"
[columns]
id = "clip"
caption = ["text", "text_2"]
artist = "performer"
tags = "words"
start = "from"
end = "to"
split = "part"
"""
ROWS: list[dict[str, Any]] = [
    {"clip": "a", "file": "x/one", "text": "First", "text_2": "Second", "performer": "Ann", "words": "piano; Ann, sad",
     "from": 0, "to": 10, "part": "train"},
    {"clip": "a", "file": "x/one", "text": "Third", "text_2": "", "performer": "Ann", "words": "", "from": 0, "to": 10,
     "part": "train"},
    {"clip": "b", "file": "two", "text": "['One', 'Two']", "text_2": "One", "performer": "", "words": "", "from": 2.5,
     "to": 7, "part": "Validation"},
    {"clip": "c", "file": "", "text": "Nowhere", "text_2": "", "performer": "", "words": "", "from": 0, "to": 1, "part": ""},
]  # fmt: skip


def write(folder: Path, ending: str, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"captions.{ending}"
    if ending in ("csv", "tsv"):
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if ending == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif ending == "jsonl":
        table.write_text("\n".join(map(json.dumps, rows)))
    elif ending == "json":
        table.write_text(json.dumps(rows))
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    recipe = folder / "mine.toml"
    recipe.write_text(RECIPE.format(ending=ending))
    return recipe


def read(recipe: Path) -> list[Track | Dropped]:
    dataset = datasets.get(str(recipe))
    return list(dataset.records(dataset.root or recipe.parent))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_kind_of_table_says_the_same(tmp_path: Path, ending: str) -> None:
    recipe = write(tmp_path, ending, ROWS)
    nowhere, one, two = read(recipe)
    assert isinstance(nowhere, Dropped) and nowhere.reason == "no audio named"
    assert one == make_track(
        id="mine_a",
        audio_path="x/one.mp3",
        caption="First",
        alt_captions=["Second", "Third"],
        duration=10,
        dataset="mine",
        artist="Ann",
        tags=["piano", "sad"],
        license="CC BY 4.0",
        recording="youtube:x/one",
        artist_id="mine-artist:ann",
        split="train",
        caption_origin="human",
    )
    assert isinstance(two, Track)
    assert (two.texts, two.start, two.duration, two.split) == (["One", "Two"], 2.5, 4.5, "val")
    dataset = datasets.get(str(recipe))
    assert dataset.root == tmp_path / "clips" and dataset.is_excerpt(two)


def test_lists_and_objects_in_cells(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('table = "t.jsonl"\naudio = "{id}.wav"\n[columns]\nid = "id"\ncaption = ["a", "b"]\ntags = "t"')
    row = {"id": 7.0, "a": ["x", "y"], "b": {"mood": "sad", "tempo": "slow"}, "t": ["piano", "sad"]}
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + '\n{"id": 8, "a": null, "b": null, "t": null}\n')
    first, second = read(recipe)
    assert isinstance(first, Track) and isinstance(second, Track)
    assert (first.id, first.audio_path) == ("mine_7", "7.wav")
    assert first.texts == ["x", "y", "sad", "slow"]
    assert second.captions == ()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_a_column_that_is_not_there_is_explained(tmp_path: Path, ending: str) -> None:
    recipe = write(tmp_path, ending, ROWS)
    recipe.write_text(recipe.read_text().replace('"performer"', '"performers"'))
    with pytest.raises(DataError) as error:
        read(recipe)
    assert "there is no column 'performers', which the recipe names; columns found: " in error.value.message
    assert "performer" in error.value.message and error.value.hint == "Did you mean 'performer'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table = ", "not valid TOML"),
        ('table = "t.csv"\naudio = "{a}"\nname = "../../up"\n[columns]\n', "expected letters, digits and underscores"),
        ('table = "t.csv"\naudio = "{a}"\nname = "/etc"\n[columns]\n', "expected letters, digits and underscores"),
        ('table = "x.csv"', "missing required field `audio`"),
        ('table = "x.csv"\naudio = "{a}"\ntabel = 3\n[columns]', "unknown field `tabel`"),
        ('table = "x.csv"\naudio = "{a}"\n[columns]\ncaptions = "x"', "unknown field `captions`"),
        ('table = "x.csv"\naudio = 3\n[columns]', "Expected `str`, got `int`"),
        ('table = "x.csv"\naudio = "{a}"\ncaption_origin = "robot"\n[columns]', "Invalid enum value 'robot'"),
    ],
)
def test_mistakes_in_a_recipe_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        datasets.get(str(tmp_path / "mine.toml"))


def test_a_missing_recipe_or_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no recipe"):
        datasets.get(str(tmp_path / "mine.toml"))
    (tmp_path / "mine.toml").write_text('table = "x.csv"\naudio = "{a}"\n[columns]')
    with pytest.raises(DataError, match=r"x\.csv: the table of the recipe 'mine' is missing"):
        read(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text('table = "mine.toml"\naudio = "{a}"\n[columns]')
    with pytest.raises(UsageError, match="a table ends in"):
        read(tmp_path / "mine.toml")


def test_a_template_reaches_nothing_but_columns(tmp_path: Path) -> None:
    recipe = write(tmp_path, "csv", ROWS)
    recipe.write_text(recipe.read_text().replace("{file}.mp3", "{file.__class__}.mp3"))
    with pytest.raises(DataError, match=r"there is no column 'file\.__class__'"):
        read(recipe)


values = st.one_of(
    st.none(), st.integers(-5, 5), st.floats(), st.text(max_size=8), st.lists(st.text(max_size=4), max_size=2)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(ROWS[0], values)), min_size=1, max_size=5))
def test_hostile_rows_are_read_or_dropped(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows = [{name: None if value != value else value for name, value in row.items()} for row in rows]
    try:
        items = read(write(tmp_path, "jsonl", rows))
    except DataError as error:  # one id for two files: the only rows for which nothing of the table is read
        one, other = (rows[int(line) - 1] for line in re.findall(r"captions\.jsonl:(\d+)", str(error)))
        assert "have the id" in str(error) and one["clip"] == other["clip"] and one["file"] != other["file"]
        return
    assert len({item.id for item in items}) == len(items)
    for item in items:
        if isinstance(item, Track):
            assert item.duration >= 0 and item.audio_path.endswith(".mp3")
            assert all(text.strip() for text in item.texts)


@pytest.mark.parametrize("name", intake.recipe_names())
def test_shipped_recipes(name: str, tmp_path: Path) -> None:
    dataset = datasets.get(name)
    assert dataset.name == name and dataset.root is None and dataset.homepage.startswith("https://")
    with pytest.raises(DataError, match=r"there is no .* in it; found: nothing"):
        list(dataset.records(tmp_path))
    assert all(isinstance(files, HubFiles) and not files.repo.endswith(".py") for files in dataset.files)


def test_a_shipped_recipe_reads_its_table(tmp_path: Path) -> None:
    row = {
        "youtube_id": "zUzd9KyIDrM",
        "youtube_url": "https://youtu.be/zUzd9KyIDrM",
        "generated_quotes_captions": ["Loud", "Fast"],
        "generated_structured_captions": {"mood": "angry", "tempo": None}, "discogs_release_id": 3,
    }  # fmt: skip
    (tmp_path / "allmusiccaps.jsonl").write_text(json.dumps(row))
    (track,) = datasets.get("allmusiccaps").records(tmp_path)
    assert isinstance(track, Track)
    assert (track.texts, track.recording) == (["Loud", "Fast", "angry"], "youtube:zUzd9KyIDrM")


@pytest.mark.parametrize(("name", "table"), [("musicsem", "train.csv"), ("enrich_music4all", "data/x.parquet")])
def test_shipped_recipes_read_the_columns_of_their_cards(tmp_path: Path, name: str, table: str) -> None:
    rows = [
        {
            "unique_id": "4iV5", "thread": "LetsTalkMusic", "spotify_link": "https://x", "song": "Alpha", "artist": "Ann",
            "raw_text": "raw", "prompt": "Sad piano", "descriptive": "['piano', 'sad']",
        }
        if name == "musicsem"
        else {
            "track_id": "0a1B", "tag_list": ["piano", "sad"], "pseudo_caption": "Sad piano", "title": "Alpha",
            "artist_name": "Ann", "release": "Beta", "m4a_genres": "pop,rock", "m4a_tags": "",
        }
    ]  # fmt: skip
    path = tmp_path / "raw" / name / table
    path.parent.mkdir(parents=True)
    if table.endswith(".csv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    upstream_id = rows[0].get("unique_id") or rows[0]["track_id"]
    audio.tone(tmp_path / "raw" / name / "audio" / f"{upstream_id}.mp3", 1, 300)
    unify([name], data_root=tmp_path)
    (track,) = read_tracks(tmp_path / "unified_dataset.json")
    assert (track.id, track.caption, track.title, track.artist) == (
        f"{name}_{upstream_id}",
        "Sad piano",
        "Alpha",
        "Ann",
    )
    assert track.captions[0].origin == "model" and {"piano", "sad"} <= set(track.tags)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError) as error:
        datasets.get("musik")
    assert "song_describer" in error.value.hint and "allmusiccaps" in error.value.hint and "folder:" in error.value.hint


def test_paths_that_are_no_dataset_by_themselves_are_explained(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,text\n")
    for name, hint in ((f"{tmp_path}", f"folder:{tmp_path}"), (f"{tmp_path}/t.csv", "needs a recipe.* t.toml")):
        with pytest.raises(UsageError) as refused:
            datasets.get(name)
        assert re.search(hint, refused.value.hint)


def test_a_misspelt_key_of_a_recipe_has_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text('table = "t.csv"\naudio = "{file}"\n[colums]\ncaption = "text"\n')
    with pytest.raises(UsageError, match=r"unknown field `colums`.*Did you mean 'columns'"):
        datasets.get(str(tmp_path / "t.toml"))
