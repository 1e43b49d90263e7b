"""`train.py` as users type it, in processes of its own."""

import os
import signal
import time
from dataclasses import fields
from pathlib import Path

import pytest

from tests import loaded
from tests.conftest import REPOSITORY
from tests.retrieval.train.synthetic import write_embeddings
from unisono.commands.train import TrainOptions
from unisono.retrieval.checkpoint import load
from unisono.retrieval.train.config import RunSettings, TrainingConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    write_embeddings(folder / "data" / "processed_embeddings", (24, 4, 4), encoder="muq")
    return folder


def start(folder: Path, *words: str) -> loaded.Program:
    environment = os.environ | {"UNISONO_CAPTIONS": str(folder / "captions")}
    return loaded.start(REPOSITORY / "train.py", *words, cwd=folder, env=environment)


def test_train_resume_and_signals(folder: Path):
    verbatim = ("--audio-encoder", "muq", "--data-dir", "data/processed_embeddings")
    process = start(folder, *verbatim, "--epochs", "20", "--batch-size", "32")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "checkpoints/muq_best.pt" in out and "chance" in out
    last = folder / "checkpoints" / "muq_last.pt"
    assert load(last).progress["epoch"] == 20
    assert (folder / "checkpoints" / "muq_train.log").read_text().count("Epoch ") == 20
    assert list((folder / "checkpoints" / "tensorboard" / "muq").iterdir())

    for number in (signal.SIGINT, signal.SIGTERM):
        before = load(last).progress["step"]
        process = start(
            folder, *verbatim, "--resume", "checkpoints/muq_last.pt", "--epochs", "1000000", "--save-seconds", "1"
        )
        wait_for(lambda before=before: load(last).progress["step"] > before, process)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number, err
        assert f"Error: {number.name} received at step" in err
        assert "unisono train --resume checkpoints/muq_last.pt" in err

    before = load(last).progress["step"]
    process = start(
        folder, *verbatim, "--resume", "checkpoints/muq_last.pt", "--epochs", "1000000", "--save-seconds", "0.5"
    )
    wait_for(lambda: load(last).progress["step"] > before, process)
    process.kill()
    process.communicate()
    assert load(last).progress["step"] > before  # whole, whatever the instant
    assert load(folder / "checkpoints" / "muq_best.pt").progress["best_epoch"] >= 1


def wait_for(condition, process: loaded.Program, seconds: float = 100) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.2)


def test_the_options_are_the_settings_of_the_library():
    own = {"data_root", "data_dir", "resume", "overwrite", "tune_text"}
    options = {each.name: each.default for each in fields(TrainOptions) if each.name not in own}
    settings = {each.name: each.default for kind in (TrainingConfig, RunSettings) for each in fields(kind)}
    assert options == settings


def test_wrong_usage_exits_with_2_and_says_what_there_is(folder: Path):
    process = start(folder, "--audio-encoder", "mert")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "holds no mert embeddings; it holds: muq" in err and "Traceback" not in err
    assert not (folder / "checkpoints" / "mert_train.log").exists()


def test_help_lists_the_losses(folder: Path):
    out, _ = start(folder, "--help").communicate(timeout=100)
    line = out[out.index("--loss") :][:600]
    assert "infonce" in line and "siglip" in line and "choices" in line


def test_the_same_command_goes_on_and_other_options_are_refused(folder: Path):
    words = ("--audio-encoder", "muq", "--data-dir", "data/processed_embeddings", "--checkpoint-dir", "again")
    last = folder / "again" / "muq_last.pt"
    process = start(folder, *words, "--epochs", "1000000", "--save-seconds", "0.5")
    wait_for(lambda: last.exists() and load(last).progress["step"] > 0, process)
    process.kill()
    process.communicate()
    before = load(last).progress["step"]
    process = start(folder, *words, "--epochs", "1000000", "--save-seconds", "0.5")
    wait_for(lambda: load(last).progress["step"] > before, process)
    second = start(folder, *words, "--epochs", "1000000")
    _, err = second.communicate(timeout=100)
    assert second.returncode == 1 and "Another run is training muq in again" in err
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert f"Continuing again/muq_last.pt at step {before}" in err.replace(",", "")
    content = last.read_bytes()
    process = start(folder, *words, "--epochs", "3")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2 and last.read_bytes() == content
    assert "--checkpoint-dir" in err and "--overwrite" in err
