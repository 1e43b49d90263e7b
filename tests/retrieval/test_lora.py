"""LoRA on a tiny random text encoder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.embeddings.encoders.tiny_text import write_bert
from tests.retrieval.train.synthetic import write_embeddings
from tests.retrieval.train.test_training import interrupt_at
from unisono.commands.train import run
from unisono.embeddings.encoders import text
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.checkpoint import load, load_model
from unisono.retrieval.lora import TunedTexts, adapters, add_adapters
from unisono.retrieval.model import Architecture, RetrievalModel
from unisono.retrieval.train.data import Batch, read
from unisono.retrieval.train.loop import InterruptionError
from unisono.retrieval.train.options import TrainOptions
from unisono.retrieval.train.step import Step


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainOptions:
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "captions"))
    write_embeddings(tmp_path / "data")
    return TrainOptions(
        audio_encoder="musicnn",
        text_encoder=str(write_bert(tmp_path / "encoder")),
        lora=True,
        loss="siglip",
        projection="joint",
        data_dir=tmp_path / "data",
        checkpoint_dir=tmp_path / "checkpoints",
        epochs=12,
        batch_size=16,
        dim=16,
        hidden=16,
        text_head="linear",
        learning_rate=0.01,
        lora_learning_rate=0.01,
        threads=1,
    )


def test_a_tuned_encoder_learns_and_is_rebuilt_from_the_checkpoint(options: TrainOptions):
    progress = run(options)
    assert progress.history[-1]["loss"] < progress.history[0]["loss"]
    checkpoint = load(options.checkpoint_dir / "musicnn_last.pt")
    assert len(checkpoint.adapter) > 10
    assert all(tensor.any() for name, tensor in checkpoint.adapter.items() if "lora_B" in name)  # they begin as zero
    model = load_model(options.checkpoint_dir / "musicnn_last.pt")
    with open_embeddings(options.data_path) as file:
        rows = file.read("val")
    found = model.embed_text(rows.captions, cached=True) @ model.project_audio(rows.embeddings["musicnn"]).T
    right = found[np.arange(len(rows.captions)), rows.caption_of]
    place = (found > right[:, None]).sum(axis=1) + 1
    assert (1 / place).mean() == pytest.approx(progress.history[-1]["text_to_music"]["mrr"], abs=0.02)
    untuned = text.build(options.text_encoder)
    assert not np.allclose(untuned.embed(rows.captions), model.text_encoder.embed(rows.captions), atol=1e-3)


def test_resuming_a_tuned_encoder_is_exact(options: TrainOptions, monkeypatch: pytest.MonkeyPatch):
    options = replace(options, epochs=3, lora_dropout=0.3)
    run(options)
    last = options.checkpoint_dir / "musicnn_last.pt"
    expected = last.read_bytes()
    last.unlink()
    with monkeypatch.context() as patch:
        interrupt_at(4, patch)
        with pytest.raises(InterruptionError):
            run(options)
    run(TrainOptions(resume=last))
    assert last.read_bytes() == expected


def test_parts_give_the_gradient_of_the_whole_batch(options: TrainOptions):
    _, train, _ = read(options.data_path, "musicnn")
    architecture = Architecture(
        text_dim=24,
        audio_dim=16,
        layers=1,
        projection="joint",
        dim=16,
        scaled_dim=16,
        text_head="linear",
        audio_head="linear",
        hidden=8,
        dropout=0.0,
    )
    gradients = []
    for micro in (None, 3):
        torch.manual_seed(1)
        encoder = text.build(options.text_encoder)
        add_adapters(encoder, 4, dropout=0.3)
        for parameter in adapters(encoder):
            parameter.data = torch.randn_like(parameter) * 0.1
        step = Step(
            RetrievalModel(architecture),
            train,
            TunedTexts(encoder, train.rows.captions),
            replace(options, micro_batch=micro, audio_noise=0.0, lora_dropout=0.0),
        )
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        step(Batch(np.arange(10), np.arange(10) * 2), 0)
        gradients.append([parameter.grad for parameter in step.trained()])
    assert all(each is not None and each.any() for each in gradients[0])
    for whole, parts in zip(*gradients, strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)
