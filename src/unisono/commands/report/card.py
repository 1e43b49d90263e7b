"""The card of a unified file as one HTML page that stands alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from unisono.base.files import write_whole
from unisono.curation.statistics import PartStatistics, Statistics
from unisono.retrieval.report.drawing import COLOURS, LOOK, new_figure, svg

MOST = 25
"""Rows of a list, and bars of a plot."""
_FOLDED = 8
"""Rows of licences that are shown; the others are folded."""


def write(path: Path, statistics: Statistics, title: str) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, render(statistics, title))


def render(statistics: Statistics, title: str) -> str:
    """Make the page: the same card gives the same bytes."""
    template = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(f"unisono.{wing}.report", ".") for wing in ("commands", "retrieval")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("card.html.jinja")
    return template.render(
        card=statistics,
        title=title,
        headline=statistics.headline,
        vocabulary=statistics.words,
        tables=_tables(statistics),
        plots=[
            _lengths(statistics.datasets, "durations_s", "Durations", "seconds", logarithmic=True),
            _lengths(statistics.datasets, "caption_words", "Lengths of captions", "words", logarithmic=False),
            *(
                _bars(name, list(counts.items())[:MOST], "tracks")
                for name, counts in (
                    ("Licences", statistics.licenses),
                    ("Genres", statistics.genres),
                    ("Tags", statistics.tags),
                )
                if counts
            ),
            _bars("Words of captions, without articles and the like", statistics.vocabulary.most_frequent, "times"),
        ],
    )


def _tables(statistics: Statistics) -> list[tuple[str, Iterable[str], Sequence[Sequence[str]], int]]:
    """List the tables: (title, headings, rows, how many rows are shown unfolded)."""
    found = [
        statistics.parts_table(),
        statistics.splits_table(),
        statistics.lengths_table(),
        statistics.licenses_table(),
        statistics.shared_table(),
        statistics.fields_table(),
    ]
    licences = statistics.licenses_table().title
    return [
        (table.title, table.headings, table.rows, _FOLDED if table.title == licences else len(table.rows))
        for table in found
    ]


def _lengths(parts: Mapping[str, PartStatistics], what: str, title: str, unit: str, *, logarithmic: bool) -> str:
    """Draw how durations or caption lengths are distributed, the datasets on top of one another."""
    largest = sorted(parts, key=lambda name: (-parts[name].tracks, name))[: len(COLOURS)]
    values = [np.asarray(getattr(parts[name], what), float) for name in largest]
    low, high = min(map(np.min, values)), max(map(np.max, values))
    with rc_context(LOOK):
        figure, axes = new_figure()
        if logarithmic and high > 10 * low > 0:
            bins = np.geomspace(low, high * 1.001, 40)
            axes.set_xscale("log")
        else:
            bins = np.linspace(low - 0.5, high + 0.5, min(40, round(high - low) + 2))
        colours = COLOURS[: len(values)]
        labels = [_short(name) for name in largest]
        axes.hist(values, bins=bins.tolist(), stacked=True, color=colours, label=labels)
        axes.set(xlabel=unit, ylabel="tracks" if what == "durations_s" else "captions")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        return svg(figure, title)


def _bars(title: str, counts: list[tuple[str, int]], unit: str) -> str:
    with rc_context(LOOK):
        figure, axes = new_figure(bars=len(counts))
        _bar(axes, counts)
        axes.set(xlabel=unit)
        axes.grid(visible=False, axis="y")
        return svg(figure, title)


def _bar(axes: Axes, counts: list[tuple[str, int]]) -> None:
    places = np.arange(len(counts))  # by place and not by name: shortened names may be the same
    axes.barh(places, [count for _, count in counts], color=COLOURS[0])
    axes.set_yticks(places, [_short(name) for name, _ in counts])
    axes.invert_yaxis()


def _short(name: str) -> str:
    """Shorten a name to be drawn; a dollar sign would begin a formula, a leading `_` hides a legend's entry."""
    plain = name if len(name) <= 32 else name[:31] + "…"
    return plain.replace("$", r"\$").lstrip("_") or "–"
