"""`unisono sweep` as users type it: resumable, the same whatever is interrupted, and mistakes named by line."""

import os
import time
from pathlib import Path

import pytest

from tests import loaded
from tests.retrieval.train.synthetic import use_words, write_embeddings
from unisono.base.errors import UnisonoError
from unisono.retrieval.sweep.plan import read_plan
from unisono.retrieval.sweep.run import RESULT, sweep

FILE = """
seeds = 2
[train]
data-dir = "data"
audio-encoder = "musicnn"
epochs = 3
hidden = 16
[vary]
learning_rate = [1e-3, 1e-4]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_embeddings(tmp_path / "data", (24, 6, 6))
    path = tmp_path / "sweep.toml"
    path.write_text(FILE)
    return path


def test_a_sweep_that_is_killed_ends_as_one_that_is_not(file: Path):
    environment = os.environ | {"UNISONO_CAPTIONS": str(file.parent / "captions")}
    whole = loaded.unisono("sweep", file, "--folder", "whole", cwd=file.parent, env=environment)
    assert whole.returncode == 0, whole.stderr
    killed = loaded.start("-m", "unisono", "sweep", file, "--folder", "killed", cwd=file.parent, env=environment)
    while killed.poll() is None and not list(file.parent.glob(f"killed/*/{RESULT}")):
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    done = {path: path.stat().st_mtime_ns for path in file.parent.glob(f"killed/*/{RESULT}")}
    assert 0 < len(done) < 4, "killed too late"
    resumed = loaded.unisono("sweep", file, "--folder", "killed", cwd=file.parent, env=environment)
    assert all(path.stat().st_mtime_ns == before for path, before in done.items())
    assert resumed.stdout.replace("killed/", "whole/") == whole.stdout
    assert f"{len(done)} of them trained already" in resumed.stderr
    first, command = resumed.stdout.split("The best one: ")[1].splitlines()[:2]
    assert (file.parent / first).is_file()
    words = command.partition("unisono ")[2].split()
    again = loaded.unisono(*words, "--checkpoint-dir", "again", cwd=file.parent, env=environment)
    assert again.returncode == 0, again.stderr
    assert (file.parent / "again" / "musicnn_best.pt").is_file()


def test_failed_trials_and_changed_data(file: Path, monkeypatch: pytest.MonkeyPatch):
    use_words(monkeypatch, file.parent / "captions")
    monkeypatch.chdir(file.parent)
    file.write_text(FILE.replace("1e-4]", "1e-4]\ntext-head = ['mlp', 'residual']"))
    found = sweep(file, folder="trials")
    assert len(found.settings) == 2 and len(found.failed) == 4  # a residual head has 16 dimensions, not those of a text
    assert "residual" in next(iter(found.failed.values()))
    write_embeddings(file.parent / "data", (24, 6, 6), seed=1)
    with pytest.raises(UnisonoError, match=r"not the one|not those"):  # of an earlier training, in the trials' folders
        sweep(file, folder="trials")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "learning_rate",
            "lerning_rate",
            "line 9: there is no option of train 'lerning_rate'. Did you mean 'learning-",
        ),
        ("[vary]", "[varry]", "line 8: there is no key 'varry'. Did you mean 'vary'"),
        ("epochs = 3", "epochs = 0", "line 6: epochs must be at least 1, found 0"),
        ("1e-4]", "'low']", "line 9: learning_rate must be a number"),
        ("seeds = 2", "seeds = 0", "line 2: seeds must be"),
        ("seeds = 2", "search = 'gird'", "line 2: search must be 'grid' or 'random'"),
        ("hidden = 16", "hidden =", "cannot be read"),
        ("[1e-3, 1e-4]", "{ low = 1e-3, hihg = 1 }", "'hihg'. Did you mean 'high'"),
    ],
)
def test_mistakes_are_named_with_their_line(file: Path, before: str, after: str, said: str):
    file.write_text(FILE.replace(before, after))
    with pytest.raises(Exception, match=r"sweep\.toml") as caught:
        read_plan(file)
    assert said in str(caught.value)


def test_more_random_trials_extend_fewer(file: Path):
    def drawn(trials: int) -> list[object]:
        vary = (
            "dropout = [0.1, 0.2]\nlearning-rate = { low = 1e-4, high = 1e-2, log = true }\nhidden = {low=8, high=64}"
        )
        file.write_text(f"search='random'\ntrials={trials}\nseeds=1\n[vary]\n{vary}")
        return [trial.varied for trial in read_plan(file).trials]

    few, many = drawn(3), drawn(9)
    assert many[:3] == few and len(many) == 9
    assert all(1e-4 <= each["learning_rate"] <= 1e-2 and 8 <= each["hidden"] <= 64 for each in many)  # type: ignore[index]
