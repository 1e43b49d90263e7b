"""`unisono compare`: results of `unisono evaluate`, query by query."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unisono.base.extras import extra
from unisono.commands import console

if TYPE_CHECKING:
    from unisono.base.table import Tabular

Form = Literal["text", "markdown", "latex"]
Measure = Literal["recall@1", "recall@5", "recall@10", "mrr", "map@10", "ndcg@10"]


def compare(
    first: str,
    second: str,
    *more: str,
    measures: Sequence[Measure] = ("recall@10", "mrr"),
    to: Form = "text",
    seed: int = 42,
) -> None:
    """Compare results of `unisono evaluate`, query by query.

    Two files are compared in all measures and both directions. More of them, or files with names, become one table with
    tests of significance: models on benchmarks, each with its seeds.

    Parameters
    ----------
    first
        The JSON of one model, or NAME=JSON. What the others are compared with.
    second
        The JSON of another, evaluated on the same music.
    more
        Further results: of other models, other benchmarks, or other seeds of the same model, which has the same name.
        Without a name, a result has that of its checkpoint.
    measures
        What the table has of several results.
    to
        The form of that table.
    seed
        Seed of the bootstrap and the permutations.
    """
    run([first, second, *more], measures, to, seed)


def run(
    files: Sequence[str | Path], measures: Sequence[Measure] = ("recall@10", "mrr"), to: Form = "text", seed: int = 42
) -> "Tabular":
    """Compare results, print the tables and return the comparison."""
    with extra("embed", "Comparing"):
        from unisono.retrieval.evaluate import compare as comparing
        from unisono.retrieval.evaluate import significance
    named = [_named(str(file)) for file in files]
    found: Tabular
    if len(files) == 2 and to == "text" and not any(name for name, _ in named):
        found = comparing.compare(*(path for _, path in named), seed=seed)
        console.say(str(found))
        return found
    found = significance.compare_all(named, measures=list(measures), seed=seed)
    if to == "text":
        console.show(found.table())
        console.out.print(found.note, soft_wrap=True)
    else:
        text = found.table().markdown() if to == "markdown" else found.table().latex()
        console.out.print(text, markup=False, soft_wrap=True)
    return found


def _named(given: str) -> tuple[str, str]:
    """Split NAME=JSON; a path that exists is one, whatever its letters."""
    name, is_named, path = given.partition("=")
    return (name, path) if is_named and not Path(given).exists() else ("", given)
