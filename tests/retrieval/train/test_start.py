"""Trainings that start from a joint model or from a trained one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.making import make_record
from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from tests.retrieval.train.test_training import interrupt_at
from unisono.base.errors import UsageError
from unisono.embeddings.encoders import text
from unisono.retrieval import models
from unisono.retrieval.checkpoint import load, verify
from unisono.retrieval.evaluate.run import evaluate
from unisono.retrieval.model import Model, load_model
from unisono.retrieval.model_base import JointModel
from unisono.retrieval.models._towers import TowerModel
from unisono.retrieval.train import texts
from unisono.retrieval.train.loop import InterruptionError
from unisono.retrieval.train.run import train

Given = dict[str, Any]
NAME = "tags"
"""The joint model of the tests has the name of a real one."""
NO_STEPS = 1e-30
"""A learning rate at which nothing changes."""


class WordModel(JointModel):
    """A joint model: words and music in one space, untrained."""

    label = NAME

    def __init__(self, words: WordEncoder) -> None:
        self.text_encoder = words

    @property
    def encoders(self) -> tuple[str, ...]:
        return (NAME,)

    def made_like(self, name: str) -> Any:
        return replace(text_record(), name=name)

    def project_audio(self, embeddings: NDArray[Any], of: Any = None) -> NDArray[np.float32]:
        return unit(embeddings.astype(np.float32))

    def embed_text(self, texts: Any, *, cached: bool = False) -> NDArray[np.float32]:
        return unit(self.text_encoder.embed([texts] if isinstance(texts, str) else list(texts)))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def text_record() -> Any:
    return make_record(NAME, 24)


@pytest.fixture
def given(tmp_path: Path, words: WordEncoder, monkeypatch: pytest.MonkeyPatch) -> Given:
    """Arguments of `train`, from a joint model whose two towers are those of the tests."""
    monkeypatch.setattr(WordEncoder, "spec", replace(WordEncoder.spec, name=NAME, revision="1"))
    monkeypatch.setattr(text, "names", lambda: [NAME])
    monkeypatch.setattr(texts, "is_here", lambda name: True)
    return {
        "embeddings": write_embeddings(tmp_path / "data", dim=24, encoder=NAME),
        "checkpoint_dir": tmp_path / "checkpoints",
        "model": NAME,
        "epochs": 4,
        "batch_size": 10,
        "hidden": 16,
    }


def test_the_first_step_scores_as_the_joint_model(given: Given, words: WordEncoder) -> None:
    started = train(**given | {"learning_rate": NO_STEPS, "learn_temperature": False})
    own = WordModel(words)
    music = np.random.default_rng(0).normal(size=(30, 24)).astype(np.float16)
    np.testing.assert_allclose(started.project_audio(music), own.project_audio(music), atol=1e-6)
    np.testing.assert_allclose(started.embed_text("slow harp"), own.embed_text("slow harp"), atol=1e-6)
    found, expected = (evaluate(model, given["embeddings"]).retrieval for model in (started, own))
    assert found == expected
    assert (started.checkpoint.architecture.text_head, started.dim) == ("residual", 24)


@pytest.mark.parametrize("name", ["clap", "muq_mulan", "clamp3"])
def test_pretrained_models_are_starts(
    name: str, weights_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(weights_root))
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "captions"))
    own = models.load_model(name)
    assert isinstance(own, TowerModel)
    record = own.made_like(name)
    data = write_embeddings(tmp_path / "data", dim=own.dim, encoder=name, record=record)
    settings: Given = {"embeddings": data, "checkpoint_dir": tmp_path, "model": name, "hidden": 8, "batch_size": 10}
    started = train(**settings, epochs=1, learning_rate=NO_STEPS, learn_temperature=False)
    loaded = load_model(tmp_path / f"{name}_best.pt")
    expected = pytest.approx(measures(own, data), abs=1e-9)
    assert measures(started, data) == expected and measures(loaded, data) == expected
    hits, expected_hits = (model.search("slow harp", data=data) for model in (loaded, own))
    assert [hit.track.id for hit in hits] == [hit.track.id for hit in expected_hits]


def measures(model: Any, data: Path) -> list[float]:
    retrieval = evaluate(model, data).retrieval
    return [each.value for found in retrieval.values() for each in found["all"].estimates.values()]


def test_it_learns_and_stays_near_if_asked(given: Given, words: WordEncoder, tmp_path: Path) -> None:
    moved = {}
    captions = ["slow harp", "dark organ and choir"]
    for pull in (0.0, 0.3, 10.0):
        folder = tmp_path / str(pull)
        model = train(**given | {"keep_near": pull, "epochs": 30, "learning_rate": 0.01, "checkpoint_dir": folder})
        assert bool(load(folder / f"{NAME}_best.pt").start) is bool(pull)
        moved[pull] = float(1 - (model.embed_text(captions) * WordModel(words).embed_text(captions)).sum(axis=1).mean())
        if not pull:
            assert model.history[-1]["text_to_music"]["mrr"] > 0.45  # chance is 0.26
    assert moved[0.0] > 1.1 * moved[0.3] > 2 * moved[10.0] > 0


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_it_goes_on_exactly(given: Given, monkeypatch: pytest.MonkeyPatch, micro_batch: int | None) -> None:
    options = given | {"keep_near": 0.5, "micro_batch": micro_batch, "learning_rate": 0.01}
    folder = given["checkpoint_dir"]
    train(**options)
    whole = {path.name: path.read_bytes() for path in folder.glob("*.pt")}
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    with monkeypatch.context() as patch:
        interrupt_at(7, patch)
        with pytest.raises(InterruptionError):
            train(**options)
    train(resume=folder / f"{NAME}_last.pt")
    assert {path.name: path.read_bytes() for path in folder.glob("*.pt")} == whole
    verify(folder / f"{NAME}_last.pt")


def test_parts_pull_as_the_whole_batch(given: Given, tmp_path: Path) -> None:
    settings = given | {"keep_near": 3.0, "dropout": 0.0, "epochs": 2, "learning_rate": 0.01}
    whole, parts = (
        train(**settings | {"micro_batch": micro, "checkpoint_dir": tmp_path / str(micro)}) for micro in (None, 3)
    )
    np.testing.assert_allclose(whole.embed_text("slow harp"), parts.embed_text("slow harp"), atol=1e-5)


def test_a_trained_model_is_trained_further(given: Given, words: WordEncoder, tmp_path: Path) -> None:
    first = train(**given | {"learning_rate": 0.01, "epochs": 10})
    elsewhere = tmp_path / "more"
    more: Given = {
        "embeddings": write_embeddings(tmp_path / "other", dim=24, encoder=NAME, seed=5),
        "checkpoint_dir": elsewhere,
        "model": str(first.path),
        "batch_size": 10,
    }
    same = train(**more | {"learning_rate": NO_STEPS, "epochs": 1, "learn_temperature": False})
    np.testing.assert_allclose(same.embed_text("slow harp"), first.embed_text("slow harp"), atol=1e-6)
    assert same.history[0]["temperature"] == pytest.approx(first.heads.temperature)
    near = train(**more | {"keep_near": 0.3, "epochs": 3, "checkpoint_dir": tmp_path / "near"})
    assert isinstance(load_model(near.path), Model) and near.checkpoint.options["text_head"] == "residual"
    assert not np.allclose(near.embed_text("slow harp"), first.embed_text("slow harp"), atol=1e-3)


def test_a_plain_model_is_trained_further(given: Given, tmp_path: Path) -> None:
    plain = {name: value for name, value in given.items() if name != "model"} | {"audio_encoder": NAME}
    first = train(**plain | {"audio_scaling": "whiten", "projection": "joint", "dim": 8})
    more: Given = {
        "embeddings": given["embeddings"],
        "checkpoint_dir": tmp_path / "more",
        "epochs": 2,
        "batch_size": 10,
    }
    found = train(**more | {"model": first.path})
    assert found.checkpoint.architecture == first.checkpoint.architecture


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "clapp"}, "There is no model 'clapp'. Did you mean 'clap'"),
        ({"model": "clap.pt"}, "There is no checkpoint clap.pt"),
        ({"audio_encoder": "musicnn"}, "audio_encoder musicnn does not go with the start from tags"),
        ({"projection": "text"}, "projection text does not go with"),
        ({"keep_near": 1.0, "model": None}, "keep_near needs a model to start from"),
        ({"keep_near": -1.0}, "keep_near"),
    ],
)
def test_what_contradicts_the_start_is_refused(given: Given, change: Given, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        train(**given | change)


def test_towers_of_two_revisions_are_refused(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WordEncoder, "spec", replace(WordEncoder.spec, revision="2"))
    with pytest.raises(UsageError, match="made with revision '1'; tags needs '2'"):
        train(**given)


def test_a_model_without_a_text_encoder_of_its_own_is_no_start(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "names", lambda: ["minilm"])
    assert NAME in models.names()
    with pytest.raises(UsageError, match="cannot start from the model tags"):
        train(**given)
