"""Tables for notebooks: what `_repr_html_` returns."""

from collections.abc import Collection, Iterable, Sequence
from html import escape


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "", words: Collection[int] = (0,)
) -> str:
    """Return an HTML table, with every cell escaped.

    Args:
        columns: the headings.
        rows: the cells.
        caption: one line or several.
        words: the columns that are aligned to the left; the others are aligned to the right.
    """
    lines = [f"<caption>{escape(caption).replace(chr(10), '<br>')}</caption>"] if caption else []
    lines += [_row("th", columns, words), *(_row("td", row, words) for row in rows)]
    return "<table>" + "".join(lines) + "</table>"


def _row(tag: str, cells: Sequence[object], words: Collection[int]) -> str:
    aligned = [
        f'<{tag} style="text-align: {"left" if place in words else "right"}">{escape(str(cell))}</{tag}>'
        for place, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(aligned)}</tr>"
