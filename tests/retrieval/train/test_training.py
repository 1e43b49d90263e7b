"""The loop: what it learns, how it stops, and that it goes on exactly where it stopped."""

import os
import random
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from unisono.base.errors import UnisonoError, UsageError
from unisono.commands import train as run_module
from unisono.retrieval.checkpoint import load, load_model, save
from unisono.retrieval.model import Architecture, RetrievalModel
from unisono.retrieval.train.data import Batch, read
from unisono.retrieval.train.loop import InterruptionError, learning_rate
from unisono.retrieval.train.options import TrainOptions
from unisono.retrieval.train.step import Step, StoredTexts

run = run_module.run


@pytest.fixture
def options(tmp_path: Path, words: WordEncoder) -> TrainOptions:
    write_embeddings(tmp_path / "data")
    return TrainOptions(
        audio_encoder="musicnn",
        data_dir=tmp_path / "data",
        checkpoint_dir=tmp_path / "checkpoints",
        epochs=6,
        batch_size=10,
        hidden=16,
    )


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


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(options: TrainOptions, tmp_path: Path):
    content = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(replace(options, checkpoint_dir=tmp_path / folder, seed=seed))
        content.append(load(tmp_path / folder / "musicnn_last.pt").weights)
    one, same, other = content
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_interrupted_twenty_times_ends_with_the_same_bytes(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
):
    whole = replace(options, epochs=8)
    steps = run(whole).step
    last = whole.checkpoint_dir / "musicnn_last.pt"
    expected = {path.name: path.read_bytes() for path in whole.checkpoint_dir.glob("*.pt")}
    assert len(expected) == 2
    shutil.rmtree(whole.checkpoint_dir)
    parts = whole
    for step in sorted(random.Random(0).sample(range(steps), 20)):
        with monkeypatch.context() as patch:
            interrupt_at(step, patch)
            with pytest.raises(InterruptionError, match="SIGTERM received at step") as stopped:
                run(parts)
        assert stopped.value.exit_code == 128 + signal.SIGTERM
        assert load(last).progress["step"] == step + 1
        parts = TrainOptions(resume=last)
    run(parts)
    assert {path.name: path.read_bytes() for path in whole.checkpoint_dir.glob("*.pt")} == expected


def test_training_for_longer(options: TrainOptions):
    run(options)
    last = options.checkpoint_dir / "musicnn_last.pt"
    progress = run(TrainOptions(resume=last, epochs=9))
    assert progress.epoch == 9 and [entry["epoch"] for entry in progress.history] == list(range(1, 10))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch_size": 11}, "--batch-size 11 is not what"),
        ({"projection": "joint"}, "--projection joint is not what"),
        ({"audio_encoder": "dsp"}, "--audio-encoder dsp is not what"),
    ],
)
def test_resuming_with_other_options_is_refused(options: TrainOptions, change: dict, says: str):
    run(options)
    with pytest.raises(UsageError, match=says):
        run(replace(TrainOptions(), resume=options.checkpoint_dir / "musicnn_last.pt", **change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"counts": (47, 12, 12)}, "is not the one that"),
        ({"dim": 17}, "with dim 16;.*has 17"),
    ],
)
def test_resuming_on_other_data_is_refused(options: TrainOptions, tmp_path: Path, change: dict, says: str):
    run(options)
    write_embeddings(tmp_path / "other", **change)
    with pytest.raises(UsageError, match=says):
        run(TrainOptions(resume=options.checkpoint_dir / "musicnn_last.pt", data_dir=tmp_path / "other"))


def test_early_stopping(options: TrainOptions):
    progress = run(replace(options, epochs=60, patience=3, learning_rate=0.01))
    assert progress.epoch == progress.best_epoch + 3 < 60
    best = load(options.checkpoint_dir / "musicnn_best.pt")
    assert best.metrics["epoch"] == progress.best_epoch
    scores = [entry["text_to_music"]["mrr"] for entry in progress.history]
    assert max(scores) == scores[progress.best_epoch - 1] == progress.best


def test_without_val_the_last_epoch_is_the_best(options: TrainOptions, tmp_path: Path):
    write_embeddings(tmp_path / "noval", (20, 0, 0))
    progress = run(replace(options, data_dir=tmp_path / "noval", patience=1))
    assert progress.best_epoch == progress.epoch == 6
    assert "text_to_music" not in progress.history[-1]


def test_a_loss_that_is_no_number_stops_the_run(options: TrainOptions, monkeypatch: pytest.MonkeyPatch):
    run(replace(options, epochs=1))
    last = options.checkpoint_dir / "musicnn_last.pt"
    before = last.read_bytes()
    monkeypatch.setattr(Step, "loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(UnisonoError, match=r"became nan at step 4 \(epoch 2\).*ids: synthetic_\d+, synthetic_"):
        run(TrainOptions(resume=last, epochs=3))
    assert last.read_bytes() == before


def test_periodic_checkpoints(options: TrainOptions):
    run(replace(options, epochs=9, keep_every=2, keep_limit=2))
    kept = sorted(path.name for path in options.checkpoint_dir.glob("*_epoch*.pt"))
    assert kept == ["musicnn_epoch00006.pt", "musicnn_epoch00008.pt"]
    last = (options.checkpoint_dir / "musicnn_last.pt").read_bytes()
    run(TrainOptions(resume=options.checkpoint_dir / "musicnn_epoch00006.pt"))
    assert (options.checkpoint_dir / "musicnn_last.pt").read_bytes() == last


def test_mixing_and_tag_dropout_go_on_exactly(options: TrainOptions, monkeypatch: pytest.MonkeyPatch):
    mixed = replace(options, mix_datasets=("few=3",), mix_origins=("tags=0.5",), mix_temperature=2.0, tag_dropout=0.3)
    run(mixed)
    last = options.checkpoint_dir / "musicnn_last.pt"
    expected = last.read_bytes()
    last.unlink()
    with monkeypatch.context() as patch:
        interrupt_at(5, patch)
        with pytest.raises(InterruptionError):
            run(mixed)
    run(TrainOptions(resume=last))
    assert last.read_bytes() == expected


@pytest.mark.parametrize(("layers", "windows"), [(1, 1), (3, 2)])
def test_windows_go_on_exactly(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: int, windows: int
):
    write_embeddings(tmp_path / "windows", windows=4, layers=layers)
    pooled = replace(options, data_dir=tmp_path / "windows")
    windowed = replace(pooled, audio_windows=windows, tag_dropout=0.3, micro_batch=4)
    run(windowed)
    last = options.checkpoint_dir / "musicnn_last.pt"
    expected = last.read_bytes()
    last.unlink()
    with monkeypatch.context() as patch:
        interrupt_at(7, patch)
        with pytest.raises(InterruptionError):
            run(windowed)
    run(TrainOptions(resume=last))
    assert last.read_bytes() == expected
    with pytest.raises(UsageError, match="--audio-windows 5 is not what"):
        run(TrainOptions(resume=last, audio_windows=5))
    run(replace(windowed, audio_windows=None))
    assert not torch.equal(load(last).weights["text_head.0.weight"], _weights(expected, tmp_path))


def _weights(content: bytes, folder: Path) -> torch.Tensor:
    (folder / "content.pt").write_bytes(content)
    return load(folder / "content.pt").weights["text_head.0.weight"]


def test_a_checkpoint_of_before_an_option_goes_on_without_it(options: TrainOptions, tmp_path: Path):
    write_embeddings(options.data_path, windows=3)
    run(options)
    last = options.checkpoint_dir / "musicnn_last.pt"
    found = load(last)
    del found.options["audio_windows"]
    save(last, found)
    with pytest.raises(UsageError, match=r"--audio-windows 1 is not what .* was trained with \(None\)"):
        run(TrainOptions(resume=last, audio_windows=1))
    assert run(TrainOptions(resume=last, epochs=7)).epoch == 7


def test_fewer_excerpts_than_a_batch(options: TrainOptions):
    assert run(replace(options, batch_size=500)).step == 6


@pytest.mark.parametrize("loss", ["infonce", "siglip"])
@pytest.mark.parametrize("projection", ["text", "joint"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_kind_learns(options: TrainOptions, loss: str, projection: str, precision: str):
    kind = replace(
        options, loss=loss, projection=projection, precision=precision, epochs=40, learning_rate=0.005, dim=16
    )
    history = run(kind).history
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["text_to_music"]["mrr"] > 0.45  # chance is 0.26


def test_layers_are_learned(options: TrainOptions, tmp_path: Path):
    write_embeddings(tmp_path / "layers", layers=3)
    run(replace(options, data_dir=tmp_path / "layers", projection="joint"))
    weights = load(options.checkpoint_dir / "musicnn_last.pt").weights["layer_weights"]
    assert weights.shape == (3,) and weights.abs().max() > 0


@pytest.mark.parametrize("learn", [True, False])
def test_temperature(options: TrainOptions, learn: bool):
    temperatures = [entry["temperature"] for entry in run(replace(options, learn_temperature=learn)).history]
    assert all((found == pytest.approx(0.1)) is not learn for found in temperatures)


@pytest.mark.parametrize("loss", ["infonce", "siglip"])
@pytest.mark.parametrize("projection", ["text", "joint"])
def test_parts_give_the_gradient_of_the_whole_batch(
    options: TrainOptions, loss: str, projection: str, words: WordEncoder
):
    _, train, _ = read(options.data_path, "musicnn")
    embeddings = torch.from_numpy(words.embed(train.rows.captions))

    class Texts(StoredTexts):
        def __init__(self):
            pass

        def __call__(self, captions):
            return embeddings[captions]

    gradients = []
    for micro in (None, 4):
        kind = replace(options, loss=loss, projection=projection, micro_batch=micro, audio_noise=0.0)
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
        )
        model = RetrievalModel(architecture)
        batch = Batch(train.rows.caption_of[:22:2], (train.rows.caption_of[:22:2] * 2))
        value = Step(model, train, Texts(), kind)(batch, 0)
        gradients.append([value, *(each.grad for each in model.parameters() if each.grad is not None)])
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-6)
    for whole, parts in zip(gradients[0][1:], gradients[1][1:], strict=True):
        assert torch.allclose(whole, parts, atol=1e-6)
    assert len(gradients[0]) > 4


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
def test_options_out_of_range_are_refused(wrong: dict):
    with pytest.raises(UsageError, match="--" + next(iter(wrong)).replace("_", "-")):
        TrainOptions(**wrong)


def test_whitening_to_as_many_dimensions_as_there_are(options: TrainOptions):
    run(replace(options, audio_scaling="whiten", epochs=2))  # of 128 wanted, 16 are there
    model = load_model(options.checkpoint_dir / "musicnn_best.pt")
    assert model.heads.scaling.rotation.shape == (16, 16) and model.dim == 16
    assert not torch.equal(model.heads.scaling.rotation, torch.eye(16))
    run(TrainOptions(resume=options.checkpoint_dir / "musicnn_last.pt", epochs=3))
