"""Tables as plain text, for a terminal, as HTML, for a notebook, and as Markdown and LaTeX, for what is published."""

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
            f'<{name} style="text-align: {"left" if place in self.words else "right"}">{escape(str(cell))}</{name}>'
            for place, cell in enumerate(cells)
            for name in [tag if cell else "td"]  # a heading without words says nothing to who listens to the page
        ]
        return f"<tr>{''.join(aligned)}</tr>"

    def markdown(self) -> str:
        """Return it as a Markdown table, without the title."""
        rules = ["---" if at in self.words else "--:" for at in range(len(self.headings))]
        lines = [self.headings, rules, *self.rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)

    def latex(self) -> str:
        """Return it as a LaTeX table with its title as the caption; it needs the package booktabs."""
        columns = "".join("l" if at in self.words else "r" for at in range(len(self.headings)))
        head, *rows = (" & ".join(map(_latex, line)) + r" \\" for line in (self.headings, *self.rows))
        begin = [r"\begin{table}", rf"\caption{{{_latex(self.title)}}}", rf"\begin{{tabular}}{{{columns}}}"]
        rules = [r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
        return "\n".join([*begin, *rules, r"\end{tabular}", r"\end{table}"])


_LATEX = {each: f"\\{each}" for each in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "±": r"$\pm$",
    "\n": " ",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


class Tabular:
    """What is shown as a table, or as several: as text in a terminal, as HTML in a notebook."""

    __slots__ = ()
    note = ""
    """A sentence below the tables."""

    def table(self) -> Table:
        """Return it as a table."""
        raise NotImplementedError

    def tables(self) -> Sequence[Table]:
        """Return it as tables."""
        return [self.table()]

    def __repr__(self) -> str:
        return "\n\n".join(filter(None, [*map(str, self.tables()), self.note]))

    def _repr_html_(self) -> str:
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return "".join(table.html() for table in self.tables()) + note
