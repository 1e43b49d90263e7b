"""`unisono export`: a trained model for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from unisono.base.errors import UsageError
from unisono.base.extras import extra, require
from unisono.commands import console
from unisono.commands.options import model_of


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `unisono export`."""

    checkpoint: Path | None = None
    """The model to export. Default: the only best checkpoint in `checkpoints/`."""
    model: str | None = None
    """A checkpoint as well; the models that need no training have nothing to export."""
    output: Path | None = None
    """Folder to write to. Default: next to the checkpoint, with its name."""
    to: Literal["folder", "hub-folder"] = "folder"
    """hub-folder adds a card that the Hugging Face Hub accepts, with results, and a loader that needs no unisono."""
    results: tuple[Path, ...] | None = None
    """With --to hub-folder: results of `unisono evaluate` for the card. Default: those next to the checkpoint."""
    onnx: bool = True
    """Also write the text tower (text encoder and head together) as ONNX, checked against torch."""
    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace an earlier export."""


def run(options: ExportOptions) -> None:
    """Export a checkpoint and print what was written.

    Raises:
        UsageError: no checkpoint is named.
    """
    if options.onnx:
        require("export", "Exporting to ONNX", ("onnx", "onnxruntime", "onnxscript"))
    with extra("export", "Exporting"):
        from unisono.retrieval import export as exporting
        from unisono.retrieval.model import Model
        from unisono.retrieval.models import load_model
    model = load_model(model_of(options.model, options.checkpoint))
    if not isinstance(model, Model):
        raise UsageError(f"The model {model.label} is not trained here: there is nothing to export.")
    report = exporting.export(
        model,
        options.output,
        to=options.to,
        results=options.results,
        onnx=options.onnx,
        overwrite=options.overwrite,
    )
    console.say(str(report))


def export(options: ExportOptions = ExportOptions()) -> None:
    """Write a trained model as safetensors with a description, and its text tower as ONNX."""
    run(options)
