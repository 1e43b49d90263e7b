"""`unisono evaluate --benchmark all`: every benchmark whose release is on disk, and one page about all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.extras import extra
from unisono.base.files import remove_left_behind
from unisono.commands import console
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.retrieval.evaluate.overview import Overview
    from unisono.retrieval.evaluate.result import Result

ALL = "all"


def run_all(workspace: Workspace, page: Path, evaluate: Callable[[str], "Result"]) -> "Overview":
    """Evaluate on all benchmarks that are there, print a table, write one page, and return what was found.

    Raises:
        UsageError: none is there.
        DataError: some could not be evaluated on; the page has the others.
    """
    from unisono.retrieval.evaluate import benchmarks
    from unisono.retrieval.evaluate.benchmarks import _reading
    from unisono.retrieval.evaluate.overview import Overview

    with extra("report", "The page of all benchmarks"):
        from unisono.retrieval.report.overview import write_page
    cards = [benchmarks.get(name) for name in benchmarks.names()]
    there = [card for card in cards if _reading.is_there(card, workspace)]
    if not there:
        raise UsageError(
            f"No benchmark is in {workspace.raw}.",
            hint=f"Fetch one, such as: unisono download {cards[-1].dataset}{workspace.root_option}",
        )
    results, failed = {}, {}
    for card in there:
        console.log.info("Benchmark %s.", card.name)
        try:
            results[card.name] = evaluate(card.name)
        except UnisonoError as error:
            failed[card.name] = error.message
            console.log.warning("%s: %s", card.name, error.message)
    absent = {card.name: f"unisono download '{card.dataset}'" for card in cards if card not in there}
    overview = Overview(results, failed, absent)
    if results:
        remove_left_behind(page)
        write_page(overview, page)
        console.out.print("")
        console.show(overview.table())
        console.log.info("Wrote %s.", page)
    if failed:
        raise DataError(f"{len(failed)} of {len(there)} benchmarks could not be evaluated on: {', '.join(failed)}.")
    return overview
