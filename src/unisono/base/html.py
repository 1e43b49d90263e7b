"""Tables for notebooks: what `_repr_html_` returns."""

from collections.abc import Iterable, Sequence
from html import escape


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Return an HTML table; every cell is escaped, and all but the first of a row are aligned right."""
    lines = [f"<caption>{escape(caption)}</caption>"] if caption else []
    lines += [_row("th", columns), *(_row("td", row) for row in rows)]
    return "<table>" + "".join(lines) + "</table>"


def _row(tag: str, cells: Sequence[object]) -> str:
    aligned = [
        f'<{tag} style="text-align: {"right" if place else "left"}">{escape(str(cell))}</{tag}>'
        for place, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(aligned)}</tr>"
