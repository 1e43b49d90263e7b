"""Plots as SVG text, to stand in a page: the same data give the same bytes."""

import io
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

LOOK: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "unisono",
    "svg.fonttype": "none",
}


def svg(figure: Figure) -> str:
    """Close a figure and give it as SVG, without anything that changes from run to run."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]
