"""The benchmarks run: each says what it does, and those of training, metrics, search and experiments at tiny sizes."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import experiments, search, train
from tests.conftest import REPOSITORY
from tests.making import make_track
from tests.retrieval.train.synthetic import use_words, write_embeddings
from unisono.embeddings.file import open_embeddings
from unisono.tracks.files import write_tracks
from unisono.tracks.track import SPLITS

BENCHMARKS = sorted((REPOSITORY / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_it_says_how_to_run_it(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_metrics():
    words = "--queries 60 --sorted-queries 20 --candidates 80 --dim 8"
    command = [sys.executable, REPOSITORY / "benchmarks" / "metrics.py", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for method in ("floor  ", "unisono", "argsort"):
        assert any(line.startswith(method) and line.endswith(" MB") for line in done.stdout.splitlines())
    assert "unisono / floor: " in done.stdout and "argsort / unisono: " in done.stdout
    assert "sum of the ranks of 20 queries" in done.stdout and "DIFFER" not in done.stdout


def test_search(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["search.py", "--tracks", "30", "50", "--dim", "8"])
    search.main()
    assert [line.split(":")[0].strip() for line in capsys.readouterr().out.splitlines()] == ["30 x 8", "50 x 8"]


def test_train(capsys: pytest.CaptureFixture[str]):
    train.step_over_products(16, 8, 8)
    train.loader(2000, 8, 32, 3)
    train.usual(2, 4, 8)
    step, loader, usual = capsys.readouterr().out.splitlines()
    assert "ratio" in step and "ratio" in loader
    assert float(usual.split("losses agree to ")[1]) < 1e-5


def test_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    use_words(monkeypatch, tmp_path / "captions")
    path = write_embeddings(tmp_path / "processed_embeddings", windows=2)
    tracks = []
    with open_embeddings(path) as file:
        for split in SPLITS:
            rows = file.read(split)
            for row, id in enumerate(rows.ids):
                captions = [rows.captions[at] for at in np.flatnonzero(rows.caption_of == row)]
                origin = rows.caption_origin[2 * row]
                genre, tags = rows.tags[row][0], rows.tags[row]
                tracks.append(
                    make_track(id=id, audio_path="/", caption=captions[0], alt_captions=captions[1:], duration=10,
                          genre=genre, tags=tags, caption_origin=origin)
                )  # fmt: skip
    write_tracks(tmp_path / "unified_dataset.json", tracks)
    monkeypatch.setattr(experiments, "EPOCHS", 2)
    monkeypatch.setattr(experiments, "VARIANTS", experiments.VARIANTS[:2])
    monkeypatch.setattr(experiments, "RESAMPLES", 20)
    chosen = [each for each in experiments.CAPTIONS if each.captions == ("keywords",)]
    monkeypatch.setattr(experiments, "CAPTIONS", chosen)
    monkeypatch.setattr(sys, "argv", ["experiments", "--root", str(tmp_path), "--seeds", "1"])
    experiments.main()
    shown = capsys.readouterr().out
    assert shown.count("1 seeds") == 2
    for variant in (*experiments.VARIANTS, *experiments.CAPTIONS):
        assert f"| {variant.topic} | {variant.name} |" in shown
    assert shown.count("+0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0)") >= 3  # what is compared with itself
    with (
        open_embeddings(tmp_path / "experiments" / "captions_keywords") as few,
        open_embeddings(tmp_path / "experiments" / "captions_keywords_of_all") as of_all,
        open_embeddings(path) as before,
    ):
        for file in (few, of_all):
            assert file.read("test").captions == before.read("test").captions
        assert few.read("train").caption_origin.count("human") == before.read("train").caption_origin.count("human")
        assert set(of_all.read("train").caption_origin) == {"tags"}
