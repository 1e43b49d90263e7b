"""What a command shows: results on standard output; messages and progress bars on standard error."""

import errno
import json
import logging
import os
import sys
import traceback
from contextlib import suppress
from getpass import getpass
from typing import Any

from rich import box
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.base.progress import show_with
from unisono.base.table import Table
from unisono.base.words import is_text, rate_in_words

__all__ = [
    "ask_secret",
    "configure",
    "err",
    "escape",
    "failed",
    "failed_unexpectedly",
    "finished",
    "in_options",
    "log",
    "out",
    "print_json",
    "say",
    "show",
]

_UNSAFE = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(8234, 8239), *range(8294, 8298)), "�"
)
"""Control characters, and those that reorder text: titles come from anywhere, and a terminal would obey them."""


_OF_THE_DISK = {
    errno.EACCES: "See that you may read and write it.",
    errno.EPERM: "See that you may read and write it.",
    errno.EROFS: "Choose a folder that you may write to.",
    errno.ENOSPC: "Free some space, or choose another place for the output.",
    errno.EDQUOT: "Free some space, or choose another place for the output.",
    errno.EMFILE: "Allow more open files (ulimit -n).",
} | dict.fromkeys(
    (errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ESTALE), ""
)
"""Errors of the system that are nobody's fault but the disk's, and what to do."""

_WITHOUT_TERMINAL = 80
SHORTEST_COLUMN = 16
"""A column of words is at least this wide, or as wide as its longest word."""


class SafeConsole(Console):
    """A console that shows texts as they are, `:guitar:` too, and their control characters as replacement characters."""

    def __init__(self, **settings: Any) -> None:
        """Make a console with rich's settings."""
        super().__init__(highlight=False, emoji=False, **settings)
        if not self.width:  # COLUMNS=0, which stands for no terminal
            self.width = _WITHOUT_TERMINAL

    def render_str(self, text: str, **settings: Any) -> Any:
        """Render a text without its control characters."""
        return super().render_str(text.translate(_UNSAFE), **settings)

    def on_broken_pipe(self) -> None:
        """Go on without showing anything: whoever reads along, such as `head`, has seen enough."""
        self.quiet = True
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class SafeHandler(RichHandler):
    """A log handler that does the same."""

    def render_message(self, record: logging.LogRecord, message: str) -> Any:
        """Render a message without its control characters."""
        return super().render_message(record, message.translate(_UNSAFE))


out = SafeConsole()
"""Results go here (standard output); messages and progress go to standard error."""
err = SafeConsole(stderr=True)


def configure(*, quiet: bool = False, verbose: bool = False) -> None:
    """Send the package's log lines and progress to the console. Called by the command line, never at import."""
    _make_streams_safe()
    log.handlers = [SafeHandler(console=err, show_time=False, show_path=verbose, show_level=verbose, markup=False)]
    log.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    log.propagate = False
    if not quiet:
        show_with(_bars)


def _make_streams_safe() -> None:
    """Let no character and no closed stream end a run: a terminal may know ASCII only, or be gone."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the program began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def ask_secret(question: str) -> str:
    """Ask the person at the terminal for a password, without showing it; return nothing where nobody can answer."""
    if not (sys.stdin and sys.stdin.isatty()):
        return ""
    try:
        return getpass(question)
    except EOFError:
        return ""


def say(text: str) -> None:
    """Print a text as it is: nothing in it is markup, and long lines are not broken."""
    out.print(text, soft_wrap=True, markup=False)


def show(table: Table) -> None:
    """Print a table; words are folded where the terminal is narrow, and lines where even that does not suffice."""
    shown = RichTable(
        title=escape(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    needed = 0
    for at, heading in enumerate(table.headings):
        words = at in table.words
        cells = [row[at] for row in table.rows]
        least = max(map(len, [heading, *(" ".join(cells).split() if words else cells)]))
        least = min(least, SHORTEST_COLUMN) if words else least
        needed += least + 3
        shown.add_column(
            heading, justify="left" if words else "right", overflow="fold", no_wrap=not words, min_width=least
        )
    for row in table.rows:
        shown.add_row(*map(escape, row))
    if needed > out.width:  # columns would be left out
        out.print(escape(str(table)), "", sep="\n", soft_wrap=True)
    else:
        out.print(shown)


def print_json(value: Any) -> None:
    """Print a value as JSON; control characters and those that reorder text are escaped, so that nothing is changed."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    odd = {code: f"\\u{code:04x}" for code in (*_UNSAFE, *range(0xD800, 0xE000)) if code not in (10,)}
    out.print(text.translate(odd), markup=False, soft_wrap=True)


def failed(error: UnisonoError, *, debug: bool) -> int:
    """Print an error that is meant for users, and return its exit code."""
    if debug:
        traceback.print_exception(error)
    err.print(f"[bold red]Error:[/] {escape(in_options(error))}", soft_wrap=True)
    if error.hint:
        err.print(escape(error.hint), soft_wrap=True)
    return error.exit_code


def failed_unexpectedly(error: Exception, *, debug: bool) -> int:
    """Print an error that nobody expected, and return the exit code."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        return failed(UnisonoError("No space left on the disk that the output is written to."), debug=debug)
    if isinstance(error, OSError) and error.filename is not None and error.errno in _OF_THE_DISK:
        found = UnisonoError(f"{os.fsdecode(error.filename)}: {error.strerror}.", hint=_OF_THE_DISK[error.errno])
        found.exit_code = getattr(error, "exit_code", 1)
        return failed(found, debug=debug)
    if isinstance(error, UnicodeEncodeError) and not is_text(error.object):
        found = UnisonoError(
            f"{error.object[:200]!r} is not UTF-8.", hint="Rename that file or folder, or choose another."
        )
        return failed(found, debug=debug)
    if debug:
        traceback.print_exception(error)
    err.print(f"[bold red]Unexpected error:[/] {escape(f'{type(error).__name__}: {error}')}", soft_wrap=True)
    err.print("This is a fault of unisono. Run the same command with --debug to see where it happened.")
    return getattr(error, "exit_code", 1)


def finished() -> int:
    """Return the exit code of a run that went well: 1 if its results could not be printed."""
    try:
        out.file.flush()
    except BrokenPipeError:
        out.on_broken_pipe()
    except OSError as error:
        err.print(f"[bold red]Error:[/] The results could not be printed: {escape(error.strerror or str(error))}.")
        return 1
    return 0


def in_options(error: UnisonoError) -> str:
    """Return an error's message; a parameter that it names at its beginning is written as an option."""
    name = error.parameter if isinstance(error, UsageError) else ""
    if name and error.message.startswith(f"{name} "):
        return f"--{name.rstrip('_').replace('_', '-')}{error.message.removeprefix(name)}"
    return error.message


class RateColumn(ProgressColumn):
    """The rate of the whole task."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Render the rate of one task."""
        return Text(rate_in_words(task.finished_speed or task.speed or 0, self.unit), style="cyan")


def _bars(unit: str) -> Progress:
    """Make progress bars with count, rate and time left."""
    counted = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn(), RateColumn(unit)]
    return Progress(
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", max_width=24)),
        BarColumn(bar_width=None, table_column=Column(min_width=4, max_width=30)),
        *counted,
        TimeElapsedColumn(),
        TextColumn("left", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(),
        console=err,
    )
