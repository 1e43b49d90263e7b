"""Measure the outcome: does the model find unheard music by unread descriptions?"""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from rich import box
from rich.table import Table

from demo.arrange import Facts
from demo.instruments import LEADS
from unisono.base.errors import UnisonoError
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.evaluate.measured import Estimate
from unisono.retrieval.evaluate.result import read_result
from unisono.tracks.track import SPLITS

TIMES_CHANCE = 5
"""The whole interval of text-to-music recall@10 must lie above chance times this."""
MIN_PRECISION = 0.6
"""Mean share of the first five answers to an instrument's name that must be right."""
TOP = 5

Excerpt = tuple[str, float]
"""Path of the audio file below `raw`, and where in it the excerpt begins."""
Truth = dict[Excerpt, tuple[str, Facts]]


@dataclass(frozen=True)
class HeldOut:
    """The truth about the test split."""

    facts: dict[Excerpt, Facts]
    works: set[str]
    """Sources of its compositions."""

    def instruments(self) -> list[str]:
        """List the lead instruments that enough excerpts feature for all first answers to be right."""
        heard = [name for facts in self.facts.values() for name in facts.players]
        return [name for name in LEADS if heard.count(name) >= TOP]


@dataclass(frozen=True)
class Precision:
    """Precision of the first answers for each instrument's name."""

    by_instrument: dict[str, float]
    chance: float

    @property
    def mean(self) -> float:
        """The mean over the instruments."""
        return mean(self.by_instrument.values())


def held_out(embeddings: Path, raw: Path, truth: Truth) -> HeldOut:
    """Read the excerpts of the test split.

    Raises:
        UnisonoError: a composition of the test split is in another split as well.
    """
    works: dict[str, set[str]] = {}
    facts: dict[Excerpt, Facts] = {}
    with open_embeddings(embeddings) as file:
        for split in SPLITS:
            rows = file.read(split, [])
            excerpts = [
                excerpt_of(path, float(start), raw)
                for path, start in zip(rows.texts["audio_path"], rows.start_s, strict=True)
            ]
            works[split] = {truth[excerpt][0] for excerpt in excerpts}
            if split == "test":
                facts = {excerpt: truth[excerpt][1] for excerpt in excerpts}
    shared = works["test"] & (works["train"] | works["val"])
    if shared:
        raise UnisonoError(
            f"Compositions of the test split are in another split: {len(shared)}, the first being {min(shared)}."
        )
    return HeldOut(facts, works["test"])


def excerpt_of(audio_path: str, start_s: float, raw: Path) -> Excerpt:
    """Return the excerpt's key in the truth."""
    return Path(audio_path).relative_to(raw.resolve()).as_posix(), round(start_s, 3)


def queries(instruments: list[str]) -> list[str]:
    """Return a query for each instrument."""
    return [f"{name} music" for name in instruments]


def precision(found: str, instruments: list[str], test: HeldOut, raw: Path) -> Precision:
    """Measure the first answers to the instruments' queries.

    Args:
        found: output of `unisono search --json` for `queries(instruments)`.
        instruments: their names.
        test: the excerpts searched.
        raw: folder of the releases.
    """
    by_instrument = {}
    for name, answer in zip(instruments, json.loads(found), strict=True):
        hits = [test.facts[excerpt_of(hit["audio_path"], hit["start_s"], raw)] for hit in answer["hits"]]
        by_instrument[name] = sum(name in facts.players for facts in hits) / TOP
    shares = [mean(name in facts.players for facts in test.facts.values()) for name in instruments]
    return Precision(by_instrument, mean(shares))


def recall_at_10(result: Path) -> tuple[Estimate, int, int]:
    """Read text-to-music recall@10 with the numbers of queries and candidates from an evaluation's JSON."""
    measured = read_result(result).retrieval["text_to_music"]["all"]
    return measured.estimates["recall@10"], measured.queries, measured.candidates


def table(recall: Estimate, precise: Precision | None) -> tuple[Table, bool]:
    """Compare the outcome with the targets; return a table and whether all of them hold."""
    recall_holds = recall.low > TIMES_CHANCE * recall.chance
    precise_holds = precise is not None and precise.mean >= MIN_PRECISION
    shown = Table(box=box.SIMPLE_HEAD)
    for heading in ("", "value", "95 %", "chance", "target", "holds"):
        shown.add_column(heading, justify="left" if heading in ("", "target") else "right")
    shown.add_row(
        "text to music recall@10",
        f"{recall.value:.1%}",
        f"{100 * recall.low:.1f}–{100 * recall.high:.1f}%",
        f"{recall.chance:.1%}",
        f"> {TIMES_CHANCE * recall.chance:.1%}",
        _say(recall_holds),
    )
    shown.add_row(
        f"precision@{TOP}, instruments",
        f"{precise.mean:.2f}" if precise else "",
        "",
        f"{precise.chance:.2f}" if precise else "",
        f">= {MIN_PRECISION:.2f}",
        _say(precise_holds),
    )
    return shown, recall_holds and precise_holds


def _say(holds: bool) -> str:
    return "[green]yes[/]" if holds else "[red]no[/]"
