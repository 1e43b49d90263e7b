"""A unified file is made again exactly when something that it is made of has changed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.releases import audio, musicbench
from unisono.base.errors import UsageError
from unisono.curation.unchanged import unify_if_changed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    musicbench.build(tmp_path / "raw" / "musicbench")
    return tmp_path


def was_run(data: Path, **settings: Any) -> bool:
    report = unify_if_changed(["musicbench"], output=data / "out/unified.json", data_root=data, **settings)
    return report is not None


def test_what_changes_it(data: Path) -> None:
    output, release = data / "out/unified.json", data / "raw" / "musicbench"
    assert was_run(data)
    first = output.read_bytes()
    assert not was_run(data)
    assert not was_run(data, workers=1, resume=True), "that has no effect on what is written"
    (release / ".download").mkdir()
    (release / ".download" / "download.log").write_text("asked again")
    assert not was_run(data), "a download's own files are no part of the release"
    assert was_run(data, seed=1)
    assert was_run(data) and not was_run(data)
    output.write_bytes(first + b" ")
    assert was_run(data) and output.read_bytes() == first
    output.unlink()
    assert was_run(data) and output.read_bytes() == first
    audio.tone(release / "datashare" / "data" / "bbbbbbbbbbb.wav", 2, 300)
    assert was_run(data), "a file that was broken is there now"
    assert len(json.loads(output.read_bytes())) == len(json.loads(first)) + 1
    (release / "datashare" / "data" / "ccccccccccc.wav").unlink()
    assert was_run(data)
    os.utime(release / "MusicBench_train.json", (1, 1))
    assert was_run(data) and not was_run(data)
    output.with_suffix(".inputs.json").write_text("{")
    assert was_run(data)


def test_a_run_that_fails_is_not_remembered(data: Path) -> None:
    (data / "raw" / "musicbench").rename(data / "raw" / "elsewhere")
    for _ in range(2):
        with pytest.raises(UsageError, match="The release of musicbench is not in"):
            was_run(data)
    assert not (data / "out/unified.inputs.json").exists()


def test_an_unknown_argument_is_refused(data: Path) -> None:
    with pytest.raises(UsageError, match="seed"):
        was_run(data, sed=1)
