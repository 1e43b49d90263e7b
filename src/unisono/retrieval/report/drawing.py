"""One look for all plots, as SVG text to be part of a page: the same data makes the same bytes.

Words and axes have the colour of the page's text, and so follow its dark mode. The colours of data are those of
Okabe and Ito, which people of all kinds of colour vision tell apart, on light and on dark ground.
"""

import io
from html import escape
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c8c8c", "#b8a500")
"""Of data, in the order of use."""
WIDTH, HEIGHT, BAR = 4.8, 3.1, 0.24
"""Inches: of every plot, small enough for words to be read on a phone; and of a bar."""
_INK = "#010203"
"""Stands for the colour of the page's text until the SVG is written."""
LOOK: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.alpha": 0.2,
    "grid.color": _INK,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "svg.hashsalt": "unisono",
    "svg.fonttype": "none",
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def new_figure(bars: int = 0) -> tuple[Figure, Axes]:
    """Return a figure of the usual size, or as high as that many bars are, and its axes.

    pyplot, and its backend, are left alone.
    """
    figure = Figure(figsize=(WIDTH, 0.9 + BAR * bars if bars else HEIGHT), layout="constrained")
    return figure, figure.subplots()


def svg(figure: Figure, title: str) -> str:
    """Return a figure as SVG under its title, without dates and random ids."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()[text.getvalue().index("<svg") :].replace(_INK, "currentColor")
    named = escape(title)
    return f"<figcaption>{named}</figcaption>" + drawn.replace("<svg", f'<svg role="img" aria-label="{named}"', 1)
