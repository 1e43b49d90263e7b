"""`unisono compare`: two results of `unisono evaluate`, query by query."""

from pathlib import Path

from unisono.commands import console
from unisono.commands.evaluate_table import TITLES, narrow_table, say
from unisono.retrieval.evaluate.compare import Comparison
from unisono.retrieval.evaluate.compare import compare as compare_results
from unisono.retrieval.evaluate.result import read_result
from unisono.retrieval.pairing import MUSIC_TO_TEXT, TEXT_TO_MUSIC


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


def run(first_path: Path, second_path: Path, seed: int = 42) -> dict[str, Comparison]:
    """Compare two results, print the tables and return what they show: direction -> comparison.

    Raises:
        UsageError, DataError: a file is missing, no result, or the two were not asked the same.
    """
    first, second = read_result(first_path), read_result(second_path)
    compared = {
        direction: compare_results(first, second, direction, seed) for direction in (TEXT_TO_MUSIC, MUSIC_TO_TEXT)
    }
    console.out.print(f"first:  {console.escape(f'{first_path} ({first.checkpoint})')}", soft_wrap=True)
    console.out.print(f"second: {console.escape(f'{second_path} ({second.checkpoint})')}", soft_wrap=True)
    for direction, comparison in compared.items():
        _show(direction, comparison)
    console.out.print(
        "\nIn per cent but ranks; a lower rank is better. Intervals of the difference: 95 %, paired bootstrap over "
        "recordings. They tell what other test music would change, not what another training run would."
    )
    return compared


def _show(direction: str, comparison: Comparison) -> None:
    title = (
        f"\n{direction.replace('_', ' ')}: {comparison.queries:,} queries among {comparison.candidates:,} candidates"
        + (f"; {comparison.left_out:,} asked of one only are left out" if comparison.left_out else "")
    )
    table = narrow_table(title, "", "first", "second", "difference", "95%", "")
    for name, found in comparison.differences.items():
        table.add_row(
            TITLES.get(name, name),
            say(name, found.first),
            say(name, found.second),
            f"{'+' if found.second >= found.first else ''}{say(name, found.second - found.first)}",
            f"{say(name, found.low)} to {say(name, found.high)}",
            found.verdict,
        )
    console.out.print(table)
