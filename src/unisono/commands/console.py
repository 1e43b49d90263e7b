"""What a command shows: results on standard output; messages and progress bars on standard error."""

import logging
from typing import Any

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

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.base.progress import show_with

__all__ = ["configure", "err", "escape", "in_options", "log", "out"]

_UNSAFE = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(8234, 8239), *range(8294, 8298)), "�"
)
"""Control characters, and those that reorder text: titles come from anywhere, and a terminal would obey them."""


class SafeConsole(Console):
    """A console that shows control characters of texts as replacement characters."""

    def render_str(self, text: str, **settings: Any) -> Any:
        """Render a text without its control characters."""
        return super().render_str(text.translate(_UNSAFE), **settings)


class SafeHandler(RichHandler):
    """A log handler that does the same."""

    def render_message(self, record: logging.LogRecord, message: str) -> Any:
        """Render a message without its control characters."""
        return super().render_message(record, message.translate(_UNSAFE))


out = SafeConsole(highlight=False)
"""Results go here (standard output); messages and progress go to standard error."""
err = SafeConsole(stderr=True, highlight=False)


def configure(*, debug: bool = False) -> None:
    """Send the package's log lines and progress to the console. Called by the command line, never at import."""
    log.handlers = [SafeHandler(console=err, show_time=False, show_path=debug, show_level=debug, markup=False)]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False
    show_with(_bars)


def in_options(error: UnisonoError) -> str:
    """Return an error's message; a parameter that it names at its beginning is written as an option."""
    name = error.parameter if isinstance(error, UsageError) else ""
    if name and error.message.startswith(f"{name} "):
        return f"--{name.rstrip('_').replace('_', '-')}{error.message.removeprefix(name)}"
    return error.message


class RateColumn(ProgressColumn):
    """Items a second, over the whole task."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Render the rate of one task."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} {self.unit}/s" if speed else "", style="cyan")


def _bars(unit: str) -> Progress:
    """Make progress bars with count, rate and time left."""
    counted = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn(), RateColumn(unit)]
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        *counted,
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
    )
