"""`unisono run`: recipes do only what has changed, continue when killed, and name their mistakes by line."""

import json
import os
import time
from pathlib import Path

import pytest

from tests import loaded
from tests.retrieval.train.synthetic import write_embeddings
from unisono.base.errors import UnisonoError
from unisono.commands import recipe
from unisono.commands.run import _check_values, _options_of
from unisono.retrieval.checkpoint import load

RECIPE = """
about = "A test."
[estimate]
tracks = 36
audio-hours = 0.1
[prepare]
encoders = ["dsp"]
dataset-file = "unified.json"
[train]
data-dir = "embeddings"
audio-encoder = "musicnn"
epochs = 3
hidden = 16
[[evaluate]]
split = "test"
data-dir = "embeddings"
[[evaluate]]
split = "val"
data-dir = "embeddings"
"""
TRAINED = RECIPE.replace('[prepare]\nencoders = ["dsp"]\ndataset-file = "unified.json"\n', "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_embeddings(tmp_path / "embeddings", (24, 6, 6))
    (tmp_path / "mine.toml").write_text(TRAINED)
    return tmp_path


def start(folder: Path, *words: str) -> loaded.Program:
    environment = os.environ | {"UNISONO_CAPTIONS": str(folder / "captions")}
    return loaded.start("-m", "unisono", "run", "mine.toml", *words, cwd=folder, env=environment)


def run(folder: Path, *words: str) -> str:
    program = start(folder, *words)
    out, err = program.communicate()
    assert program.returncode == 0, err
    return out


def test_a_run_does_what_has_changed_and_continues_where_it_was_killed(folder: Path):
    of_run = folder / "data" / "runs" / "mine"
    killed = start(folder)
    while killed.poll() is None and not (of_run / "checkpoints" / "musicnn_best.pt").exists():
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert not (of_run / "report.md").exists(), "killed too late"
    out = run(folder)
    assert "$ unisono train --data-dir embeddings --audio-encoder musicnn --epochs 3" in out
    assert "--overwrite" not in out and "unchanged" not in out.partition("2/3")[2]
    assert load(of_run / "checkpoints" / "musicnn_best.pt").options["run_name"] == "mine"
    assert "| run\\_name | mine |" in (of_run / "checkpoints" / "musicnn_card.md").read_text()
    report = (of_run / "report.md").read_text()
    assert "text to music: " in report and "| evaluate 2 | done |" in report

    before = {path: path.stat().st_mtime_ns for path in of_run.rglob("*.[jp][st]*")}
    assert run(folder).count("unchanged since") == 3
    assert before == {path: path.stat().st_mtime_ns for path in of_run.rglob("*.[jp][st]*")}

    (of_run / "evaluate_2.json").unlink()
    assert run(folder).count("unchanged since") == 2
    (folder / "mine.toml").write_text(TRAINED.replace("epochs = 3", "epochs = 2"))
    assert "--overwrite" in run(folder) and json.loads((of_run / "run.json").read_text())["train"]["finished"]
    assert load(of_run / "checkpoints" / "musicnn_last.pt").progress["epoch"] == 2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[train]", "[trian]", "line 9: there is no stage 'trian'. Did you mean 'train'"),
        ("epochs = 3", "epoch = 3", "line 12: there is no option of train 'epoch'. Did you mean 'epochs'"),
        ("epochs = 3", "epochs = 'many'", "line 12: "),
        ('"dsp"', '"dspp"', "line 7: There is no audio encoder 'dspp'. Did you mean 'dsp'"),
        ('"musicnn"', '"musicn"', "line 11: There is no audio encoder 'musicn'. Did you mean 'musicnn'"),
        ("tracks = 36", "traks = 36", "line 4: there is no key 'traks'. Did you mean 'tracks'"),
        (
            "[prepare]",
            "[unify]\ndatasets=['fmaa']\n[prepare]",
            "line 7: There is no dataset 'fmaa'. Did you mean 'fma'",
        ),
        ("split = 'val'", "split = 'vall'", ""),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, before: str, after: str, said: str):
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE.replace('"val"', "'val'").replace(before, after))
    with pytest.raises(UnisonoError, match=r"mine\.toml, line ") as caught:
        _check_values(recipe.read(path, tmp_path, _options_of))
    assert said in str(caught.value)


def test_embeddings_that_are_made_in_another_way_have_a_folder_of_their_own(tmp_path: Path):
    folders = set()
    for more in ("", "pooling = 'stats'", "keep-windows = true", "workers = 2"):
        (tmp_path / "mine.toml").write_text(RECIPE.replace("[train]\ndata-dir", f"{more}\n[train]\ndata-dir"))
        found = recipe.read(tmp_path / "mine.toml", tmp_path, _options_of)
        folders.add(found.stages[0].output.parent)
    assert len(folders) == 3


def test_the_recipes_that_come_with_unisono_can_be_run(tmp_path: Path):
    names = [path.stem for path in recipe.shipped()]
    assert names == ["demo", "open-commercial", "open-research"]
    for name in names:
        found = recipe.read(recipe.find(name), tmp_path, _options_of)
        _check_values(found)
        assert found.about and "?" not in found.costs_in_words()
        assert found.stages[-1].verb == "evaluate"
        held_out = [stage.options.get("hold_out") for stage in found.stages if stage.verb == "unify"]
        assert name == "demo" or held_out == [["song_describer"]]
