"""What a user may ask of `unisono describe`."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DescribeOptions:
    """Options of `unisono describe`."""

    html: Path | None = None
    """Write the card as an HTML page with plots, too."""
