"""`unify` as a function: it prints nothing, returns what it did, and says misuse in words."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_unify import unify as unify_command
from tests.releases import fma, song_describer
from unisono.base.errors import UnisonoError, UsageError
from unisono.captions.language_model import LanguageModel
from unisono.curation.collection import read_tracks
from unisono.curation.datasets import dataset, list_datasets
from unisono.curation.unify import unify
from unisono.curation.unify_report import UnifyFailedError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fma.build(folder / "raw/fma")
    song_describer.build(folder / "raw/song_describer")
    return folder


def test_it_prints_nothing(data: Path, tmp_path: Path) -> None:
    code = f"import unisono; unisono.unify(['song_describer'], output='x.jsonl', data_root={str(data)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(read_tracks(tmp_path / "x.jsonl")) == 4


def test_it_returns_what_the_report_says(data: Path, tmp_path: Path) -> None:
    report = unify(["fma", "song_describer"], output=str(tmp_path / "x.json"), data_root=data)
    written = json.loads((tmp_path / "x.report.json").read_bytes())
    tracks = read_tracks(report.output)
    assert report.tracks == len(tracks) == report.datasets["all"].tracks
    assert {name: written["datasets"][name]["tracks"] for name in written["datasets"]} == {
        name: kept.tracks for name, kept in report.datasets.items()
    }
    assert written["reasons"] == dict(report.dropped)
    assert report.found("all") == report.tracks + report.dropped.total()
    assert report.datasets["song_describer"].captions == {
        "human": sum(len(each.captions) for each in tracks if each.dataset == "song_describer")
    }
    assert (report.report, report.log) == (tmp_path / "x.report.json", tmp_path / "x.log")
    said = repr(report)
    assert f"{report.tracks:,} tracks in {tmp_path / 'x.json'}" in said and "dropped: audio file missing" in said
    assert "<table" in report._repr_html_() and "song_describer" in report._repr_html_()


def test_the_command_writes_the_same_bytes_and_records_the_same_options(data: Path, tmp_path: Path) -> None:
    unify(["fma"], output=tmp_path / "a.json", data_root=data, captions=["varied", "keywords"], max_samples=3, seed=5)
    words = [
        "--datasets",
        "fma",
        "--data-root",
        data,
        "--captions",
        "varied",
        "keywords",
        "--max-samples",
        "3",
        "--seed",
        "5",
    ]
    unify_command(*words, "--output", tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    first, second = (json.loads((tmp_path / f"{name}.report.json").read_bytes())["options"] for name in "ab")
    assert first | {"output": ""} == second | {"output": ""}
    assert list(first) == list(second)
    assert first["captions"] == ["varied", "keywords"] and first["llm_workers"] == 4 and first["continue_"] is False


def test_a_dry_run_writes_nothing(data: Path, tmp_path: Path) -> None:
    report = unify(["fma"], output=tmp_path / "x.json", data_root=data, dry_run=True)
    assert report.tracks == 4 and report.report is None and "to be written to" in repr(report)
    assert list(tmp_path.iterdir()) == []


def test_the_output_has_a_default(tmp_path: Path) -> None:
    fma.build(tmp_path / "raw/fma")
    assert unify(data_root=tmp_path).output == tmp_path / "unified_dataset.json"


def test_what_fails_still_tells_what_was_found(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UnifyFailedError, match=r"No track is left\. Dropped: .*4 shorter than 500 s") as error:
        unify(["fma"], output=tmp_path / "x.json", data_root=data, min_duration=500)
    assert error.value.report.dropped["shorter than 500 s"] == 4
    assert not (tmp_path / "x.json").exists() and (tmp_path / "x.report.json").exists()
    with pytest.raises(UnifyFailedError, match="tracks were dropped for a fault"):
        unify(["fma"], output=tmp_path / "x.json", data_root=data, strict=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"datasets": "fma"}, "datasets must be a sequence or None, found 'fma'"),
        ({"datasets": ["nonsense"]}, "There is no dataset 'nonsense'"),
        ({"output": "x.txt"}, "a unified file ends in .json, .jsonl or .parquet"),
        ({"max_samples": 0}, "max_samples must be at least 1 or None, found 0"),
        ({"min_duration": -1}, "min_duration must be at least 0"),
        ({"min_duration": 9, "max_duration": 3}, "min_duration 9 is above the maximum duration 3"),
        ({"stratify_by": "mood"}, "stratify_by must be one of 'dataset', 'duration'"),
        ({"captions": ["templat"]}, "Did you mean 'template'"),
        ({"captions": ["llm"]}, "captions llm needs a model"),
        ({"captions": ["llm"], "llm": {"model": "x"}}, "llm must be a LanguageModel or None"),
        ({"match": ["colour"]}, "match must be a sequence of items"),
        ({"match": ["audio"], "check_audio": False}, "match audio needs audio files"),
        ({"keep_splits": "x.json", "assign_splits": False}, "keep_splits changes nothing if no splits are assigned"),
        (
            {"dataset_options": {"fmaa": {"split": 1}}},
            "dataset_options names 'fmaa', which is not a dataset. Did you mean 'fma'",
        ),
        ({"licences": ["cc-by"]}, "Did you mean 'licenses'"),
        ({"licenses": ["mit"]}, "'mit' is not a known licence"),
    ],
)
def test_misuse_is_said_in_words(data: Path, tmp_path: Path, arguments: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"datasets": ["fma"], "output": tmp_path / "x.json", "data_root": data}
    with pytest.raises(UsageError) as error:
        unify(**given | arguments)
    assert said in str(error.value)
    assert not list(tmp_path.iterdir())


def test_settings_of_a_language_model_are_checked() -> None:
    for settings in ({"model": 3}, {"modes": "writing"}, {"modes": ("poem",)}, {"workers": 0}):
        with pytest.raises(UsageError, match=f"llm_{next(iter(settings))} must be"):
            LanguageModel(**settings)


def test_one_dataset_is_read_with_what_was_dropped(data: Path) -> None:
    tracks = dataset("fma").read(data / "raw/fma")
    assert sorted(each.id for each in tracks) == ["fma_10", "fma_140", "fma_2", "fma_5"]
    assert tracks == dataset("fma").read(data_root=data)
    assert tracks.dropped is not None and tracks.dropped.reasons()["audio file missing"] == 1
    assert tracks.dropped.came["fma"] == len(tracks) + tracks.dropped.reasons().total()
    assert len(dataset("fma").read(data / "raw/fma", check_audio=False)) > len(tracks)


def test_datasets_have_options_of_their_own(data: Path, tmp_path: Path) -> None:
    root = data / "raw/song_describer"
    everything, valid = (dataset("song_describer").read(root, valid_only=only) for only in (False, True))
    assert 0 < sum(len(each.captions) for each in valid) < sum(len(each.captions) for each in everything)
    report = unify(
        ["song_describer"],
        output=tmp_path / "x.json",
        data_root=data,
        assign_splits=False,
        dataset_options={"song_describer": {"valid_only": True}},
    )
    assert read_tracks(report.output) == valid
    options = json.loads((tmp_path / "x.report.json").read_bytes())["options"]
    assert options["valid_only"] is True and options["mtg_split"] == 0
    with pytest.raises(UsageError, match="valid_only must be"):
        dataset("song_describer").read(root, valid_only="yes")


def test_datasets_are_listed_with_what_is_known_of_them() -> None:
    listed = list_datasets()
    assert [each.name for each in listed] == sorted(each.name for each in listed)
    assert "Song Describer" in repr(listed) and "<table" in listed._repr_html_()
    song = dataset("song_describer")
    assert song.tracks == 706 and "1,106 by people" in repr(song) and "evaluation only" in repr(song)
    with pytest.raises(AttributeError):
        _ = song.colour


def test_misuse_of_a_dataset_is_said_in_words(data: Path, tmp_path: Path) -> None:
    for call, said in (
        (lambda: dataset("fmaa"), "There is no dataset 'fmaa'"),
        (lambda: dataset(3), "name must be a text, found 3"),  # type: ignore[arg-type]
        (lambda: dataset("fma").read(tmp_path), "The release of fma is not in"),
        (lambda: dataset("fma").read(data / "raw/fma", speed=3), "fma has no option 'speed'"),
        (lambda: dataset("fma").read(data / "raw/fma", workers=0), "workers must be at least 1"),
    ):
        with pytest.raises(UnisonoError, match=said):
            call()
