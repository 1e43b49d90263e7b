"""One page about a model on several benchmarks: what each is, its numbers, and the published ones."""

from pathlib import Path

import jinja2

from unisono.base.files import write_whole
from unisono.retrieval.evaluate import benchmarks
from unisono.retrieval.evaluate.overview import Overview
from unisono.retrieval.evaluate.reference import published


def write_page(overview: Overview, path: Path) -> None:
    """Write the page, whole or not at all."""
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("unisono.retrieval.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("overview.html.jinja")
    music = {row.benchmark for row in published().rows}
    cards = {name: benchmarks.get(name) for name in (*overview.results, *overview.failed, *overview.absent)}
    notes = {name: published(card.music).notes() if card.music in music else [] for name, card in cards.items()}
    write_whole(path, template.render(overview=overview, cards=cards, notes=notes))
