"""What a user may ask of `unisono encoders fetch`."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """Options of `unisono encoders fetch`."""

    from_dir: Path | None = None
    """Folder that holds the files (or a folder for each encoder, by its name): copy and verify them, without a network."""
