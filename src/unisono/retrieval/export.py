"""Export a trained model for other programs: safetensors with a description, and the text tower as ONNX."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save

from unisono import __version__
from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.errors import DataError, UsageError
from unisono.base.extras import require
from unisono.base.files import expanded, explained, partial_path, remove_left_behind, whole_folder
from unisono.embeddings.encoders.exported_files import CONFIG, PART, TOWER, WEIGHTS
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.evaluate.result import Result, read_result
from unisono.retrieval.export_onnx import ONNX_PACKAGES, TOKENIZER, export_text_tower
from unisono.retrieval.exported import ADAPTER
from unisono.retrieval.hub_folder import LOADER, write_hub_files
from unisono.retrieval.model import Model
from unisono.retrieval.model_card import model_card

TEXT_TOWER = "text_tower.onnx"
CARD = "README.md"
TUNED_TOWER = (
    "that of the published weights, in which the tensors named audio_encoder. take the place of its own by name; those with "
    "lora_A and lora_B are adapters: add 2 B A to the weight of the layer that they are in. Embed with it by: "
    "unisono prepare --encoders FOLDER/model.safetensors"
)
PRIVATE = ("data_root", "data_dir", "checkpoint_dir", "resume")
"""Options that say where things lie on this machine."""


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
def export(
    model: Model,
    output: AnyPath | None = None,
    *,
    to: Literal["folder", "hub-folder"] = "folder",
    results: Sequence[AnyPath] | None = None,
    onnx: bool = True,
    overwrite: bool = False,
) -> ExportReport:
    """Write a model as safetensors with a description, and its text tower as ONNX. The folder appears whole or not at all.

    Args:
        model: the model.
        output: folder to write to. Default: next to the checkpoint, with its name.
        to: "hub-folder" adds what the Hugging Face Hub shows, and a loader that needs no unisono.
        results: JSON files of `evaluate` that the card of a hub-folder lists. Default: those next to the checkpoint.
        onnx: also write the text tower, which is the text encoder and its head together, as ONNX.
        overwrite: replace an earlier export, which is otherwise an error.

    Raises:
        UsageError: the model was not read from a file and there is no `output`, packages of ONNX are not installed, or
            the folder is there already.
        UnisonoError: the folder cannot be written, or the ONNX model does not compute what the torch model does.
    """
    if onnx:
        require("export", "Exporting to ONNX", ONNX_PACKAGES)
    if output is None:
        if model.path is None:
            raise UsageError("output must be a folder: the model was not read from a file.", parameter="output")
        output = model.path.with_suffix("")
    folder = as_path(output)
    _refuse_to_lose(folder, overwrite=overwrite)
    with _replacing(folder) as new:
        found = _write(model, new, onnx=onnx)
        if to == "hub-folder":
            write_hub_files(new, folder.name, _public_checkpoint(model), _results(model, results))
    return ExportReport(
        folder=folder,
        files={path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        difference=found["onnx"]["largest_difference"] if onnx else None,
        checked=found["onnx"]["checked"] if onnx else "",
    )


def _write(model: Model, folder: Path, *, onnx: bool) -> dict[str, Any]:
    """Write the files of an export, and return its description."""
    public = _public_checkpoint(model)
    adapter = {f"{ADAPTER}{name}": tensor for name, tensor in model.checkpoint.adapter.items()}
    tower = (
        {f"{PART}{name}": each for name, each in model.checkpoint.tower.tensors.items()}
        if model.checkpoint.tower
        else {}
    )
    tensors = {**model.heads.state_dict(), **adapter, **tower}
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    (folder / WEIGHTS).write_bytes(content)  # its own writing hides errors of the operating system
    found = description(model)
    if onnx:
        found["onnx"] = export_text_tower(model, folder / TEXT_TOWER)
    (folder / CONFIG).write_text(
        json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    (folder / CARD).write_text(model_card(public, folder.name), encoding="utf-8")
    return found


def _public_checkpoint(model: Model) -> Checkpoint:
    """Return the checkpoint without the folders of this machine."""
    spec = TextEncoderSpec(**_public(asdict(model.checkpoint.text_encoder)))
    return replace(model.checkpoint, text_encoder=spec)


def _results(model: Model, given: Sequence[AnyPath] | None) -> list[Result]:
    """Read the results for the card.

    Raises:
        UsageError, DataError: a file that was named is missing, or is not a result.
    """
    if given is not None:
        return [read_result(as_path(path)) for path in given]
    found = []
    for path in sorted(model.path.parent.glob(f"{model.path.stem}_*.json")) if model.path else []:
        with suppress(DataError):
            found.append(read_result(path))
    return found


def _refuse_to_lose(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything, unless it is an earlier export that may be replaced."""
    with explained(folder):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not names or not names <= {WEIGHTS, CONFIG, TEXT_TOWER, TOKENIZER, CARD, LOADER}:
        raise UsageError(
            f"{folder} is there already, and is not an export.",
            hint="Choose another folder with output (--output).",
            parameter="output",
        )
    if not overwrite:
        raise UsageError(
            f"{folder} holds an export already.",
            hint="Choose another folder with output (--output), or replace it with overwrite=True (--overwrite).",
        )


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder that takes the place of `folder` when the block ends without an error."""
    if not folder.exists():
        with whole_folder(folder) as partial:
            yield partial
        return
    earlier = partial_path(folder.with_name(f"{folder.name}.earlier"))
    remove_left_behind(folder)
    remove_left_behind(folder.with_name(f"{folder.name}.earlier"))
    with whole_folder(folder.with_name(f"{folder.name}.new")) as partial:
        yield partial
    with explained(folder):
        folder.replace(earlier)
        folder.with_name(f"{folder.name}.new").replace(folder)
        shutil.rmtree(earlier, ignore_errors=True)


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
        "text_encoder": _public(asdict(checkpoint.text_encoder)),
        "tuned_text_encoder": bool(checkpoint.adapter),
        **({TOWER: replace(checkpoint.tower, tensors={}).content()} if checkpoint.tower else {}),
        "training_options": _public(checkpoint.options),
        "trained_on": trained_on,
        "validation": checkpoint.metrics,
        "how_to": {
            "text": "text_head(text embedding), scaled to length 1; an mlp head is linear 0, GELU (exact), linear 3",
            "audio": "sum over layers l of softmax(layer_weights)[l] * (embedding[l] - scaling.mean[l]) * scaling.scale[l], "
            "times scaling.rotation if it is not empty, through audio_head if there is one, scaled to length 1",
            "score": "dot product of both",
            **({"audio_encoder": TUNED_TOWER} if checkpoint.tower else {}),
        },
    }


def _public(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings without the folders of this machine: of a path, only its last part."""
    kept = {name: value for name, value in values.items() if name not in PRIVATE}
    return {
        name: Path(value).name if isinstance(value, str) and expanded(value).is_absolute() else value
        for name, value in kept.items()
    }
