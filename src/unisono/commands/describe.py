"""`unisono describe`: the statistics of a unified file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import rich.table
from cyclopts import Parameter
from rich import box

from unisono.base.errors import DataError
from unisono.base.table import Table
from unisono.commands import console

if TYPE_CHECKING:
    from unisono.curation.statistics import Statistics

_LONGEST_WORDS = {"written by": len("human 100%,")}
"""Columns that a narrow terminal would cut -> number of letters that must stay together."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DescribeOptions:
    """Options of `unisono describe`."""

    html: Path | None = None
    """Write the card as an HTML page with plots, too."""


def describe(path: Path, *, options: DescribeOptions = DescribeOptions()) -> None:
    """Show what a unified file holds: counts, hours, captions, words, licences, and what its parts share.

    Parameters
    ----------
    path
        Unified file.
    """
    if options.html:
        from unisono.commands.report.card import write  # tells at once what is not installed
    from unisono.curation import statistics

    found = statistics.describe(path)
    if not found.all.tracks:
        raise DataError(f"{path} holds no tracks.")
    _show(found, path.name)
    if options.html:
        write(options.html, found, path.name)
        console.out.print(f"The page is {options.html}.", soft_wrap=True)


def _show(found: "Statistics", title: str) -> None:
    console.out.print(f"[bold]{console.escape(title)}[/]", soft_wrap=True)
    console.out.print(found.headline, soft_wrap=True)
    console.out.print()
    for table in found.tables():
        _show_table(table)
    if not found.shared:
        console.out.print("Datasets and splits share no recording, no artist and no file, as far as these are named.")
    console.out.print(found.words, soft_wrap=True)
    frequent = ", ".join(f"{word} ({count:,})" for word, count in found.vocabulary.most_frequent)
    console.out.print(f"Most frequent: {console.escape(frequent)}", soft_wrap=True)


def _show_table(table: Table) -> None:
    shown = rich.table.Table(
        title=table.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    for at, heading in enumerate(table.headings):
        justify: Literal["left", "right"] = "left" if at in table.words else "right"
        least = 16 if not at and heading else _LONGEST_WORDS.get(heading)
        shown.add_column(heading, justify=justify, overflow="fold", min_width=least)
    for row in table.rows:
        shown.add_row(*map(console.escape, row))
    console.out.print(shown)
    console.out.print()
