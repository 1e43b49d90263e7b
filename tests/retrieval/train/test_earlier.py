"""Another run's checkpoints are continued by the same call, and never overwritten unasked."""

import logging
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from filelock import FileLock

from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from tests.retrieval.train.test_training import interrupt_at
from unisono.base import files
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.embeddings.encoders.text import _files, minilm
from unisono.retrieval.checkpoint import load
from unisono.retrieval.train.loop import InterruptionError
from unisono.retrieval.train.run import train
from unisono.retrieval.train.step import Step

Given = dict[str, Any]


@pytest.fixture
def given(tmp_path: Path, words: WordEncoder) -> Given:
    return {
        "embeddings": write_embeddings(tmp_path / "data"),
        "audio_encoder": "musicnn",
        "checkpoint_dir": tmp_path / "checkpoints",
        "epochs": 6,
        "batch_size": 10,
        "hidden": 16,
    }


def contents(given: Given) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in given["checkpoint_dir"].glob("*.pt")}


@pytest.mark.parametrize("more", [{}, {"tag_dropout": 0.3}, {"val_limit": 5, "mix_origins": {"tags": 0.5}}])
def test_the_same_call_goes_on_and_ends_with_the_same_bytes(
    given: Given, more: Given, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    given = given | more
    train(**given)
    expected = contents(given)
    shutil.rmtree(given["checkpoint_dir"])
    for step in sorted(random.Random(1).sample(range(24), 4)):
        with monkeypatch.context() as patch:
            interrupt_at(step, patch)
            with pytest.raises(InterruptionError):
                train(**given)
        assert load(given["checkpoint_dir"] / "musicnn_last.pt").progress["step"] == step + 1
    monkeypatch.setattr(logging.getLogger("unisono"), "propagate", True)
    with caplog.at_level(logging.INFO, "unisono"):
        train(**given)
    assert contents(given) == expected
    assert f"at step {step + 1} of 24" in caplog.text
    steps = []
    monkeypatch.setattr(Step, "__call__", lambda *_: steps.append(1))
    with caplog.at_level(logging.INFO, "unisono"):
        assert train(**given).training.epochs == 6
    assert "is complete: 6 epochs" in caplog.text and not steps
    assert contents(given) == expected


def test_killed_between_its_first_two_checkpoints_it_begins_again(given: Given):
    train(**given)
    expected = contents(given)
    (given["checkpoint_dir"] / "musicnn_last.pt").unlink()
    train(**given)
    assert contents(given) == expected


CHANGES: list[Given] = [
    {"epochs": 7},
    {"seed": 1},
    {"batch_size": 11},
    {"projection": "joint"},
    {"patience": 2},
    {"mix_datasets": {"few": 2}},
    {"tag_dropout": 0.1},
    {"learning_rate": 0.5},
]


@pytest.mark.parametrize(
    ("left", "change"), [("both", CHANGES[0]), ("last", CHANGES[0]), ("best", CHANGES[5])], ids=str
)
def test_other_options_are_refused_and_replace_it_if_asked(given: Given, left: str, change: Given):
    train(**given)
    if left != "both":
        (given["checkpoint_dir"] / f"musicnn_{'best' if left == 'last' else 'last'}.pt").unlink()
    before = contents(given)
    for other in CHANGES if left == "both" else [change]:
        with pytest.raises(UsageError, match=f"is of another training: its {next(iter(other))} is") as refused:
            train(**given | other)
        assert "--checkpoint-dir" in refused.value.hint and "--overwrite" in refused.value.hint
    assert contents(given) == before
    train(**given | change, overwrite=True)
    assert not set(contents(given).values()) & set(before.values())
    train(**given | change)  # which is now the same


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 3}, "captions of .* are not those"),
        ({"counts": (47, 12, 12)}, "train split of .* is not the one"),
        ({"counts": (48, 11, 12)}, "val split of .* is not the one"),
        ({"dim": 17}, "with dim 16; .* has 17"),
    ],
    ids=str,
)
def test_other_data_is_refused(given: Given, tmp_path: Path, change: Given, says: str):
    train(**given)
    before = contents(given)
    other = write_embeddings(tmp_path / "other", **change)
    with pytest.raises(UsageError, match=says) as refused:
        train(**given | {"embeddings": other})
    assert "--overwrite" in refused.value.hint
    assert contents(given) == before
    with pytest.raises(UsageError, match=says):
        train(other, resume=given["checkpoint_dir"] / "musicnn_last.pt")
    assert contents(given) == before


def test_how_it_runs_may_differ(given: Given, tmp_path: Path):
    train(**given)
    before = contents(given)
    moved = given["embeddings"].parent.rename(tmp_path / "moved")
    train(**given | {"embeddings": moved, "threads": 1, "save_seconds": 1.0, "keep_limit": 2})
    assert contents(given) == before


def test_overwriting_begins_again_and_leaves_nothing_of_the_other(given: Given):
    train(**given | {"keep_every": 2})
    before = contents(given)
    assert len(before) > 2
    train(**given | {"epochs": 4}, overwrite=True)
    assert set(contents(given)) == {"musicnn_last.pt", "musicnn_best.pt"}
    assert load(given["checkpoint_dir"] / "musicnn_last.pt").progress["epoch"] == 4
    assert len(list((given["checkpoint_dir"] / "tensorboard" / "musicnn").iterdir())) == 1


def test_a_damaged_checkpoint_is_not_overwritten_unasked(given: Given):
    train(**given)
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"musicnn_last\.pt") as refused:
        train(**given)
    assert "--overwrite" in refused.value.hint
    train(**given, overwrite=True)
    assert load(last).progress["epoch"] == 6


def test_resuming_into_a_folder_of_another_training_is_refused(given: Given, tmp_path: Path):
    train(**given)
    other = given | {"checkpoint_dir": tmp_path / "other", "seed": 5}
    train(**other)
    before = contents(other)
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    with pytest.raises(UsageError, match="its seed is 5, not 42"):
        train(resume=last, checkpoint_dir=other["checkpoint_dir"])
    assert contents(other) == before
    train(resume=last, checkpoint_dir=other["checkpoint_dir"], overwrite=True)
    assert contents(other) == contents(given)


def test_a_longer_training_is_remembered(given: Given, monkeypatch: pytest.MonkeyPatch):
    train(**given)
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    with monkeypatch.context() as patch:
        interrupt_at(25, patch)
        with pytest.raises(InterruptionError):
            train(resume=last, epochs=9)
    assert train(resume=last).training.epochs == 9
    assert train(**given | {"epochs": 9}).training.epochs == 9


def test_a_second_run_in_the_folder_is_refused_and_one_of_another_encoder_is_not(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    started, go = Event(), Event()
    call = Step.__call__

    def waiting(self: Step, batch: Any, at: int) -> float:
        started.set()
        assert go.wait(100)
        return call(self, batch, at)

    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as patch:
        patch.setattr(Step, "__call__", waiting)
        first = pool.submit(train, **given)
        try:
            assert started.wait(100)
            for change in ({}, {"seed": 2}, {"overwrite": True}):
                with pytest.raises(UnisonoError, match="Another run is training musicnn") as refused:
                    train(**given | change)
                assert "--checkpoint-dir" in refused.value.hint
            go.set()
            muq = write_embeddings(tmp_path / "muq", encoder="muq")
            train(**given | {"embeddings": muq, "audio_encoder": "muq"})
        finally:
            go.set()
        first.result()
    train(**given)


def test_what_killed_runs_left_half_written_is_removed(given: Given):
    folder = given["checkpoint_dir"]
    folder.mkdir()
    host = files.partial_path(folder / "x").name.split(".")[-2].rpartition("-")[0]
    for name in ("musicnn_last.pt", "musicnn_best.pt", "musicnn_epoch00002.pt", "musicnn_card.md"):
        (folder / f".{name}.{host}-4194305.partial").write_bytes(b"half")
    other = folder / f".muq_last.pt.{host}-4194305.partial"
    other.write_bytes(b"another's")
    train(**given)
    assert list(folder.glob(".*.partial")) == [other]


def test_a_folder_that_cannot_be_written_is_explained(given: Given, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(given["checkpoint_dir"] / ".musicnn_train.lock"))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(UnisonoError, match=r"Cannot write .*musicnn_train\.lock: Permission denied"):
        train(**given)


def test_a_text_encoder_that_cannot_be_had_is_missed_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path))
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(minilm, "packaged", lambda: None)
    monkeypatch.setattr(_files, "in_hub_cache", lambda *_: None)
    monkeypatch.setattr(_files, "snapshot", refuse_fetching)
    with pytest.raises(UnisonoError, match="no MiniLM"):
        train(tmp_path / "nothing.h5", audio_encoder="musicnn", checkpoint_dir=tmp_path)


def refuse_fetching(*_: object) -> Path:
    raise UnisonoError("no MiniLM")
