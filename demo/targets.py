"""Measure the outcome: does the model find unheard music by unread descriptions?"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from rich import box
from rich.table import Table

from demo.arrange import Facts
from demo.instruments import LEADS
from unisono.base.errors import UnisonoError
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.evaluate.measured import Estimate
from unisono.retrieval.evaluate.result import read_result
from unisono.tracks.track import SPLITS


@dataclass(frozen=True)
class Bar:
    """What a model must reach."""

    recall: float
    """Chance times this: the least text-to-music recall@10."""
    interval: float
    """Chance times this: the whole interval of recall@10 must lie above."""
    precision: float = 0.6
    """Mean share of the first five answers to an instrument's name that must be right."""
    instruments: tuple[str, ...] = LEADS
    """The instruments that it is asked for."""


BARS = {
    "tags": Bar(
        3.5,
        2.5,
        instruments=(
            "piano", "harpsichord", "acoustic guitar", "electric guitar", "violin", "cello", "harp", "choir", "flute",
        ),
    ),
    "trained": Bar(5, 5),
}  # fmt: skip
"""Model -> its bar; `tags` is asked for the instruments that are among its tags."""
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

    def instruments(self, wanted: Iterable[str] = LEADS) -> list[str]:
        """List the instruments that enough excerpts feature for all first answers to be right."""
        heard = [name for facts in self.facts.values() for name in facts.players]
        return [name for name in wanted if heard.count(name) >= TOP]


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


def precision(answers: list[dict[str, Any]], instruments: list[str], test: HeldOut, raw: Path) -> Precision:
    """Measure the first answers to the instruments' queries.

    Args:
        answers: of `unisono search --json` to `queries(instruments)`.
        instruments: their names.
        test: the excerpts searched.
        raw: folder of the releases.
    """
    by_instrument = {}
    for name, answer in zip(instruments, answers, strict=True):
        hits = [test.facts[excerpt_of(hit["audio_path"], hit["start_s"], raw)] for hit in answer["hits"]]
        by_instrument[name] = sum(name in facts.players for facts in hits) / TOP
    shares = [mean(name in facts.players for facts in test.facts.values()) for name in instruments]
    return Precision(by_instrument, mean(shares))


def recall_at_10(result: Path) -> tuple[Estimate, int, int]:
    """Read text-to-music recall@10 with the numbers of queries and candidates from an evaluation's JSON."""
    measured = read_result(result).retrieval["text_to_music"]["all"]
    return measured.estimates["recall@10"], measured.queries, measured.candidates


@dataclass(frozen=True)
class Outcome:
    """What a model reached."""

    recall: Estimate
    """Text-to-music recall@10."""
    precise: Precision | None
    """None if there are too few excerpts."""

    def holds(self, bar: Bar) -> tuple[bool, bool]:
        """Return whether recall and precision reach the bar."""
        recall = self.recall
        return (
            recall.value >= bar.recall * recall.chance and recall.low > bar.interval * recall.chance,
            self.precise is not None and self.precise.mean >= bar.precision,
        )


def table(outcomes: dict[str, Outcome]) -> tuple[Table, bool]:
    """Compare the outcomes of the models with their bars; return a table and whether all hold."""
    shown = Table(box=box.SIMPLE_HEAD)
    for heading in ("", *outcomes, "chance"):
        shown.add_column(heading, justify="right" if heading else "left")
    recalls = [each.recall for each in outcomes.values()]
    precise = [each.precise for each in outcomes.values()]
    held = [each.holds(BARS[name]) for name, each in outcomes.items()]
    bars = [BARS[name] for name in outcomes]
    shown.add_row("text to music recall@10", *(f"{each.value:.1%}" for each in recalls), f"{recalls[0].chance:.1%}")
    shown.add_row("  95 %", *(f"{100 * each.low:.1f}–{100 * each.high:.1f}%" for each in recalls))
    shown.add_row("  times chance", *(f"{each.value / each.chance:.1f}" for each in recalls), "1")
    shown.add_row("  target", *(f">= {each.recall:g}, interval > {each.interval:g}" for each in bars))
    shown.add_row("  holds", *(_say(recall) for recall, _ in held))
    shown.add_row(
        f"precision@{TOP}, instruments",
        *(f"{each.mean:.2f}" if each else "" for each in precise),
        " / ".join(f"{each.chance:.2f}" for each in precise if each),
    )
    shown.add_row("  of", *(str(len(each.by_instrument)) if each else "" for each in precise))
    shown.add_row("  target", *(f">= {each.precision:.2f}" for each in bars))
    shown.add_row("  holds", *(_say(precision) for _, precision in held))
    return shown, all(map(all, held))


def _say(holds: bool) -> str:
    return "[green]yes[/]" if holds else "[red]no[/]"
