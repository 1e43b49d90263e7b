"""What a run of `unify` prints and reports: per dataset found, kept, dropped and why, hours, captions, licences."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table

from unisono.base.tally import Tally
from unisono.commands import console
from unisono.tracks.track import CAPTION_ORIGINS, SPLITS, Track

ALL = "all"


def summarise(tracks: Iterable[Track], tally: Tally) -> dict[str, dict[str, Any]]:
    """Give what is left of each dataset, and of all where there are several: tracks, hours, captions, licences."""
    by_dataset: dict[str, list[Track]] = {name: [] for name in sorted(tally.came)}
    for track in tracks:
        by_dataset[track.dataset].append(track)
    summaries = {name: _describe(its_tracks) for name, its_tracks in by_dataset.items()}
    if len(summaries) > 1:
        summaries[ALL] = {
            "tracks": sum(summary["tracks"] for summary in summaries.values()),
            "hours": round(sum(summary["hours"] for summary in summaries.values()), 3),
            "splits": _most_first(summary["splits"] for summary in summaries.values()),
            "captions": _most_first(summary["captions"] for summary in summaries.values()),
            "licenses": _most_first(summary["licenses"] for summary in summaries.values()),
        }
    return summaries


def _describe(tracks: list[Track]) -> dict[str, Any]:
    captions: Counter[str] = Counter()
    for track in tracks:
        captions.update(caption.origin or "unknown" for caption in track.captions)
    return {
        "tracks": len(tracks),
        "hours": round(sum(track.duration for track in tracks) / 3600, 3),
        "splits": _most_first([Counter(track.split or "none" for track in tracks)]),
        "captions": _most_first([captions]),
        "licenses": _most_first([Counter(track.license for track in tracks)]),
    }


def _most_first(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def show(summaries: dict[str, dict[str, Any]], tally: Tally) -> None:
    """Print what `summarise` gives, and why tracks were dropped."""
    reasons: dict[str, Counter[str]] = {name: Counter() for name in summaries}
    for name, dropped in tally.dropped:
        reasons[name][dropped.reason] += 1
    found = {**tally.came, ALL: tally.came.total()}
    origins = [by for by in (*CAPTION_ORIGINS, "unknown") if any(by in each["captions"] for each in summaries.values())]
    counts = _table(
        "Tracks, and their captions by origin", "dataset", "found", "kept", "dropped", "hours", *map(_heading, origins)
    )
    for name, summary in summaries.items():
        captions = [f"{summary['captions'].get(origin, 0):,}" for origin in origins]
        kept, dropped_count, hours = summary["tracks"], found[name] - summary["tracks"], summary["hours"]
        counts.add_row(name, f"{found[name]:,}", f"{kept:,}", f"{dropped_count:,}", f"{hours:,.1f}", *captions)
    splits = _table("Splits", "dataset", *SPLITS)
    for name, summary in summaries.items():
        if set(summary["splits"]) & set(SPLITS):
            splits.add_row(name, *(f"{summary['splits'].get(split, 0):,}" for split in SPLITS))
    why = _table("Dropped", "dataset", "tracks", reason="why")
    licences = _table("Licences", "dataset", "tracks", reason="licence")
    for name, summary in summaries.items():
        _add_counts(why, name, dict(reasons[name].most_common()))
        _add_counts(licences, name, summary["licenses"], most=6)
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
