"""The card of a unified file as one HTML page that stands alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import jinja2
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from unisono.base.files import write_whole
from unisono.commands import describe_text as text
from unisono.curation.statistics import IDENTITIES, QUANTILES, Card, Part
from unisono.retrieval.report.drawing import LOOK, new_figure, svg

MOST = 25
"""Rows of a list, and bars of a plot."""
_COLOURS = ("#1f6f8b", "#c8553d", "#7a9e7e", "#e0a458", "#6c5b7b", "#88a0a8", "#b56576", "#3d405b")


def write(path: Path, card: Card, title: str) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, render(card, title))


def render(card: Card, title: str) -> str:
    """Make the page: the same card gives the same bytes."""
    template = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(f"unisono.{wing}.report", ".") for wing in ("commands", "retrieval")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("card.html.jinja")
    return template.render(
        card=card,
        title=title,
        headline=text.headline(card),
        vocabulary=text.vocabulary(card),
        tables=_tables(card),
        plots=[
            _lengths(card.datasets, "durations_s", "duration, seconds", logarithmic=True),
            _lengths(card.datasets, "caption_words", "words of a caption", logarithmic=False),
            _bars("words, without articles and the like", card.vocabulary.most_frequent, "times"),
            *(
                _bars(name, list(counts.items())[:MOST], "tracks")
                for name, counts in (("genres", card.genres), ("tags", card.tags), ("licences", card.licenses))
                if counts
            ),
        ],
    )


def _tables(card: Card) -> list[tuple[str, Iterable[str], list[tuple[str, ...]]]]:
    """List the tables: (title, headings, rows)."""
    total = card.all.tracks
    parts = [*card.datasets.items(), *([("all", card.all)] if len(card.datasets) > 1 else [])]
    return [
        (
            "Datasets (words: the median of a caption)",
            text.DATASET_HEADINGS,
            [text.dataset_row(name, part) for name, part in parts],
        ),
        (
            "Splits",
            ("split", "tracks", "hours", "captions"),
            [(name, f"{part.tracks:,}", text.hours(part), f"{part.captions:,}") for name, part in card.splits.items()],
        ),
        ("Lengths", ("", *QUANTILES, "mean"), text.length_rows(card.all)),
        (
            "Licences",
            ("licence", "tracks", "commercial use", "derivatives"),
            [(name, text.share(count, total), *text.allowed(name)) for name, count in card.licenses.items()],
        ),
        ("What is shared", ("between", "and", *IDENTITIES), text.overlap_rows(card)),
        ("Fields that are filled", ("field", "tracks"), [(n, text.share(c, total)) for n, c in card.filled.items()]),
    ]


def _lengths(parts: Mapping[str, Part], what: str, label: str, *, logarithmic: bool) -> str:
    """Draw how durations or caption lengths are distributed, the datasets on top of one another."""
    largest = sorted(parts, key=lambda name: (-parts[name].tracks, name))[: len(_COLOURS)]
    values = [np.asarray(getattr(parts[name], what), float) for name in largest]
    low, high = min(map(np.min, values)), max(map(np.max, values))
    with rc_context(LOOK):
        figure, axes = new_figure(6.2, 3.4)
        if logarithmic and high > 10 * low > 0:
            bins = np.geomspace(low, high * 1.001, 40)
            axes.set_xscale("log")
        else:
            bins = np.linspace(low - 0.5, high + 0.5, min(40, round(high - low) + 2))
        colours = _COLOURS[: len(values)]
        labels = [_short(name) for name in largest]
        axes.hist(values, bins=bins.tolist(), stacked=True, color=colours, label=labels)
        axes.set(xlabel=label, ylabel="tracks" if what == "durations_s" else "captions")
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        return svg(figure)


def _bars(label: str, counts: list[tuple[str, int]], unit: str) -> str:
    with rc_context(LOOK):
        figure, axes = new_figure(6.2, 0.9 + 0.24 * len(counts))
        _bar(axes, counts)
        axes.set(xlabel=f"{unit} ({label})")
        return svg(figure)


def _bar(axes: Axes, counts: list[tuple[str, int]]) -> None:
    places = np.arange(len(counts))  # by place and not by name: shortened names may be the same
    axes.barh(places, [count for _, count in counts], color=_COLOURS[0])
    axes.set_yticks(places, [_short(name) for name, _ in counts])
    axes.invert_yaxis()


def _short(name: str) -> str:
    """Shorten a name to be drawn; a dollar sign would begin a formula, a leading `_` hides a legend's entry."""
    plain = name if len(name) <= 32 else name[:31] + "…"
    return plain.replace("$", r"\$").lstrip("_") or "–"
