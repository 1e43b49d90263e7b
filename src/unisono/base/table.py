"""Tables as plain text, for a terminal, and as HTML, for a notebook."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from unisono.base import html


@dataclass(frozen=True)
class Table:
    """A title (one line or several), headings, and rows of text."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[int] = (0,)
    """The columns that are aligned to the left; the others hold numbers, and are aligned to the right."""

    def __str__(self) -> str:
        lines = [self.headings, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]
        text = [
            "  ".join(
                cell.ljust(width) if column in self.words else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([*filter(None, [self.title]), *text])

    def html(self) -> str:
        """Return it as an HTML table."""
        return html.table(self.headings, self.rows, self.title, self.words)
