"""What a user may ask of `unisono licenses`."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LicensesOptions:
    """Options of `unisono licenses`."""

    attribution: Path | None = None
    """Write the attributions of all tracks to this Markdown file."""
