"""`unisono describe`: a card of a unified file."""

from pathlib import Path

from unisono import console
from unisono.describe.measure import measure
from unisono.describe.options import DescribeOptions
from unisono.describe.text import show
from unisono.errors import DataError
from unisono.track import iter_tracks


def run(path: Path, options: DescribeOptions) -> None:
    """Print the card and, if asked for, write it as a page.

    Raises:
        UsageError, DataError: the file is missing, broken or empty, or the page needs what is not installed.
    """
    if options.html:
        from unisono.report.card import write  # says at once what is not installed
    card = measure(iter_tracks(path))
    if not card.all.tracks:
        raise DataError(f"{path} holds no tracks.")
    show(card, path.name)
    if options.html:
        write(options.html, card, path.name)
        console.out.print(f"The page is {options.html}.", soft_wrap=True)
