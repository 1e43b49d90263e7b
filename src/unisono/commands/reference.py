"""`unisono reference`: published results of text-to-music retrieval, each with its protocol and its source."""

from typing import TYPE_CHECKING, Literal

from unisono.base.extras import extra
from unisono.commands import console

if TYPE_CHECKING:
    from unisono.retrieval.evaluate.reference import ReferenceTable


def reference(
    *,
    benchmark: str | None = None,
    queries: int | None = None,
    candidates: int | None = None,
    to: Literal["text", "markdown", "json"] = "text",
) -> None:
    """Show published results of text-to-music retrieval, each with its protocol and its source, and what contradicts them.

    Parameters
    ----------
    benchmark
        Only of this music: song-describer, musiccaps, ...
    queries
        Only with this number of queries.
    candidates
        Only with this number of tracks to find.
    to
        Tables for the terminal; the page of the documentation, which has all results; or the table as JSON.
    """
    run(benchmark, queries, candidates, to)


def run(
    benchmark: str | None = None,
    queries: int | None = None,
    candidates: int | None = None,
    to: str = "text",
) -> "ReferenceTable":
    """Print the published results and return them.

    Raises:
        UsageError: nobody published such results.
    """
    with extra("embed", "Published results"):
        from unisono.retrieval.evaluate import reference as published
    found = published.published(benchmark, queries, candidates)
    if to == "markdown":
        console.out.print(published.page().rstrip("\n"), markup=False, soft_wrap=True)
    elif to == "json":
        console.print_json(found.as_json())
    else:
        for table in found.tables():
            console.show(table)
        for note in found.notes():
            console.out.print(f"- {console.escape(note)}", soft_wrap=True)
    return found
