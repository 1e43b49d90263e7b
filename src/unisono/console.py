"""What a run shows: log lines on the console and in a file next to the output, progress bars, tables."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

__all__ = ["byte_progress", "configure", "err", "escape", "log", "log_to", "out", "progress"]

log = logging.getLogger("unisono")
out = Console(highlight=False)
"""Results go here (standard output); messages and progress go to standard error."""
err = Console(stderr=True, highlight=False)


def configure(*, debug: bool = False) -> None:
    """Send the package's log lines to the console. Called by the command line, never at import."""
    log.handlers = [RichHandler(console=err, show_time=False, show_path=debug, show_level=debug, markup=False)]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append the log lines of a run to `path` as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


class RateColumn(ProgressColumn):
    """Items a second, over the whole task."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Render the rate of one task."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} {self.unit}/s" if speed else "", style="cyan")


def progress(unit: str = "tracks") -> Progress:
    """Make a progress bar with count, rate and time left; use it as a context manager."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
    )


def byte_progress() -> Progress:
    """Make a progress bar that counts bytes; use it as a context manager."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
    )
