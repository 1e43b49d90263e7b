"""What a user may ask of `unisono export`."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `unisono export`."""

    checkpoint: Path
    """The model to export."""
    output: Path | None = None
    """Folder to write to. Default: beside the checkpoint, named as it is."""
    onnx: bool = True
    """Also write the text tower, text encoder and head together, as ONNX, checked against torch."""

    @property
    def output_path(self) -> Path:
        """The folder to write to."""
        return self.output or self.checkpoint.with_suffix("")
