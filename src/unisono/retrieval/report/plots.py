"""Plots of an evaluation."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from unisono.retrieval.evaluate.edit_results import RobustnessReport
from unisono.retrieval.evaluate.measured import CategoryResult, Measured
from unisono.retrieval.evaluate.result import Result
from unisono.retrieval.evaluate.tables import TITLES
from unisono.retrieval.metrics import DIRECTIONS, MUSIC_TO_TEXT, TEXT_TO_MUSIC
from unisono.retrieval.report.drawing import COLOURS, LOOK, new_figure, svg

COLOUR = {TEXT_TO_MUSIC: COLOURS[0], MUSIC_TO_TEXT: COLOURS[1]}
MARKER = {TEXT_TO_MUSIC: "o", MUSIC_TO_TEXT: "s"}
LINE = {TEXT_TO_MUSIC: "-", MUSIC_TO_TEXT: "--"}
MOST_TAGS = 25
"""Bars of a tag plot: the best, the worst, and evenly spaced ones between them."""


def recall_curve(result: Result) -> str:
    """Draw recall@k over k, with chance."""
    with rc_context(LOOK):
        figure, axes = new_figure()
        for direction, queries in result.queries.items():
            measured = result.retrieval[direction]["all"]
            k = np.arange(1, measured.candidates + 1)
            ranks = np.array([query.rank for query in queries])
            share = np.searchsorted(np.sort(ranks), k, side="right") / len(ranks)
            (line,) = axes.step(k, 100 * share, LINE[direction], where="post", color=COLOUR[direction])
            line.set_label(DIRECTIONS[direction])
            at_random = 100 * (1 - _none_relevant(k, measured))
            axes.plot(k, at_random, color=COLOUR[direction], linestyle=":", label="chance, roughly")
        _plain_log_axis(axes)
        axes.set(ylim=(0, 101), xlabel="k", ylabel="recall@k, %")
        figure.legend(loc="outside lower center", ncols=2)
        return svg(figure, "How many queries find their music among the first k")


def _none_relevant(k: np.ndarray, measured: Measured) -> np.ndarray:
    """Return the probability that none of the first k is relevant, for a query of the average number of relevant ones."""
    others_left = np.clip(measured.candidates - measured.relevant - (k - 1), 0, None)
    return np.asarray(np.cumprod(others_left / (measured.candidates - (k - 1))))


def slices(result: Result, measure: str = "recall@10") -> str:
    """Draw one measure of every slice and baseline, with intervals and chance."""
    named = [(name, result.retrieval) for name in result.retrieval[TEXT_TO_MUSIC]]
    rows: list[tuple[str, dict[str, Measured]]] = [
        (name, {direction: found[direction][name] for direction in found}) for name, found in named
    ] + [(f"baseline: {name}", found) for name, found in result.baselines.items()]
    with rc_context(LOOK):
        figure, axes = new_figure(bars=2 * len(rows) + 1)
        for shift, direction in ((-0.14, TEXT_TO_MUSIC), (0.14, MUSIC_TO_TEXT)):
            found = [measured[direction].estimates[measure] for _, measured in rows]
            place = np.arange(len(rows)) + shift
            value = 100 * np.array([each.value for each in found])
            low, high = (100 * np.array([getattr(each, end) for each in found]) for end in ("low", "high"))
            axes.errorbar(
                value,
                place,
                xerr=[np.maximum(value - low, 0), np.maximum(high - value, 0)],
                fmt=MARKER[direction],
                color=COLOUR[direction],
                capsize=3,
                label=DIRECTIONS[direction],
            )
            chance = 100 * np.array([each.chance for each in found])
            axes.plot(chance, place, "|", color=COLOUR[direction], markersize=9, alpha=0.6)
        axes.plot([], [], "|", color=COLOURS[6], markersize=9, label="chance")
        axes.set(xlim=(-1, 101), xlabel=f"{TITLES.get(measure, measure)}, %")
        axes.set_yticks(np.arange(len(rows)), [name.replace(", ", ",\n") for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=3)
        return svg(figure, f"{TITLES.get(measure, measure)} of each part of the music, with 95 % intervals")


def ranks(result: Result) -> str:
    """Draw the distribution of the ranks of the best relevant candidates."""
    with rc_context(LOOK):
        figure, axes = new_figure()
        for direction, queries in result.queries.items():
            found = np.array([query.rank for query in queries])
            bins = np.unique(np.geomspace(1, max(found.max(), 2) + 1, 24).round())
            weights = np.full(len(found), 100 / len(found))
            axes.hist(
                found,
                bins=bins.tolist(),
                weights=weights,
                histtype="step",
                linewidth=1.6,
                linestyle=LINE[direction],
                color=COLOUR[direction],
                label=DIRECTIONS[direction],
            )
        _plain_log_axis(axes)
        axes.set(xlabel="rank of the best relevant candidate", ylabel="queries, %")
        axes.legend()
        return svg(figure, "Where the best relevant candidate is found")


def edits(found: RobustnessReport) -> str:
    """Draw pair accuracies, and the share of MRR that is left after edits."""
    left = [*found.rewordings, *found.audio]
    with rc_context(LOOK):
        figure, axes = new_figure(bars=len(found.opposites) + len(left))
        rows: list[tuple[str, float, float, float]] = [
            *(
                (f"not fooled by: {each.name}", each.estimate.value, each.estimate.low, each.estimate.high)
                for each in found.opposites
            ),
            *(
                (
                    each.name,
                    1 - each.estimate.value / each.before,
                    1 - each.estimate.high / each.before,
                    1 - each.estimate.low / each.before,
                )
                for each in left
                if each.before
            ),
        ]
        for place, (name, value, low, high) in enumerate(rows):
            colour = COLOUR[TEXT_TO_MUSIC] if name.startswith("not fooled") else COLOURS[2]
            axes.barh(place, 100 * value, color=colour)
            axes.plot([100 * low, 100 * high], [place, place], color=LOOK["text.color"])
        axes.axvline(50, color=COLOURS[6], linestyle=":")
        axes.set_xlim(left=0)
        axes.set_yticks(np.arange(len(rows)), [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.set(xlabel="%: right pairs (chance is 50), and MRR that is left after the edit")
        axes.grid(visible=False, axis="y")
        return svg(figure, "What edits of captions and audio change")


def tags(category: str, found: CategoryResult) -> str:
    """Draw the ROC-AUC of the tags of one category."""
    ordered = sorted(found.tags, key=lambda tag: -tag.roc_auc)
    chosen = [ordered[place] for place in _spread(len(ordered))]
    with rc_context(LOOK):
        figure, axes = new_figure(bars=len(chosen))
        axes.barh([f"{tag.tag} ({tag.tracks})" for tag in chosen], [tag.roc_auc for tag in chosen], color=COLOURS[2])
        axes.axvline(0.5, color=COLOURS[6], linestyle=":")
        axes.set(xlim=(0, 1), xlabel="ROC-AUC (chance is 0.5; in brackets: tracks)")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        return svg(figure, f"How well each {category} is told from its own name")


def _plain_log_axis(axes: Axes) -> None:
    """Make the x axis logarithmic, with labels such as 1, 10, 100."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _spread(count: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, MOST_TAGS)).tolist()})
