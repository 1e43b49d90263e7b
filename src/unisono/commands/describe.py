"""`unisono describe`: the statistics of a unified file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unisono.base.errors import DataError
from unisono.commands import console

if TYPE_CHECKING:
    from unisono.curation.statistics import Statistics


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DescribeOptions:
    """Options of `unisono describe`."""

    html: Path | None = None
    """Write the card as an HTML page with plots, too."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print the counts as JSON."""


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
    if options.html:
        write(options.html, found, path.name)
    if options.json:
        console.print_json(found.as_json())
        return
    _show(found, path.name)
    if options.html:
        console.out.print(f"The page is {options.html}.", soft_wrap=True)


def _show(found: "Statistics", title: str) -> None:
    console.out.print(f"[bold]{console.escape(title)}[/]", soft_wrap=True)
    console.out.print(found.headline, soft_wrap=True)
    console.out.print()
    for table in found.tables():
        console.show(table)
        console.out.print()
    if not found.shared:
        console.out.print("Datasets and splits share no recording, no artist and no file, as far as these are named.")
    console.out.print(found.words, soft_wrap=True)
    frequent = ", ".join(f"{word} ({count:,})" for word, count in found.vocabulary.most_frequent)
    console.out.print(f"Most frequent: {console.escape(frequent)}", soft_wrap=True)
