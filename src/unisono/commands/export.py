"""`unisono export`: a trained model for other programs."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from unisono.base.errors import UsageError
from unisono.commands import console
from unisono.commands.options import model_of
from unisono.retrieval import export as exporting
from unisono.retrieval.model import Model
from unisono.retrieval.models import load_model


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `unisono export`."""

    checkpoint: Path | None = None
    """A trained model."""
    model: str | None = None
    """A checkpoint as well; the models that need no training have nothing to export."""
    output: Path | None = None
    """Folder to write to. Default: next to the checkpoint, with its name."""
    onnx: bool = True
    """Also write the text tower (text encoder and head together) as ONNX, checked against torch."""


def run(options: ExportOptions) -> None:
    """Export a checkpoint and print what was written.

    Raises:
        UsageError: no checkpoint is named.
    """
    model = load_model(model_of(options.model, options.checkpoint))
    if not isinstance(model, Model):
        raise UsageError(f"The model {model.label} is not trained here: there is nothing to export.")
    report = exporting.export(model, options.output, onnx=options.onnx)
    console.out.print(console.escape(str(report)), soft_wrap=True)


def export(options: ExportOptions = ExportOptions()) -> None:
    """Write a trained model as safetensors with a description, and its text tower as ONNX."""
    run(options)
