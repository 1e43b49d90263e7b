"""What a user may ask of `unisono download`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from unisono.commands.options import Continue, StageOptions


@dataclass(frozen=True, kw_only=True)
class DownloadOptions(StageOptions):
    """Options of `unisono download`."""

    datasets: tuple[str, ...] = ()
    """Datasets to fetch; any other of the Hugging Face Hub as `hf:owner/name`, or by a recipe that names one."""
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False
    """Fetch all datasets."""
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False
    """Show the datasets: size, tracks, captions by origin, licences, and what is here already. Fetch nothing."""
    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Print what would be fetched, fetch nothing."""
    metadata_only: Annotated[bool, Parameter(negative="")] = False
    """Captions and other metadata, no audio."""
    fma_size: Literal["small", "medium", "large", "full"] | None = None
    """Which FMA: 8,000 (small), 25,000 (medium) or 106,574 clips of 30 s (large), or the untrimmed tracks (full)."""
    parts: tuple[str, ...] = ()
    """For datasets published in parts (MTG-Jamendo: 00 to 99): those to fetch; without it, all."""
    quality: Literal["high", "low"] | None = None
    """For datasets published in two qualities (MTG-Jamendo: 320 kbit/s stereo or smaller mono)."""
    shards: int | None = None
    """For datasets whose audio comes in shards (JamendoMaxCaps): fetch the first so many only."""
    from_dir: Path | None = None
    """Take the files from this folder, where other means have put them, instead of the network."""
    keep_archives: Annotated[bool, Parameter(negative="")] = False
    """Keep archives and shards after unpacking them."""
    accept_new_checksum: Annotated[bool, Parameter(negative="")] = False
    """Accept a file that its publisher has changed since this version was made, and record what was got."""
    jobs: int = 4
    """Files fetched and unpacked at the same time."""
    timeout: float = 60
    """Seconds without a byte after which a connection is given up and made anew."""
    retries: int = 8
    """How often in a row a source may fail without sending anything new before the next one is tried."""
    continue_: Continue = False
    """Go on where an interrupted run stopped; that is what it does anyway."""
