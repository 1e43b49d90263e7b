"""`unisono describe`: a card of a unified file."""

from pathlib import Path

from unisono.base.errors import DataError
from unisono.commands import console
from unisono.commands.describe_options import DescribeOptions
from unisono.commands.describe_text import show
from unisono.curation.statistics import measure
from unisono.tracks.files import iter_tracks


def run(path: Path, options: DescribeOptions) -> None:
    """Print the card and, if asked for, write it as a page.

    Raises:
        UsageError, DataError: the file is missing, broken or empty, or the page needs what is not installed.
    """
    if options.html:
        from unisono.commands.report.card import write  # says at once what is not installed
    card = measure(iter_tracks(path))
    if not card.all.tracks:
        raise DataError(f"{path} holds no tracks.")
    show(card, path.name)
    if options.html:
        write(options.html, card, path.name)
        console.out.print(f"The page is {options.html}.", soft_wrap=True)


def describe(path: Path, *, options: DescribeOptions = DescribeOptions()) -> None:  # noqa: B008
    """Show what a unified file holds: counts, hours, captions, words, licences, and what its parts share.

    Parameters
    ----------
    path
        Unified file.
    """
    run(path, options)
