"""What a user may ask of `unisono download`."""

from dataclasses import dataclass

from unisono.options import Continue, StageOptions


@dataclass(frozen=True, kw_only=True)
class DownloadOptions(StageOptions):
    """Options of `unisono download`."""

    datasets: tuple[str, ...] = ()
    """Datasets to fetch."""
    dry_run: bool = False
    """Print what would be fetched, fetch nothing."""
    continue_: Continue = False
    """Go on where an interrupted run stopped; that is what it does anyway."""
