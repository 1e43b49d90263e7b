"""What a user may ask of `unisono dedupe`."""

from dataclasses import dataclass
from pathlib import Path

from unisono.commands.options import StageOptions


@dataclass(frozen=True, kw_only=True)
class DedupeOptions(StageOptions):
    """Options of `unisono dedupe`."""

    output: Path | None = None
    """File to write. Default: `<name>.deduped.<ending>` beside the input."""
    sha256_lists: tuple[Path, ...] = ()
    """Published lists of `<sha256> NN/<Jamendo id>.mp3`. Default: those of MTG-Jamendo under `<data-root>/raw`."""
    audio: bool = False
    """Decode all files and merge what sounds the same too: copies with other tags, or that were encoded anew, trimmed or
    made louder."""
    workers: int | None = None
    """Threads that decode. Default: the number of cores."""
    strict: bool = False
    """Fail if a record could not be listened to: its copies stay apart."""
    dry_run: bool = False
    """Print what would be merged, write nothing."""
