"""LoRA on a tiny random text encoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.embeddings.encoders.tiny_text import write_bert
from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from tests.retrieval.train.test_training import check_it_goes_on
from unisono.base.errors import UsageError
from unisono.embeddings.encoders import text
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.checkpoint import load
from unisono.retrieval.export import export
from unisono.retrieval.heads import Architecture, ProjectionHeads
from unisono.retrieval.lora import TunedTexts, adapters, add_adapters
from unisono.retrieval.model import load_model
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.data import Batch, read
from unisono.retrieval.train.run import train
from unisono.retrieval.train.step import Step


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Arguments of `train`."""
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "captions"))
    return {
        "embeddings": write_embeddings(tmp_path / "data"),
        "audio_encoder": "musicnn",
        "text_encoder": str(write_bert(tmp_path / "encoder")),
        "lora": True,
        "loss": "siglip",
        "projection": "joint",
        "checkpoint_dir": tmp_path / "checkpoints",
        "epochs": 12,
        "batch_size": 16,
        "dim": 16,
        "hidden": 16,
        "text_head": "linear",
        "learning_rate": 0.01,
        "lora_learning_rate": 0.01,
        "threads": 1,
    }


def test_a_tuned_encoder_learns_and_is_rebuilt_from_the_checkpoint(given: dict[str, Any]):
    history = train(**given).history
    assert history[-1]["loss"] < history[0]["loss"]
    checkpoint = load(given["checkpoint_dir"] / "musicnn_last.pt")
    assert len(checkpoint.adapter) > 10
    assert all(tensor.any() for name, tensor in checkpoint.adapter.items() if "lora_B" in name)  # they begin as zero
    model = load_model(given["checkpoint_dir"] / "musicnn_last.pt")
    with open_embeddings(given["embeddings"]) as file:
        rows = file.read("val")
    found = model.embed_text(rows.captions, cached=True) @ model.project_audio(rows.embeddings["musicnn"]).T
    right = found[np.arange(len(rows.captions)), rows.caption_of]
    place = (found > right[:, None]).sum(axis=1) + 1
    assert (1 / place).mean() == pytest.approx(history[-1]["text_to_music"]["mrr"], abs=0.02)
    untuned = text.build(given["text_encoder"])
    assert not np.allclose(untuned.embed(list(rows.captions)), model.text_encoder.embed(list(rows.captions)), atol=1e-3)


def test_resuming_a_tuned_encoder_is_exact(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    check_it_goes_on(given | {"epochs": 3, "lora_dropout": 0.3}, 4, monkeypatch)


def test_parts_give_the_gradient_of_the_whole_batch(given: dict[str, Any]):
    with open_embeddings(given["embeddings"]) as file:
        data = read([file], "musicnn").train
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
        encoder = text.build(given["text_encoder"])
        add_adapters(encoder, 4, dropout=0.3)
        for parameter in adapters(encoder):
            parameter.data = torch.randn_like(parameter) * 0.1
        step = Step(
            ProjectionHeads(architecture),
            data,
            TunedTexts(encoder, data.rows.captions),
            TrainingConfig(loss="siglip", projection="joint", micro_batch=micro, audio_noise=0.0),
        )
        assert isinstance(encoder, torch.nn.Module)
        for module in encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        step(Batch(np.arange(10), np.arange(10) * 2), 0)
        gradients.append([parameter.grad for parameter in step.trained()])
    assert all(each is not None and each.any() for each in gradients[0])
    for whole, parts in zip(*gradients, strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_an_encoder_that_can_only_embed_is_refused_in_words(given: dict[str, Any], words: WordEncoder, tmp_path: Path):
    with pytest.raises(UsageError, match="minilm can embed captions, but it cannot be tuned"):
        train(**given | {"text_encoder": "minilm"})
    model = train(**given | {"text_encoder": "minilm", "lora": False})
    with pytest.raises(UsageError, match="minilm can embed captions, but it cannot be exported"):
        export(model, tmp_path / "export")
