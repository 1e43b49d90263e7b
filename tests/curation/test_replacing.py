"""A mix that somebody held out or sampled is replaced on demand only; any other is, and the log says what differs."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_unify import unify as unify_command
from tests.releases import song_describer
from unisono.base.errors import UsageError
from unisono.curation.unify import unify


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    song_describer.build(folder / "raw/song_describer")
    return folder


def make(data: Path, output: Path, **options: Any) -> None:
    unify(["song_describer"], output=output, data_root=data, check_audio=False, **options)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ({"hold_out": ["song_describer"]}, {}, "hold_out song_describer (now none)"),
        (
            {"hold_out": ["song_describer"]},
            {"hold_out": ["song_describer"], "match": ["text"]},
            "match none (now text)",
        ),
        ({"max_samples": 2}, {"max_samples": 3}, "max_samples 2 (now 3)"),
        ({"max_samples": 2, "seed": 1}, {"max_samples": 2, "seed": 2}, "seed 1 (now 2)"),
        ({"samples_per_dataset": 2}, {}, "samples_per_dataset 2 (now none)"),
    ],
)
def test_a_chosen_mix_is_replaced_on_demand_only(
    data: Path, tmp_path: Path, before: dict[str, Any], after: dict[str, Any], named: str
) -> None:
    output = tmp_path / "x.json"
    make(data, output, **before)
    content, report = output.read_bytes(), (tmp_path / "x.report.json").read_bytes()
    with pytest.raises(UsageError) as refused:
        make(data, output, **after)
    assert named in refused.value.message and "overwrite" in refused.value.hint
    assert (output.read_bytes(), (tmp_path / "x.report.json").read_bytes()) == (content, report)
    make(data, output, **after, dry_run=True)
    make(data, output, **after, overwrite=True)
    make(data, output, **after)  # what it was replaced with is what is there now
    assert "overwrite" not in (tmp_path / "x.report.json").read_text()


def test_another_mix_is_replaced_and_the_log_says_so(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "x.json"
    make(data, output, min_duration=1)
    with caplog.at_level(logging.WARNING):
        make(data, output, hold_out=["song_describer"])
    assert "min_duration 1 (now none)" in caplog.text and "hold_out none (now song_describer)" in caplog.text


@pytest.mark.parametrize("options", [{}, {"hold_out": ["song_describer"], "max_samples": 2}])
def test_the_same_options_replace_silently(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    for workers in (1, 2):
        with caplog.at_level(logging.WARNING):
            make(data, tmp_path / "x.json", **options, workers=workers)
    assert "replaced" not in caplog.text


@pytest.mark.parametrize("report", [None, "", "[]", '{"options": 1}', '{"options": [1]}'])
def test_a_file_without_a_usable_report_is_replaced_and_the_log_says_so(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, report: str | None
) -> None:
    (tmp_path / "x.json").write_text("[]")
    if report is not None:
        (tmp_path / "x.report.json").write_text(report)
    with caplog.at_level(logging.WARNING):
        make(data, tmp_path / "x.json")
    assert "no report" in caplog.text


def test_the_command_line_asks_for_overwrite(data: Path, tmp_path: Path) -> None:
    words = ("--datasets", "song_describer", "--data-root", data, "--output", tmp_path / "x.json", "--no-check-audio")
    unify_command(*words, "--max-samples", 2)
    assert "--overwrite" in unify_command(*words, code=2)
    unify_command(*words, "--overwrite")
    assert "replaced" not in unify_command(*words)


def test_a_folder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(UsageError, match=r"x\.json is a folder"):
        unify(["fma"], output=tmp_path / "x.json", data_root=tmp_path / "nothing")
