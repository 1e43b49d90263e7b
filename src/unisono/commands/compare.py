"""`unisono compare`: two results of `unisono evaluate`, query by query."""

from pathlib import Path
from typing import TYPE_CHECKING

from unisono.base.extras import extra
from unisono.commands import console

if TYPE_CHECKING:
    from unisono.retrieval.evaluate.compare import Comparison


def compare(first: Path, second: Path, *, seed: int = 42) -> None:
    """Compare two results of `unisono evaluate`, query by query.

    Parameters
    ----------
    first
        The JSON of one model.
    second
        The JSON of the other, evaluated on the same music.
    seed
        Seed of the bootstrap.
    """
    run(first, second, seed)


def run(first: Path, second: Path, seed: int = 42) -> "Comparison":
    """Compare two results, print the tables and return the comparison."""
    with extra("embed", "Comparing"):
        from unisono.retrieval.evaluate import compare as comparing
    found = comparing.compare(first, second, seed=seed)
    console.out.print(console.escape(str(found)), soft_wrap=True)
    return found
