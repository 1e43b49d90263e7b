"""What a user may ask of `unisono check`."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from unisono.audio.findings import FindingKind


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of `unisono check`."""

    audio: bool = True
    """Decode the audio too; without, only the records are read."""
    shared_from: int = 10
    """A caption is shared by many if so many recordings have it; captions made from tags are not counted."""
    drop: tuple[FindingKind, ...] = ()
    """Write a copy without the records that have one of these findings."""
    output: Path | None = None
    """Where that copy goes. Default: `<name>.checked.<ending>` beside the file."""
    report: Path | None = None
    """Where every finding is listed. Default: `<name>.check.json` beside the file."""
    workers: int | None = None
    """Threads that decode. Default: the number of cores."""
