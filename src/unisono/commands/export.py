"""`unisono export`: a trained model for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unisono.base.extras import extra, require
from unisono.commands import console
from unisono.commands.options import the_checkpoint


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `unisono export`."""

    checkpoint: Path | None = None
    """The model to export. Default: the only best checkpoint in `checkpoints/`."""
    output: Path | None = None
    """Folder to write to. Default: next to the checkpoint, with its name."""
    onnx: bool = True
    """Also write the text tower (text encoder and head together) as ONNX, checked against torch."""
    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace an earlier export."""


def run(options: ExportOptions) -> None:
    """Export a checkpoint and print what was written."""
    if options.onnx:
        require("export", "Exporting to ONNX", ("onnx", "onnxruntime", "onnxscript"))
    with extra("export", "Exporting"):
        from unisono.retrieval import export as exporting
        from unisono.retrieval.model import load_model
    model = load_model(the_checkpoint(options.checkpoint))
    report = exporting.export(model, options.output, onnx=options.onnx, overwrite=options.overwrite)
    console.out.print(console.escape(str(report)), soft_wrap=True)


def export(options: ExportOptions = ExportOptions()) -> None:
    """Write a trained model as safetensors with a description, and its text tower as ONNX."""
    run(options)
