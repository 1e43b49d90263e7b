"""Export a trained model for other programs: safetensors with a description, and the text tower as ONNX."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from unisono import __version__
from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.errors import UsageError
from unisono.base.files import explained, whole_file, write_whole
from unisono.retrieval.export_onnx import export_text_tower
from unisono.retrieval.model import Model
from unisono.retrieval.model_card import model_card

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOWER = "text_tower.onnx"
CARD = "README.md"


@dataclass(frozen=True)
class ExportReport:
    """What was exported."""

    folder: Path
    files: dict[str, int]
    """Name -> bytes, of all files in the folder."""
    difference: float | None
    """Largest difference of a number between ONNX and torch; None without ONNX."""
    checked: str = ""
    """What they were compared on."""

    def __repr__(self) -> str:
        lines = [f"Exported to {self.folder}:"]
        lines += [f"  {name}  {size:,} bytes" for name, size in self.files.items()]
        if self.difference is not None:
            lines.append(f"ONNX and torch agree to {self.difference:.1e} on {self.checked}.")
        return "\n".join(lines)


@checked
def export(model: Model, output: AnyPath | None = None, *, onnx: bool = True) -> ExportReport:
    """Write a model as safetensors with a description, and its text tower as ONNX.

    Args:
        model: the model.
        output: folder to write to. Default: next to the checkpoint, with its name.
        onnx: also write the text tower, which is the text encoder and its head together, as ONNX.

    Raises:
        UsageError: the model was not read from a file and there is no `output`, or packages of ONNX are not installed.
        UnisonoError: the folder cannot be written, or the ONNX model does not compute what the torch model does.
    """
    if output is None:
        if model.path is None:
            raise UsageError("output must be a folder: the model was not read from a file.", parameter="output")
        output = model.path.with_suffix("")
    folder = as_path(output)
    with explained(folder / CONFIG):
        folder.mkdir(parents=True, exist_ok=True)
    adapter = {f"text_encoder.{name}": tensor for name, tensor in model.checkpoint.adapter.items()}
    tensors = {**model.heads.state_dict(), **adapter}
    with whole_file(folder / WEIGHTS) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
    found = description(model)
    if onnx:
        found["onnx"] = export_text_tower(model, folder / TOWER)
    write_whole(folder / CONFIG, json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    write_whole(folder / CARD, model_card(model.checkpoint))
    return ExportReport(
        folder=folder,
        files={path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        difference=found["onnx"]["largest_difference"] if onnx else None,
        checked=found["onnx"]["checked"] if onnx else "",
    )


def description(model: Model) -> dict[str, Any]:
    """Return what a program in any language needs to use the weights."""
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
