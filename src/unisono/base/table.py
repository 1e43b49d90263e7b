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
        """Return it as an HTML table."""
        lines = [f"<caption>{escape(self.title).replace(chr(10), '<br>')}</caption>"] if self.title else []
        lines += [self._html_row("th", self.headings), *(self._html_row("td", row) for row in self.rows)]
        return "<table>" + "".join(lines) + "</table>"

    def _html_row(self, tag: str, cells: Sequence[str]) -> str:
        aligned = [
            f'<{tag} style="text-align: {"left" if place in self.words else "right"}">{escape(str(cell))}</{tag}>'
            for place, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(aligned)}</tr>"


class Tabular:
    """What is shown as a table: as text in a terminal, as HTML in a notebook."""

    def table(self) -> Table:
        """Return it as a table."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table().html()
