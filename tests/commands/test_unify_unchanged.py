"""A unified file is made anew exactly when something that it is made of has changed."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.releases import audio, musicbench
from unisono.base.errors import UsageError
from unisono.commands import unify_unchanged as unchanged
from unisono.commands.unify import run
from unisono.commands.unify_options import UnifyOptions


@pytest.fixture
def options(tmp_path: Path) -> UnifyOptions:
    musicbench.build(tmp_path / "raw" / "musicbench")
    return UnifyOptions(datasets=("musicbench",), data_root=tmp_path, output=tmp_path / "out" / "unified.json")


@pytest.fixture
def was_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[UnifyOptions], bool]:
    runs: list[UnifyOptions] = []

    def counted(options: UnifyOptions) -> None:
        runs.append(options)
        run(options)

    monkeypatch.setattr(unchanged, "run", counted)

    def ask(options: UnifyOptions) -> bool:
        before = len(runs)
        unchanged.run_if_changed(options)
        return len(runs) > before

    return ask


def test_what_changes_it(options: UnifyOptions, was_run: Callable[[UnifyOptions], bool]) -> None:
    output, release = options.output_path, options.data_root / "raw" / "musicbench"
    assert was_run(options)
    first = output.read_bytes()
    assert not was_run(options)
    assert not was_run(replace(options, workers=1, continue_=True)), "that has no effect on what is written"
    (release / ".download").mkdir()
    (release / ".download" / "download.log").write_text("asked again")
    assert not was_run(options), "a download's notes are no part of the release"
    assert was_run(replace(options, seed=1))
    assert was_run(options) and not was_run(options)
    output.write_bytes(first + b" ")
    assert was_run(options) and output.read_bytes() == first
    output.unlink()
    assert was_run(options) and output.read_bytes() == first
    audio.tone(release / "datashare" / "data" / "bbbbbbbbbbb.wav", 2, 300)
    assert was_run(options), "a file that was broken is there now"
    assert len(json.loads(output.read_bytes())) == len(json.loads(first)) + 1
    (release / "datashare" / "data" / "ccccccccccc.wav").unlink()
    assert was_run(options)
    os.utime(release / "MusicBench_train.json", (1, 1))
    assert was_run(options) and not was_run(options)
    output.with_suffix(".inputs.json").write_text("{")
    assert was_run(options)


def test_a_run_that_fails_is_not_remembered(options: UnifyOptions, was_run: Callable[[UnifyOptions], bool]) -> None:
    (options.data_root / "raw" / "musicbench").rename(options.data_root / "raw" / "elsewhere")
    for _ in range(2):
        with pytest.raises(UsageError, match="The release of musicbench is not in"):
            was_run(options)
    assert not options.output_path.with_suffix(".inputs.json").exists()
