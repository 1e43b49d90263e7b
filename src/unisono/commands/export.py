"""Writing a trained model as safetensors with a description, and its text tower as ONNX."""

import json
from dataclasses import asdict
from typing import Any

from safetensors.torch import save_file

from unisono import __version__
from unisono.base.files import explained, whole_file, write_whole
from unisono.commands import console
from unisono.commands.export_options import ExportOptions
from unisono.retrieval.checkpoint import Model, load_model
from unisono.retrieval.export_onnx import export_text_tower
from unisono.retrieval.train.card import model_card

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOWER = "text_tower.onnx"
CARD = "README.md"


def run(options: ExportOptions) -> None:
    """Export a checkpoint.

    Raises:
        UsageError: there is no such checkpoint.
        DataError: it is damaged.
        UnisonoError: the folder cannot be written, or the ONNX model does not compute what the torch model does.
    """
    model = load_model(options.checkpoint)
    folder = options.output_path
    with explained(folder / CONFIG):
        folder.mkdir(parents=True, exist_ok=True)
    adapter = {f"text_encoder.{name}": tensor for name, tensor in model.checkpoint.adapter.items()}
    tensors = {**model.heads.state_dict(), **adapter}
    with whole_file(folder / WEIGHTS) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
    found = config(model)
    if options.onnx:
        found["onnx"] = export_text_tower(model, folder / TOWER)
    write_whole(folder / CONFIG, json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    write_whole(folder / CARD, model_card(model.checkpoint))
    console.out.print(f"Exported to {folder}:", soft_wrap=True)
    for path in sorted(folder.iterdir()):
        console.out.print(f"  {path.name}  {path.stat().st_size:,} bytes", soft_wrap=True)
    if options.onnx:
        console.out.print(
            f"ONNX and torch agree to {found['onnx']['largest_difference']:.1e} on {found['onnx']['checked']}."
        )


def config(model: Model) -> dict[str, Any]:
    """Describe a model so that a program in any language can use its weights."""
    checkpoint = model.checkpoint
    trained_on = asdict(checkpoint.trained_on)
    del trained_on["digests"], trained_on["val_digests"]
    return {
        "format": "unisono export",
        "version": 1,
        "unisono": __version__,
        "architecture": checkpoint.architecture.record(),
        "audio_encoder": asdict(checkpoint.audio_encoder),
        "text_encoder": asdict(checkpoint.text_encoder),
        "tuned_text_encoder": bool(checkpoint.adapter),
        "training_options": checkpoint.options,
        "trained_on": trained_on,
        "validation": checkpoint.metrics,
        "how_to": {
            "text": "text_head(text embedding), scaled to length 1; an mlp head is linear 0, GELU (exact), linear 3",
            "audio": "sum over layers l of softmax(layer_weights)[l] * (embedding[l] - scaling.mean[l]) * scaling.scale[l], "
            "times scaling.rotation if it is not empty, through audio_head if there is one, scaled to length 1",
            "score": "dot product of both",
        },
    }


def export(options: ExportOptions) -> None:
    """Write a trained model as safetensors with a description, and its text tower as ONNX."""
    run(options)
