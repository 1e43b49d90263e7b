"""The result of an evaluation as tables on the console."""

from rich.table import Table

from unisono.commands import console
from unisono.retrieval.evaluate.result import MEASURES, CategoryResult, Estimate, Measured, Result
from unisono.retrieval.pairing import MUSIC_TO_TEXT, TEXT_TO_MUSIC

TITLES = {
    "mrr": "MRR",
    "map@10": "mAP@10",
    "median_rank": "median rank",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
}
"""How a measure is called in print, where not by its own name."""


def show(result: Result) -> None:
    """Print all tables and the protocol."""
    forth, back = result.retrieval[TEXT_TO_MUSIC], result.retrieval[MUSIC_TO_TEXT]
    for name in forth:
        console.out.print(_retrieval_table(f"{result.called}, {name}", forth[name], back[name]))
    for name, measured in result.baselines.items():
        console.out.print(_retrieval_table(f"baseline: {name}", measured[TEXT_TO_MUSIC], measured[MUSIC_TO_TEXT]))
    if result.tagging:
        console.out.print(_tagging_table(result.tagging))
    console.out.print("\nAll in per cent but ranks, with 95 % intervals.\n[bold]Protocol[/]")
    for sentence in result.protocol:
        console.out.print(f"- {console.escape(sentence)}")


def say(name: str, value: float) -> str:
    """Write a value of a measure as tables have it: a rank as a number, everything else in per cent."""
    if name == "median_rank":
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    return f"{100 * value:.1f}"


def say_interval(name: str, estimate: Estimate) -> str:
    """Write the interval of an estimate."""
    return f"{say(name, estimate.low)}–{say(name, estimate.high)}"


def narrow_table(title: str, *columns: str) -> Table:
    """Make a table whose first column is words and whose others are numbers, narrow enough for 80 characters."""
    table = Table(title=console.escape(title), title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for place, heading in enumerate(columns):
        style = "dim" if heading == "chance" else "bold" if place % 3 == 1 else ""
        table.add_column(heading, justify="right" if place else "left", style=style, no_wrap=True)
    return table


def _retrieval_table(title: str, forth: Measured, back: Measured) -> Table:
    table = narrow_table(
        f"\n{title}\ntext to music: {forth.queries:,} queries among {forth.candidates:,} tracks\n"
        f"music to text: {back.queries:,} queries among {back.candidates:,} captions",
        "",
        *("to music", "95%", "chance"),
        *(" to text", "95%", "chance"),
    )
    for name in MEASURES:
        cells = [TITLES.get(name, name)]
        for measured in (forth, back):
            estimate = measured.estimates[name]
            cells += [say(name, estimate.value), say_interval(name, estimate), say(name, estimate.chance)]
        table.add_row(*cells)
    return table


def _tagging_table(tagging: dict[str, CategoryResult]) -> Table:
    table = narrow_table("\nsingle-tag queries", "", "value", "95%", "chance", "over")
    for category, found in tagging.items():
        over = f"{found.measured.queries:,} tags, {found.measured.candidates:,} tracks"
        rows = [(name, estimate, over) for name, estimate in found.measured.estimates.items()]
        if found.accuracy:
            rows.append(("accuracy", found.accuracy, f"{found.accuracy_tracks:,} tracks with one"))
        for place, (name, estimate, what) in enumerate(rows):
            table.add_row(
                f"{category} {TITLES.get(name, name)}",
                say(name, estimate.value),
                say_interval(name, estimate),
                say(name, estimate.chance),
                what,
                end_section=place == len(rows) - 1,
            )
    return table
