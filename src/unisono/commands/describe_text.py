"""The card in the terminal."""

from collections.abc import Iterable, Mapping
from typing import Literal

from rich import box
from rich.table import Table

from unisono.commands import console
from unisono.curation.statistics import IDENTITIES, QUANTILES, Card, Part, quantiles
from unisono.tracks.licenses import terms

MOST = 12
"""Rows of a list in the terminal."""
_LONGEST_WORDS = {"written by": len("human 100%,")}
"""Columns that would be cut in a narrow terminal: letters that must stay together."""
_WORDS = frozenset({"written by", "and", "commercial use", "derivatives"})
"""Columns of text."""
ALLOWS = {True: "yes", False: "no", None: "unknown"}


def show(card: Card, title: str) -> None:
    """Print the card."""
    console.out.print(f"[bold]{console.escape(title)}[/]", soft_wrap=True)
    console.out.print(headline(card), soft_wrap=True)
    console.out.print()
    parts = [*card.datasets.items(), *([("all", card.all)] if len(card.datasets) > 1 else [])]
    _table(
        "Datasets (words: the median of a caption)", DATASET_HEADINGS, [dataset_row(name, part) for name, part in parts]
    )
    splits = [(name, f"{part.tracks:,}", hours(part), f"{part.captions:,}") for name, part in card.splits.items()]
    _table("Splits", ("split", "tracks", "hours", "captions"), splits)
    _table("Lengths", ("", *QUANTILES, "mean"), length_rows(card.all))
    total = card.all.tracks
    licenses = [(name, share(count, total), *allowed(name)) for name, count in list(card.licenses.items())[:MOST]]
    _table(_title("Licences", card.licenses), ("licence", "tracks", "commercial use", "derivatives"), licenses)
    _table("Fields that are filled", ("field", "tracks"), [(n, share(c, total)) for n, c in card.filled.items()])
    for name, counts in (("Genres", card.genres), ("Tags", card.tags)):
        if counts:
            rows = [(value, share(count, total)) for value, count in list(counts.items())[:MOST]]
            _table(_title(name, counts), (name.lower().removesuffix("s"), "tracks"), rows)
    console.out.print(vocabulary(card), soft_wrap=True)
    frequent = ", ".join(f"{word} ({count:,})" for word, count in card.vocabulary.most_frequent)
    console.out.print(f"Most frequent: {console.escape(frequent)}", soft_wrap=True)
    console.out.print()
    if card.overlaps:
        _table("Shared", ("between", "and", *IDENTITIES), overlap_rows(card))
    else:
        console.out.print("Datasets and splits share no recording, no artist and no file, as far as these are named.")


def headline(card: Card) -> str:
    """Say in a sentence how much there is."""
    distinct = ", ".join(f"{card.distinct[name]:,} {name}" for name in IDENTITIES if card.distinct[name])
    return (
        f"{card.all.tracks:,} tracks, {hours(card.all)} hours, {card.all.captions:,} captions; "
        f"{distinct} as far as they are named."
    )


def vocabulary(card: Card) -> str:
    """Say in a sentence how rich the captions are."""
    found = card.vocabulary
    once = found.once / found.distinct if found.distinct else 0
    return (
        f"Vocabulary: {found.distinct:,} words, {once:.0%} of them met once, in {found.words:,} running words; "
        f"{found.distinct_captions:,} of {card.all.captions:,} captions differ."
    )


DATASET_HEADINGS = ("dataset", "tracks", "hours", "captions", "a track", "words", "written by")
"""`words`: the median of a caption."""


def dataset_row(name: str, part: Part) -> tuple[str, ...]:
    """Give the cells of `DATASET_HEADINGS`."""
    origins = ", ".join(
        origin if count == part.captions else f"{origin} {count / part.captions:.0%}"
        for origin, count in part.origins.most_common()
    )
    return (
        name,
        f"{part.tracks:,}",
        hours(part),
        f"{part.captions:,}",
        f"{part.captions / part.tracks:.1f}",
        f"{quantiles(part.caption_words)['median']:.0f}",
        origins,
    )


def length_rows(part: Part) -> list[tuple[str, ...]]:
    """Give the quantiles and the mean of durations and captions."""
    rows = []
    for name, values in (("duration, s", part.durations_s), ("caption, words", part.caption_words)):
        numbers = [*quantiles(values).values(), sum(values) / len(values)]
        rows.append((name, *(f"{number:,.1f}" for number in numbers)))
    return rows


def overlap_rows(card: Card) -> list[tuple[str, ...]]:
    """Give the cells of the table of what is shared."""
    return [
        (f"{each.by} {each.first}", each.second, *(f"{each.shared[name]:,}" for name in IDENTITIES))
        for each in card.overlaps
    ]


def allowed(license: str) -> tuple[str, str]:
    """Say whether a licence allows commercial use, and derivatives."""
    its_terms = terms(license)
    return ALLOWS[its_terms.commercial_use], ALLOWS[its_terms.derivatives]


def hours(part: Part) -> str:
    """Say how many hours a part has."""
    return f"{part.seconds / 3600:,.2f}" if part.seconds < 36_000 else f"{part.seconds / 3600:,.0f}"


def share(count: int, total: int) -> str:
    """Say a count with its share of all."""
    return f"{count:,} ({count / total:.1%})"


def _title(name: str, counts: Mapping[str, int]) -> str:
    return f"{name}, the {MOST} most frequent of {len(counts):,}" if len(counts) > MOST else name


def _table(title: str, headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for at, heading in enumerate(headings):
        justify: Literal["left", "right"] = "right" if at and heading not in _WORDS else "left"
        least = 16 if not at and heading else _LONGEST_WORDS.get(heading)
        table.add_column(heading, justify=justify, overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*map(console.escape, row))
    console.out.print(table)
    console.out.print()
