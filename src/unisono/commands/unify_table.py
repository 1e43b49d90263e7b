"""The tables of `unisono unify`: found, kept, dropped and why, hours, captions, splits, licences."""

from collections import Counter

from unisono.base.table import Table
from unisono.commands import console
from unisono.curation.unify_report import ORIGINS, UnifyReport
from unisono.tracks.track import SPLITS


def show(report: UnifyReport) -> None:
    """Print the report."""
    reasons: dict[str, Counter[str]] = {name: Counter() for name in report.datasets}
    for name, dropped in report.tally.dropped:
        reasons[name][dropped.reason] += 1
    why = [row for name in report.datasets for row in _counts(name, dict(reasons[name].most_common()))]
    licences = [row for name, its in report.datasets.items() for row in _counts(name, its.licenses, most=6)]
    splits = [
        (name, *(f"{its.splits.get(split, 0):,}" for split in SPLITS))
        for name, its in report.datasets.items()
        if set(its.splits) & set(SPLITS)
    ]
    for table in (
        _kept(report),
        Table("Splits", ("dataset", *SPLITS), splits),
        Table("Dropped", ("dataset", "tracks", "why"), why, words=(0, 2)),
        Table("Licences", ("dataset", "tracks", "licence"), licences, words=(0, 2)),
    ):
        if table.rows:
            console.show(table)


def _kept(report: UnifyReport) -> Table:
    origins = [by for by in ORIGINS if any(by in kept.captions for kept in report.datasets.values())]
    rows = []
    for name, its in report.datasets.items():
        numbers = (report.found(name), its.tracks, report.found(name) - its.tracks)
        captions = [f"{its.captions.get(origin, 0):,}" for origin in origins]
        rows.append((name, *(f"{number:,}" for number in numbers), f"{its.hours:,.1f}", *captions))
    named = [{"tags": "from tags", "unknown": "unmarked"}.get(origin, origin) for origin in origins]
    headings = ("dataset", "found", "kept", "dropped", "hours", *named)
    return Table("Tracks, and their captions by origin", headings, rows)


def _counts(dataset: str, counts: dict[str, int], most: int = 12) -> list[tuple[str, str, str]]:
    rows = [(f"{count:,}", name) for name, count in list(counts.items())[:most]]
    if len(counts) > most:
        rows.append((f"{sum(list(counts.values())[most:]):,}", f"({len(counts) - most} others, see the report)"))
    return [("" if number else dataset, *row) for number, row in enumerate(rows)]
