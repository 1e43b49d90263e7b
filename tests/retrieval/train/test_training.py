"""The loop: what it learns, how it stops, and that it goes on exactly where it stopped."""

import inspect
import logging
import os
import random
import re
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from unisono.base.errors import UnisonoError, UsageError
from unisono.embeddings.encoders.text_tokens import embed_tokens
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.checkpoint import load, save
from unisono.retrieval.collection import Collection, indexed_tracks
from unisono.retrieval.evaluate.by_words import LINE
from unisono.retrieval.evaluate.run import evaluate
from unisono.retrieval.heads import Architecture, Projection, ProjectionHeads
from unisono.retrieval.model import load_model
from unisono.retrieval.pairing import pair_rows
from unisono.retrieval.train import losses
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.data import Batch, WindowDraw, read
from unisono.retrieval.train.loop import InterruptionError, learning_rate, signals_noted
from unisono.retrieval.train.run import train
from unisono.retrieval.train.step import Step, StoredTexts
from unisono.search.query import Query
from unisono.search.run import search

Given = dict[str, Any]


@pytest.fixture
def given(tmp_path: Path, words: WordEncoder) -> Given:
    """Arguments of `train`."""
    return {
        "embeddings": write_embeddings(tmp_path / "data"),
        "audio_encoder": "musicnn",
        "checkpoint_dir": tmp_path / "checkpoints",
        "epochs": 6,
        "batch_size": 10,
        "hidden": 16,
    }


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGTERM) -> None:
    """Let a signal arrive in the middle of a step."""
    call = Step.__call__

    def interrupted(self: Step, batch: Batch, at: int) -> float:
        if at == step:
            os.kill(os.getpid(), number)
        return call(self, batch, at)

    monkeypatch.setattr(Step, "__call__", interrupted)


def test_learning_rate_rises_and_falls():
    rates = [learning_rate(step, 100, 10) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1.0 and rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[99] < 0.001
    assert learning_rate(0, 1, 0) == 1.0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(given: Given, tmp_path: Path):
    content = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(**{**given, "checkpoint_dir": tmp_path / folder, "seed": seed})
        content.append(load(tmp_path / folder / "musicnn_last.pt").weights)
    one, same, other = content
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_interrupted_twenty_times_ends_with_the_same_bytes(given: Given, monkeypatch: pytest.MonkeyPatch):
    whole = given | {"epochs": 8}
    folder = given["checkpoint_dir"]
    last = folder / "musicnn_last.pt"
    train(**whole)
    steps = load(last).progress["step"]
    expected = {path.name: path.read_bytes() for path in folder.glob("*.pt")}
    assert len(expected) == 2
    shutil.rmtree(folder)
    parts: Given = whole
    for step in sorted(random.Random(0).sample(range(steps), 20)):
        with monkeypatch.context() as patch:
            interrupt_at(step, patch)
            with pytest.raises(InterruptionError, match="SIGTERM received at step") as stopped:
                train(**parts)
        assert stopped.value.exit_code == 128 + signal.SIGTERM
        assert load(last).progress["step"] == step + 1
        parts = {"resume": last}
    train(**parts)
    assert {path.name: path.read_bytes() for path in folder.glob("*.pt")} == expected


def test_training_for_longer(given: Given):
    train(**given)
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    model = train(resume=last, epochs=9)
    assert model.training.epochs == 9 and [entry["epoch"] for entry in model.history] == list(range(1, 10))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch_size": 11}, "batch_size 11 is not what"),
        ({"projection": "joint"}, "projection joint is not what"),
        ({"audio_encoder": "dsp"}, "audio_encoder dsp is not what"),
    ],
)
def test_resuming_with_other_options_is_refused(given: Given, change: dict, says: str):
    train(**given)
    with pytest.raises(UsageError, match=says):
        train(resume=given["checkpoint_dir"] / "musicnn_last.pt", **change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"counts": (47, 12, 12)}, "is not the one that"),
        ({"dim": 17}, "with dim 16;.*has 17"),
    ],
)
def test_resuming_on_other_data_is_refused(given: Given, tmp_path: Path, change: dict, says: str):
    train(**given)
    write_embeddings(tmp_path / "other", **change)
    with pytest.raises(UsageError, match=says):
        train(tmp_path / "other", resume=given["checkpoint_dir"] / "musicnn_last.pt")


def test_early_stopping(given: Given):
    model = train(**{**given, "epochs": 60, "patience": 3, "learning_rate": 0.01})
    training = model.training
    assert training.epochs == training.best_epoch + 3 < 60
    best = load(given["checkpoint_dir"] / "musicnn_best.pt")
    assert best.metrics["epoch"] == training.best_epoch
    scores = [entry["text_to_music"]["mrr"] for entry in model.history]
    assert max(scores) == scores[training.best_epoch - 1] == best.progress["best"]
    loss = model.history[-1]["loss"]
    then, now = f"{max(scores):.3f}", f"{scores[-1]:.3f}"
    assert re.fullmatch(
        rf"Stopped early, after epoch {training.epochs} of 60: val text to music mrr was best after "
        rf"epoch {training.best_epoch} \({then}\) and not better in 3 epochs since \(now {now}\), .* to {loss:.4f}\.",
        training.stopped,
    )
    assert (
        model.training.stopped
        == train(**{**given, "epochs": 60, "patience": 3, "learning_rate": 0.01}).training.stopped
    )


def test_without_val_the_last_epoch_is_the_best(given: Given, tmp_path: Path):
    write_embeddings(tmp_path / "noval", (20, 0, 0))
    model = train(**{**given, "embeddings": tmp_path / "noval", "patience": 1})
    assert model.training.best_epoch == model.training.epochs == 6
    assert "text_to_music" not in model.history[-1]


def test_a_loss_that_is_no_number_stops_the_run(given: Given, monkeypatch: pytest.MonkeyPatch):
    train(**{**given, "epochs": 1})
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    before = last.read_bytes()
    monkeypatch.setattr(Step, "loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(UnisonoError, match=r"became nan at step 4 \(epoch 2\).*ids: synthetic_\d+, synthetic_"):
        train(resume=last, epochs=3)
    assert last.read_bytes() == before


def test_periodic_checkpoints(given: Given):
    train(**{**given, "epochs": 9, "keep_every": 2, "keep_limit": 2})
    kept = sorted(path.name for path in given["checkpoint_dir"].glob("*_epoch*.pt"))
    assert kept == ["musicnn_epoch00006.pt", "musicnn_epoch00008.pt"]
    last = (given["checkpoint_dir"] / "musicnn_last.pt").read_bytes()
    train(resume=given["checkpoint_dir"] / "musicnn_epoch00006.pt")
    assert (given["checkpoint_dir"] / "musicnn_last.pt").read_bytes() == last


def check_it_goes_on(given: Given, step: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Check that a training that was interrupted at a step ends with the same bytes; return its model."""
    train(**given)
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    expected = last.read_bytes()
    last.unlink()
    with monkeypatch.context() as patch:
        interrupt_at(step, patch)
        with pytest.raises(InterruptionError):
            train(**given)
    model = train(resume=last)
    assert last.read_bytes() == expected
    return model


@pytest.mark.parametrize(
    "change",
    [
        {"mix_datasets": {"few": 3}, "mix_origins": ["tags=0.5"], "mix_temperature": 2, "tag_dropout": 0.3},
        {"views": True, "hard_negatives": ["instrument", "tempo", "negation"], "micro_batch": 4},
    ],
)
def test_changed_captions_go_on_exactly(given: Given, monkeypatch: pytest.MonkeyPatch, change: dict):
    check_it_goes_on(given | change, 5, monkeypatch)


@pytest.mark.parametrize(("layers", "windows"), [(1, 1), (3, 2)])
def test_windows_go_on_exactly(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: int, windows: int
):
    write_embeddings(tmp_path / "windows", windows=4, layers=layers)
    pooled = given | {"embeddings": tmp_path / "windows"}
    windowed = pooled | {"audio_windows": windows, "tag_dropout": 0.3, "micro_batch": 4}
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    check_it_goes_on(windowed, 7, monkeypatch)
    expected = last.read_bytes()
    with pytest.raises(UsageError, match="audio_windows 5 is not what"):
        train(resume=last, audio_windows=5)
    train(**windowed | {"audio_windows": None, "overwrite": True})
    assert not torch.equal(load(last).weights["text_head.0.weight"], _weights(expected, tmp_path))


def _weights(content: bytes, folder: Path) -> torch.Tensor:
    (folder / "content.pt").write_bytes(content)
    return load(folder / "content.pt").weights["text_head.0.weight"]


def test_maxsim_goes_on_exactly_and_orders_hits_by_words(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: WordEncoder
):
    write_embeddings(tmp_path / "windows", windows=4)
    asked = given | {"embeddings": tmp_path / "windows", "audio_windows": 2, "maxsim": 0.4, "learning_rate": 0.01}
    model = check_it_goes_on(asked, 7, monkeypatch)
    with open_embeddings(tmp_path / "windows") as file:
        rows = file.read("test", ["musicnn"])
        vectors, windows = model.project_windows(file, rows)
    music = Collection(indexed_tracks(rows), vectors, windows=windows)
    found = search(model, Query("slow dark choir", top=5, rerank="maxsim"), music)
    tokens = torch.from_numpy(np.concatenate(words.embed_tokens(["slow dark choir"])))
    said = torch.nn.functional.normalize(model.heads.token_head(tokens), dim=1).detach().numpy()
    by_hand = {
        track.id: np.mean([max(float(vector @ word) for vector in vectors[windows.of == row]) for word in said])
        for row, track in enumerate(music.tracks)
    }
    assert [hit.track.id for hit in found] == sorted(by_hand, key=lambda id: -by_hand[id])[:5]
    assert [hit.score for hit in found] == pytest.approx([by_hand[hit.track.id] for hit in found], abs=1e-6)
    assert "ordered by its words (MaxSim)" in found.notes[-1] and found[0].percentile is None
    pairing, reciprocal = pair_rows(rows), []
    for number, text in enumerate(pairing.texts):
        hits = [hit.track.id for hit in search(model, Query(text, top=len(music), rerank="maxsim"), music)]
        right = pairing.relevance.candidate[pairing.relevance.query == number]
        reciprocal.append(1 / (1 + min(hits.index(rows.ids[row]) for row in right)))
    measured = evaluate(model, tmp_path / "windows", rerank="maxsim").retrieval["text_to_music"]
    assert measured[LINE].estimates["mrr"].value == pytest.approx(np.mean(reciprocal))
    assert measured[LINE].estimates["mrr"] != measured["all"].estimates["mrr"]
    for query, there, says in (
        (Query(("a", "b"), rerank="maxsim"), music, "orders the hits of a single description"),
        (Query("choir", rerank="maxsim"), Collection(music.tracks, music.means), "here each track has one vector only"),
    ):
        with pytest.raises(UsageError, match=says):
            search(model, query, there)
    plain = train(**asked | {"maxsim": 0.0, "overwrite": True})
    with pytest.raises(UsageError, match="it was not trained to") as refused:
        search(plain, Query("choir", rerank="maxsim"), music)
    assert "--maxsim 0.4" in refused.value.hint
    for change in ({"audio_windows": None}, {"lora": True}):
        with pytest.raises(UsageError, match="maxsim needs"):
            train(**asked | change)
    monkeypatch.delattr(WordEncoder, "embed_tokens")
    with pytest.raises(UsageError, match="and none for each of its tokens"):
        train(**asked | {"overwrite": True})


def test_a_checkpoint_of_before_an_option_goes_on_without_it(given: Given, tmp_path: Path):
    write_embeddings(tmp_path / "data", windows=3)
    train(**given)
    last = given["checkpoint_dir"] / "musicnn_last.pt"
    found = load(last)
    del found.options["audio_windows"]
    save(last, found)
    with pytest.raises(UsageError, match=r"audio_windows 1 is not what .* was trained with \(None\)"):
        train(resume=last, audio_windows=1)
    assert train(resume=last, epochs=7).training.epochs == 7


def test_fewer_excerpts_than_a_batch(given: Given):
    assert load(train(**given | {"batch_size": 500}).training.last_path).progress["step"] == 6


@pytest.mark.parametrize(
    ("loss", "projection", "precision"),
    [
        ("infonce", "text", "fp32"),
        ("siglip", "joint", "fp32"),
        ("infonce", "joint", "bf16"),
        ("siglip", "text", "bf16"),
        ("dcl", "text", "fp32"),
        ("infonce_sigreg", "joint", "fp32"),
    ],
)
def test_every_kind_learns(given: Given, loss: str, projection: str, precision: str):
    kind = {"loss": loss, "projection": projection, "precision": precision}
    history = train(**given | kind | {"epochs": 40, "learning_rate": 0.005, "dim": 16}).history
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["text_to_music"]["mrr"] > 0.45  # chance is 0.26


def test_layers_are_learned(given: Given, tmp_path: Path):
    write_embeddings(tmp_path / "layers", layers=3)
    train(**{**given, "embeddings": tmp_path / "layers", "projection": "joint"})
    weights = load(given["checkpoint_dir"] / "musicnn_last.pt").weights["layer_weights"]
    assert weights.shape == (3,) and weights.abs().max() > 0


@pytest.mark.parametrize("learn", [True, False])
def test_temperature(given: Given, learn: bool):
    temperatures = [entry["temperature"] for entry in train(**{**given, "learn_temperature": learn}).history]
    assert all((found == pytest.approx(0.1)) is not learn for found in temperatures)


@pytest.mark.parametrize("loss", losses.names())
@pytest.mark.parametrize(("projection", "weight"), [("text", 0.0), ("joint", 0.4)])
def test_parts_give_the_gradient_of_the_whole_batch(
    tmp_path: Path, loss: str, projection: Projection, weight: float, words: WordEncoder
):
    with open_embeddings(write_embeddings(tmp_path, windows=3)) as file:
        data = read([file], "musicnn", windows=True).train
    assert data.windows is not None
    table = embed_tokens(data.rows.captions, words) if weight else None
    embeddings = torch.from_numpy(words.embed(list(data.rows.captions)))

    class Texts(StoredTexts):
        def __init__(self):
            pass

        def __call__(self, captions):
            return embeddings[captions]

    values, gradients = [], []
    for micro in (None, 4):
        kind = TrainingConfig(
            loss=loss, projection=projection, micro_batch=micro, audio_noise=0.0, maxsim=weight, audio_windows=2
        )
        torch.manual_seed(0)
        architecture = Architecture(
            text_dim=24,
            audio_dim=16,
            layers=1,
            projection=projection,
            dim=16,
            scaled_dim=16,
            text_head="mlp",
            audio_head="linear",
            hidden=8,
            dropout=0.0,
            token_head=weight > 0,
        )
        heads = ProjectionHeads(architecture)
        rows = data.rows.caption_of[:22:2]
        windows = WindowDraw(data.windows.begin, 2)(np.random.default_rng(0), rows)
        batch = Batch(rows, rows * 2, windows, np.where(rows % 3, rows * 2 + 1, -1))
        value = Step(heads, data, Texts(), kind, tokens=table)(batch, 0)
        values.append(value)
        gradients.append([each.grad for each in heads.parameters() if each.grad is not None])
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    for whole, parts in zip(*gradients, strict=True):
        assert torch.allclose(whole, parts, atol=1e-6)
    assert len(gradients[0]) > 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"temperature": 0.0},
        {"temperature": 0.009},
        {"temperature": 1.5},
        {"dropout": 1.0},
        {"audio_noise": -1.0},
        {"micro_batch": 0},
    ],
)
def test_settings_out_of_bounds_are_refused(wrong: dict):
    with pytest.raises(UsageError, match=f"^{next(iter(wrong))} must be") as refused:
        TrainingConfig(**wrong)
    assert refused.value.parameter == next(iter(wrong))


def test_an_unknown_setting_is_refused_with_the_nearest(given: Given):
    with pytest.raises(UsageError, match=r"no setting 'batchsize'\. Did you mean 'batch_size'"):
        train(**given, batchsize=3)
    with pytest.raises(UsageError, match=r"There is no loss 'infonoe'\. Did you mean 'infonce'"):
        train(**given, loss="infonoe")
    with pytest.raises(UsageError, match="embeddings must be"):
        train()
    with pytest.raises(UsageError, match="device must be auto, cpu, cuda"):
        train(**given, device="gpu?")
    with pytest.raises(UsageError, match=r"device 'cuda:7' is not there"):
        train(**given, device="cuda:7")


def test_an_open_file_or_a_path_as_text_will_do_and_nothing_is_printed(
    given: Given, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    with open_embeddings(given["embeddings"]) as file:
        model = train(**{**given, "embeddings": file})
    again = train(**{**given, "embeddings": str(given["embeddings"]), "checkpoint_dir": str(tmp_path / "again")})
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.get_rng_state(), random) and torch.get_num_threads() == threads
    assert model.path == given["checkpoint_dir"] / "musicnn_best.pt"
    assert model.data == given["embeddings"].parent
    assert model.training.queries == 22 and model.training.candidates == 12
    last, other = (load(each.training.last_path) for each in (model, again))
    assert all(torch.equal(value, other.weights[name]) for name, value in last.weights.items())
    loaded = load_model(str(model.path))
    assert loaded.history == model.history[: model.training.best_epoch] and "48 excerpts" in repr(loaded)


def test_help_lists_every_setting():
    parameters = inspect.signature(train).parameters
    assert list(parameters)[:2] == ["embeddings", "resume"]
    assert parameters["batch_size"].default == 32 and parameters["checkpoint_dir"].default == Path("checkpoints")
    with pytest.raises(UsageError, match="keep_limit must be at least 1, found 0"):
        train("nowhere", keep_limit=0)


def test_it_trains_in_a_thread(given: Given):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(train, **given).result().training.epochs == 6


def test_signals_that_the_caller_ignores_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_noted() as received:
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_without_tensorboard_it_says_so_and_trains(
    given: Given, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(logging.getLogger("unisono"), "propagate", True)
    with caplog.at_level(logging.INFO, "unisono"):
        model = train(**given)
    said = [record.getMessage() for record in caplog.records]
    curves_missing = next(place for place, line in enumerate(said) if "without TensorBoard curves" in line)
    assert "pip install" in said[curves_missing] and "[train]" in said[curves_missing]
    assert curves_missing < next(place for place, line in enumerate(said) if line.startswith("Epoch "))
    assert not (given["checkpoint_dir"] / "tensorboard").exists() and model.training.curve_path is None


def test_the_tensorboard_curves_hold_the_metrics(given: Given):
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    history = train(**given).history
    events = EventAccumulator(str(given["checkpoint_dir"] / "tensorboard" / "musicnn"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [entry["step"] for entry in history]
    found = [event.value for event in events.Scalars("val_text_to_music/mrr")]
    assert found == pytest.approx([entry["text_to_music"]["mrr"] for entry in history])


def test_resuming_into_another_folder_brings_the_best_epoch(given: Given, tmp_path: Path):
    model = train(**given)
    resumed = train(resume=model.training.last_path, checkpoint_dir=tmp_path / "other")
    assert resumed.path == tmp_path / "other" / "musicnn_best.pt"
    assert model.path is not None and resumed.path.read_bytes() == model.path.read_bytes()


def test_whitening_to_as_many_dimensions_as_there_are(given: Given):
    train(**given | {"audio_scaling": "whiten", "epochs": 2})  # of 128 wanted, 16 are there
    model = load_model(given["checkpoint_dir"] / "musicnn_best.pt")
    assert model.heads.scaling.rotation.shape == (16, 16) and model.dim == 16
    assert not torch.equal(model.heads.scaling.rotation, torch.eye(16))
    train(resume=given["checkpoint_dir"] / "musicnn_last.pt", epochs=3)
