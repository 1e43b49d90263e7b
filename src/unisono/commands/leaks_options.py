"""What a user may ask of `unisono leaks`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unisono.commands.options import StageOptions


@dataclass(frozen=True, kw_only=True)
class LeaksOptions(StageOptions):
    """Options of `unisono leaks`."""

    match: tuple[Literal["ids", "sha256", "decoded", "audio", "artists", "text"], ...] = ()
    """What counts: the same recording by id, the same file by hash, the same samples once decoded (other tags, another
    lossless format), the same sound (encoded anew, trimmed, made louder), the same artist, the same title or caption.
    Default: ids, sha256 and text; of these, matches by text alone are reported but not removed. `decoded` and `audio` decode
    all files; `audio` finds what `decoded` does too."""
    remove: bool = False
    """Write a copy of the first file without what leaks."""
    output: Path | None = None
    """Where that copy goes. Default: `<name>.clean.<ending>` beside the first file."""
    report: Path | None = None
    """Write every match with its evidence to this JSON file."""
    sha256_lists: tuple[Path, ...] = ()
    """Published lists of `<sha256> NN/<Jamendo id>.mp3`. Default: those of MTG-Jamendo under `<data-root>/raw`."""
    workers: int | None = None
    """Threads that decode, with `--match decoded` or `audio`. Default: the number of cores."""
    strict: bool = False
    """Fail if a record could not be listened to: it may leak unnoticed."""
    all_splits: bool = False
    """Compare the val and test splits of the first file too; by default only what may be trained on counts."""
