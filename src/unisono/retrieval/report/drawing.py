"""Plots as SVG text, to be part of a page; the same data makes the same bytes."""

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

LOOK: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "unisono",
    "svg.fonttype": "none",
}


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of this size in inches and its axes; pyplot, and its backend, are left alone."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def svg(figure: Figure) -> str:
    """Return a figure as SVG, without dates and random ids."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
