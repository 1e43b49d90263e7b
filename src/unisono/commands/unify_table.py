"""The tables of `unisono unify`: found, kept, dropped and why, hours, captions, splits, licences."""

from collections import Counter

from rich import box
from rich.table import Table

from unisono.commands import console
from unisono.curation.unify_report import ORIGINS, UnifyReport
from unisono.tracks.track import SPLITS


def show(report: UnifyReport) -> None:
    """Print the report."""
    reasons: dict[str, Counter[str]] = {name: Counter() for name in report.datasets}
    for name, dropped in report.tally.dropped:
        reasons[name][dropped.reason] += 1
    origins = [by for by in ORIGINS if any(by in kept.captions for kept in report.datasets.values())]
    counts = _table(
        "Tracks, and their captions by origin", "dataset", "found", "kept", "dropped", "hours", *map(_heading, origins)
    )
    for name, its in report.datasets.items():
        captions = [f"{its.captions.get(origin, 0):,}" for origin in origins]
        numbers = (report.found(name), its.tracks, report.found(name) - its.tracks)
        counts.add_row(name, *(f"{number:,}" for number in numbers), f"{its.hours:,.1f}", *captions)
    splits = _table("Splits", "dataset", *SPLITS)
    for name, its in report.datasets.items():
        if set(its.splits) & set(SPLITS):
            splits.add_row(name, *(f"{its.splits.get(split, 0):,}" for split in SPLITS))
    why = _table("Dropped", "dataset", "tracks", reason="why")
    licences = _table("Licences", "dataset", "tracks", reason="licence")
    for name, its in report.datasets.items():
        _add_counts(why, name, dict(reasons[name].most_common()))
        _add_counts(licences, name, its.licenses, most=6)
    for table in (counts, splits, why, licences):
        if table.row_count:
            console.out.print(table)


def _heading(origin: str) -> str:
    return {"tags": "from tags", "unknown": "unmarked"}.get(origin, origin)


def _table(title: str, first: str, *numbers: str, reason: str = "") -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    if reason:
        table.add_column(reason, overflow="fold")
    return table


def _add_counts(table: Table, dataset: str, counts: dict[str, int], most: int = 12) -> None:
    rows = [(f"{count:,}", console.escape(name)) for name, count in list(counts.items())[:most]]
    if len(counts) > most:
        rows.append((f"{sum(list(counts.values())[most:]):,}", f"({len(counts) - most} others, see the report)"))
    for number, row in enumerate(rows):
        table.add_row("" if number else dataset, *row)
