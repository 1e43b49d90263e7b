"""`unisono compare`: two results of `unisono evaluate`, query by query."""

from pathlib import Path

from unisono.commands import console
from unisono.retrieval.evaluate import compare as comparing
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


def run(first: Path, second: Path, seed: int = 42) -> Comparison:
    """Compare two results, print the tables and return the comparison."""
    found = comparing.compare(first, second, seed=seed)
    console.out.print(console.escape(str(found)), soft_wrap=True)
    return found
