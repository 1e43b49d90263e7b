"""What was exported computes what the checkpoint does, without this package."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from tests.embeddings.encoders.tiny_text import write_bert
from tests.loaded import python
from tests.retrieval.train.synthetic import write_embeddings
from unisono.base import files
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.cli import main
from unisono.commands.options import the_checkpoint
from unisono.embeddings.file import open_embeddings
from unisono.retrieval import export as export_module
from unisono.retrieval import export_onnx as onnx_module
from unisono.retrieval.evaluate.result import Result
from unisono.retrieval.evaluate.run import evaluate
from unisono.retrieval.export import ExportReport, export
from unisono.retrieval.model import load_model
from unisono.retrieval.model_card import model_card
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


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportReport, Result]:
    """A folder for the hub with all that an export can hold, what was reported of it, and the result in its card."""
    folder = tmp_path_factory.mktemp("exported") / "mine"
    result = evaluate(load_model(checkpoint), checkpoint.parent / "data", split="val")
    result.write(folder.parent / "val.json")
    results = [folder.parent / "val.json"]
    return folder, export(load_model(checkpoint), str(folder), to="hub-folder", results=results), result


def test_export(checkpoint: Path, exported: tuple[Path, ExportReport, Result]):
    from tokenizers import Tokenizer

    model, (folder, report, _) = load_model(checkpoint), exported
    assert report.files["model.safetensors"] == (folder / "model.safetensors").stat().st_size
    assert report.difference is not None and report.difference < 1e-4
    config = json.loads((folder / "config.json").read_text())
    assert config["tuned_text_encoder"] and config["trained_on"]["excerpts"] == 48
    assert config["onnx"]["largest_difference"] < 1e-4
    assert "musicnn" in (folder / "README.md").read_text()

    # the text tower, with the tokenizer next to it
    session = onnxruntime.InferenceSession(folder / config["onnx"]["file"])
    tokenizer = Tokenizer.from_file(str(folder / config["onnx"]["tokenizer"]))
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]", direction=config["onnx"]["padding"])
    encoded = tokenizer.encode_batch([config["onnx"]["put_before_each_text"] + text for text in TEXTS])
    inputs = {
        "input_ids": np.array([each.ids for each in encoded]),
        "attention_mask": np.array([each.attention_mask for each in encoded]),
    }
    (vectors,) = session.run(None, inputs)
    assert np.allclose(vectors, model.embed_text(TEXTS), atol=1e-5)

    # the music's side, by the description
    tensors = load_file(folder / "model.safetensors")
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
    from huggingface_hub import ModelCard

    assert 'load_model("musicnn_best.pt")' in card and ModelCard(card).data.to_dict()["license_name"] == "see-the-card"
    assert (checkpoint.parent / "musicnn_curve.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_in_a_checkpoint_becomes_markup(checkpoint: Path):
    found = load_model(checkpoint).checkpoint
    evil = "<img src=x onerror=alert(1)>|[x](javascript:alert(1))"
    data = replace(found.trained_on, datasets={evil: 3}, licenses={evil: 3}, origins={evil: 3})
    card = model_card(
        replace(
            found,
            trained_on=data,
            audio_encoder=replace(found.audio_encoder, license=evil),
            text_encoder=replace(found.text_encoder, source=evil),
            options=found.options | {"loss": evil},
        ),
        "mine_best.pt",
    )
    bare = card.replace("\\<", "").replace("\\[", "").replace("\\]", "").replace("\\|", "")
    assert card.count("onerror") == 7 and not any(mark in bare for mark in ("<img", "](", "[x"))


def export_quickly(checkpoint: Path, folder: Path, **more):
    return export(load_model(checkpoint), folder, onnx=False, **more)


@pytest.mark.parametrize(("place", "earlier"), [("save", True), ("description", False), ("model_card", True)])
def test_an_export_that_fails_leaves_what_was_there(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, earlier: bool
):
    folder = tmp_path / "out"
    if earlier:
        export_quickly(checkpoint, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()} if earlier else {}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(export_module, place, full)
        with pytest.raises(UnisonoError, match="No space left"):
            export_quickly(checkpoint, folder, overwrite=True)
    assert folder.exists() is earlier
    assert ({path.name: path.read_bytes() for path in folder.iterdir()} if earlier else {}) == before
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if earlier else [])
    assert export_quickly(checkpoint, folder, overwrite=True).files
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_earlier_export_is_replaced_only_if_asked_and_anything_else_never(checkpoint: Path, tmp_path: Path):
    folder = tmp_path / "out"
    export_quickly(checkpoint, folder)
    before = (folder / "config.json").stat().st_ino
    with pytest.raises(UsageError, match="holds an export already") as refused:
        export_quickly(checkpoint, folder)
    assert "--overwrite" in refused.value.hint and (folder / "config.json").stat().st_ino == before
    export_quickly(checkpoint, folder, overwrite=True)
    assert (folder / "config.json").stat().st_ino != before
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not an export"):
        export_quickly(checkpoint, folder, overwrite=True)
    assert (folder / "mine.txt").read_text() == "mine"
    with pytest.raises(UsageError, match="is not an export"):
        export_quickly(checkpoint, folder / "mine.txt", overwrite=True)


def test_an_export_names_no_folder_of_this_machine(checkpoint: Path, tmp_path: Path):
    export_quickly(checkpoint, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        assert str(checkpoint.parent).encode() not in content, path.name
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["training_options"]["epochs"] == 3 and config["text_encoder"]["name"] == "encoder"


def test_what_killed_exports_left_is_removed(checkpoint: Path, tmp_path: Path):
    host = files.partial_path(tmp_path / "x").name.split(".")[-2].rpartition("-")[0]
    left = tmp_path / f".out.{host}-4194305.partial"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    export_quickly(checkpoint, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_only_checkpoint_is_the_default(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="There is no checkpoint in checkpoints") as refused:
        the_checkpoint(None)
    assert "unisono train" in refused.value.hint
    (tmp_path / "checkpoints").mkdir()
    for name in ("musicnn_best.pt", "musicnn_last.pt", "musicnn_epoch00010.pt"):
        shutil.copy(checkpoint, tmp_path / "checkpoints" / name)
    assert the_checkpoint(None) == Path("checkpoints/musicnn_best.pt")
    assert the_checkpoint(Path("x.pt")) == Path("x.pt")
    with pytest.raises(SystemExit) as ended:
        main(["export", "--no-onnx"])
    assert ended.value.code == 0 and (tmp_path / "checkpoints" / "musicnn_best" / "config.json").is_file()
    shutil.copy(checkpoint, tmp_path / "checkpoints" / "muq_best.pt")
    with pytest.raises(
        UsageError, match=r"several checkpoints: checkpoints/muq_best\.pt, checkpoints/musicnn_best\.pt"
    ):
        the_checkpoint(None)


def test_a_hub_folder_has_a_card_that_the_hub_accepts_and_loads_with_and_without_unisono(
    checkpoint: Path, exported: tuple[Path, ExportReport, Result], tmp_path: Path
) -> None:
    from huggingface_hub import ModelCard

    folder, report, result = exported
    assert {"README.md", "config.json", "model.safetensors", "text_tower.onnx", "unisono_model.py"} <= set(report.files)
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "unisono" and card.data.model_name == "mine"
    recall = next(each for each in card.data.eval_results if each.metric_type == "recall@10")
    assert recall.metric_value == round(result.retrieval["text_to_music"]["all"].estimates["recall@10"].value, 4)
    assert "Ties count against the model" in card.text and "licence" in card.text
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['unisono', *(each for each in sys.modules if each.startswith('unisono.'))]))\n"
        "import numpy as np\nfrom unisono_model import load\nmodel = load('.')\n"
        f"music = np.load({str(tmp_path / 'music.npy')!r})\n"
        f"np.savez({str(tmp_path / 'found.npz')!r}, text=model.embed_text({TEXTS!r}), music=model.project_audio(music))\n"
    )
    model = load_model(checkpoint)
    with open_embeddings(checkpoint.parent / "data") as file:
        music = file.read("val", ["musicnn"]).embeddings["musicnn"].astype(np.float32)
    np.save(tmp_path / "music.npy", music)
    done = python("-c", script, cwd=folder)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_allclose(found["text"], model.embed_text(TEXTS), atol=1e-4)
        np.testing.assert_allclose(found["music"], model.project_audio(music), atol=1e-5)
    again = load_model(folder)
    np.testing.assert_array_equal(again.project_audio(music), model.project_audio(music))
    assert not again.trained_on.digests


def test_a_folder_that_is_no_export_or_was_altered_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not an export"):
        load_model(tmp_path)
    folder = tmp_path / "mine"
    export(load_model(checkpoint), folder, onnx=False)
    config = json.loads((folder / "config.json").read_text())
    config["architecture"]["dim"] = 9
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="not of an export"):
        load_model(folder)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        load_model(folder)
