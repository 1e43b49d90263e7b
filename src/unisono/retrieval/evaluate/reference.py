"""Published results of retrieval, each with its protocol and its source, and where sources contradict each other.

The table is `reference.json`. A number can be compared with another one only if queries and candidates are the same; what a
source does not state is unknown here, and such a row is never printed below a result of one's own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Literal

import msgspec

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.base.table import Table, Tabular
from unisono.retrieval.evaluate.measured import Measured
from unisono.retrieval.evaluate.tables import TITLES, say
from unisono.retrieval.metrics import TEXT_TO_MUSIC

MEASURES = ("recall@1", "recall@5", "recall@10", "mrr", "median_rank", "fraction@10", "ndcg@10")
"""What tables show, if a row has it; definitions are those of `evaluate`."""
UNKNOWN = "unknown"
Read = Literal["at the source", "second-hand"]


class Publication(msgspec.Struct, frozen=True):
    """A paper, a table of results, or a thread."""

    title: str
    url: str
    """Empty where there is no page."""


class PublishedResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One model's result, as published."""

    benchmark: str
    """The music: `song-describer`, in all its parts."""
    queries: int | None = None
    """None: the source does not say, or says several."""
    candidates: int | None = None
    model: str
    checkpoint: str = UNKNOWN
    direction: str = TEXT_TO_MUSIC
    audio: str = UNKNOWN
    """How a track becomes one vector."""
    values: dict[str, float]
    """Measure -> value, from 0 to 1 except ranks."""
    source: str
    where: str = ""
    """The place in the source."""
    read: Read = "at the source"
    """Who read the number: we, or another whose notes we have."""
    note: str = ""

    @property
    def protocol(self) -> tuple[str, int | None, int | None]:
        """The benchmark, its queries and its candidates."""
        return self.benchmark, self.queries, self.candidates


class Contradiction(msgspec.Struct, frozen=True):
    """What two sources say differently, or what is easily mistaken."""

    about: list[str]
    """Benchmarks."""
    text: str
    sources: list[str]


class ReferenceTable(Tabular, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Published results, or a part of them; printed as tables, one for each protocol."""

    format: int
    sources: dict[str, Publication]
    rows: list[PublishedResult]
    contradictions: list[Contradiction]

    def tables(self) -> list[Table]:
        """Return one table for each protocol."""
        return [_table(rows) for rows in self.by_protocol().values()]

    def by_protocol(self) -> dict[tuple[str, int | None, int | None], list[PublishedResult]]:
        """Return the rows of each protocol, in the order of the table."""
        found: dict[tuple[str, int | None, int | None], list[PublishedResult]] = {}
        for row in self.rows:
            found.setdefault(row.protocol, []).append(row)
        return found

    def as_json(self) -> Any:
        """Return it as plain values, as in `reference.json`."""
        return msgspec.to_builtins(self)

    def notes(self) -> list[str]:
        """Return what contradicts what, with sources."""
        return [f"{each.text} [{', '.join(each.sources)}]" for each in self.contradictions]


@cache
def reference() -> ReferenceTable:
    """Return the table of published results."""
    return msgspec.json.decode((files(__package__) / "reference.json").read_bytes(), type=ReferenceTable)


def published(
    benchmark: str | None = None, queries: int | None = None, candidates: int | None = None
) -> ReferenceTable:
    """Return the published results of a benchmark, or of a number of queries and candidates, with what contradicts them.

    Raises:
        UsageError: nobody published such results; the message says what there is.
    """
    table = reference()
    known = sorted({row.benchmark for row in table.rows})
    if benchmark is not None and benchmark not in known:
        raise UsageError(
            f"No published results are known for {benchmark!r}.{nearest(benchmark, known)}",
            hint=f"There are results for: {', '.join(known)}",
            parameter="benchmark",
        )
    of_benchmark = [row for row in table.rows if benchmark in (None, row.benchmark)]
    rows = [row for row in of_benchmark if queries in (None, row.queries) and candidates in (None, row.candidates)]
    if not rows:
        there = dict.fromkeys(_protocol(row) for row in of_benchmark)
        raise UsageError(
            f"Nobody published results for {_counts(queries, candidates)} of {benchmark or 'any music'}, as far as known.",
            hint=f"There are results for: {'; '.join(there)}",
        )
    about = {row.benchmark for row in rows}
    return ReferenceTable(
        table.format,
        {name: source for name, source in table.sources.items() if any(row.source == name for row in rows)},
        rows,
        [each for each in table.contradictions if about & set(each.about)],
    )


def published_table(called: str, benchmark: str, measured: Measured) -> Table | None:
    """Return one's own result above the published ones of the same queries and candidates; None if there are none."""
    rows = [row for row in reference().rows if row.protocol == (benchmark, measured.queries, measured.candidates)]
    if not rows:
        return None
    values = {name: estimate.value for name, estimate in measured.estimates.items()}
    chance = {name: estimate.chance for name, estimate in measured.estimates.items()}
    columns = [name for name in MEASURES if any(name in row.values for row in rows)]
    own = [("this result", called, "", *_cells(columns, values), ""), ("chance", "", "", *_cells(columns, chance), "")]
    found = _table(rows)
    return replace(found, rows=[*own, *found.rows])


def _table(rows: Sequence[PublishedResult]) -> Table:
    columns = [name for name in MEASURES if any(name in row.values for row in rows)]
    return Table(
        f"{_protocol(rows[0])}, text to music, as published",
        ("model", "checkpoint", "a track's vector", *(TITLES.get(name, name) for name in columns), "source"),
        [(row.model, _short(row.checkpoint), row.audio, *_cells(columns, row.values), _source(row)) for row in rows],
        words=(0, 1, 2, 3 + len(columns)),
    )


def _cells(columns: Sequence[str], values: dict[str, float]) -> Iterator[str]:
    for name in columns:
        value = values.get(name)
        yield "–" if value is None else say(name, value) if name == "median_rank" else f"{100 * value:.2f}"


def _protocol(row: PublishedResult) -> str:
    return f"{row.benchmark}: {_counts(row.queries, row.candidates)}"


def _counts(queries: int | None, candidates: int | None) -> str:
    said = [UNKNOWN if count is None else f"{count:,}" for count in (queries, candidates)]
    return f"{said[0]} queries among {said[1]} tracks"


def _short(checkpoint: str) -> str:
    """Return a checkpoint with the first digits of its revision."""
    name, at, revision = checkpoint.partition("@")
    return f"{name}{at}{revision[:7]}"


def _source(row: PublishedResult) -> str:
    place = f"{row.source}, {row.where}" if row.where else row.source
    return place if row.read == "at the source" else f"{place} ({row.read})"


def page() -> str:
    """Return the table as the Markdown page `docs/reference.md`."""
    table = reference()
    parts = [
        "# Published results of text-to-music retrieval",
        "This page is written by `unisono reference --to markdown` from the table that comes with unisono; "
        "`--to json` prints the table itself. Numbers are per cent, except ranks. Compare only numbers of one heading: "
        "the same queries among the same tracks. What a source does not state is *unknown*. *Second-hand* numbers were read "
        "in the notes of others. `unisono evaluate` prints its own line above those of the same queries and tracks, and "
        "above no others.",
    ]
    for rows in table.by_protocol().values():
        found = _table(rows)
        parts += [f"## {_protocol(rows[0])}", found.markdown()]
        parts += [f"- {note}" for note in _row_notes(rows)]
    parts += ["## Contradictions", *(f"- {note}" for note in table.notes()), "## Sources"]
    parts += [
        f"- **{name}**: {source.title}{f', <{source.url}>' if source.url else ''}"
        for name, source in table.sources.items()
    ]
    return _joined(parts)


def _row_notes(rows: Sequence[PublishedResult]) -> Iterator[str]:
    """Yield each note once, with the models that it is about, unless that is all of them."""
    about: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            about.setdefault(row.note, []).append(f"{row.model} [{row.source}]")
    for note, models in about.items():
        yield note if len(models) == len(rows) else f"{', '.join(dict.fromkeys(models))}: {note}"


def _joined(parts: Sequence[str]) -> str:
    """Join paragraphs with blank lines, and the items of a list without."""
    text = parts[0]
    for before, part in pairwise(parts):
        text += ("\n" if before.startswith("- ") and part.startswith("- ") else "\n\n") + part
    return text + "\n"
