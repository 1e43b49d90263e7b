"""Tables as plain text, for a terminal, and as HTML, for a notebook."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape


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
        """Return it as an HTML table, with its text escaped."""
        title = escape(self.title).replace("\n", "<br>")
        return (
            f"<table><caption style='text-align: left; white-space: nowrap'>{title}</caption>"
            f"<thead>{self._row('th', self.headings)}</thead>"
            f"<tbody>{''.join(self._row('td', row) for row in self.rows)}</tbody></table>"
        )

    def _row(self, tag: str, cells: Sequence[str]) -> str:
        sides = ["left" if column in self.words else "right" for column in range(len(cells))]
        inner = (
            f"<{tag} style='text-align: {side}'>{escape(cell)}</{tag}>" for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(inner)}</tr>"
