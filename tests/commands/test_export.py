"""What was exported computes what the checkpoint does, without this package."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from tests.embeddings.encoders.tiny_text import write_bert
from tests.retrieval.train.synthetic import write_embeddings
from unisono.base.errors import UnisonoError
from unisono.cli import main
from unisono.retrieval import export_onnx as onnx_module
from unisono.retrieval.export import export
from unisono.retrieval.model import load_model
from unisono.retrieval.train.run import train

TEXTS = ["piano and choir", "slow", "dark and bright and flute and harp and organ"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    train(
        write_embeddings(folder / "data", layers=2),
        audio_encoder="musicnn",
        text_encoder=str(write_bert(folder / "encoder")),
        lora=True,
        projection="joint",
        checkpoint_dir=folder,
        epochs=3,
        dim=8,
        hidden=16,
        lora_learning_rate=0.01,
    )
    return folder / "musicnn_best.pt"


def test_export(checkpoint: Path, tmp_path: Path):
    from tokenizers import Tokenizer

    model = load_model(checkpoint)
    report = export(model, str(tmp_path))
    assert report.files["model.safetensors"] == (tmp_path / "model.safetensors").stat().st_size
    assert report.difference is not None and report.difference < 1e-4
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["tuned_text_encoder"] and config["trained_on"]["excerpts"] == 48
    assert config["onnx"]["largest_difference"] < 1e-4
    assert "musicnn" in (tmp_path / "README.md").read_text()

    # the text tower, with the tokenizer beside it
    session = onnxruntime.InferenceSession(tmp_path / config["onnx"]["file"])
    tokenizer = Tokenizer.from_file(str(tmp_path / config["onnx"]["tokenizer"]))
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]", direction=config["onnx"]["padding"])
    encoded = tokenizer.encode_batch([config["onnx"]["put_before_each_text"] + text for text in TEXTS])
    inputs = {
        "input_ids": np.array([each.ids for each in encoded]),
        "attention_mask": np.array([each.attention_mask for each in encoded]),
    }
    (vectors,) = session.run(None, inputs)
    assert np.allclose(vectors, model.embed_text(TEXTS), atol=1e-5)

    # the music's side, by the description
    tensors = load_file(tmp_path / "model.safetensors")
    audio = torch.randn(5, 2, 16)
    scaled = (audio - tensors["scaling.mean"]) * tensors["scaling.scale"]
    summed = (tensors["layer_weights"].softmax(0)[:, None] * scaled).sum(dim=1)
    vectors = torch.nn.functional.normalize(summed @ tensors["audio_head.weight"].T + tensors["audio_head.bias"], dim=1)
    assert np.allclose(vectors.numpy(), model.project_audio(audio.numpy()), atol=1e-5)


def test_an_onnx_model_that_differs_is_not_kept(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_module, "_export", lambda _, path: path.write_bytes(b"some model"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: None)
    monkeypatch.setattr(onnx_module, "_largest_difference", lambda *_: 0.5)
    with pytest.raises(UnisonoError, match=r"differs from torch by 0\.5; it was not kept"):
        export(load_model(checkpoint), tmp_path)
    assert not list(tmp_path.glob("*.onnx*")) and not list(tmp_path.glob(".*"))


def test_without_onnx(checkpoint: Path, tmp_path: Path):
    with pytest.raises(SystemExit) as ended:
        main(["export", "--checkpoint", str(checkpoint), "--output", str(tmp_path), "--no-onnx"])
    assert ended.value.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_training_leaves_a_card_and_a_curve(checkpoint: Path):
    card = (checkpoint.parent / "musicnn_card.md").read_text()
    assert "| few | 12 |" in card and "tuned with LoRA" in card and "chance" in card and "None" not in card
    assert (checkpoint.parent / "musicnn_curve.png").read_bytes().startswith(b"\x89PNG")
