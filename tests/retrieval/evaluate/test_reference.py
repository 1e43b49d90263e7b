"""The table of published results: its numbers are those of a whole number of queries, and its page is up to date."""

import json

import pytest

from tests.conftest import REPOSITORY
from unisono.base.errors import UsageError
from unisono.commands.reference import run
from unisono.retrieval.evaluate.measured import Estimate, Measured
from unisono.retrieval.evaluate.reference import page, published, published_table, reference

TABLE = reference()


def test_every_row_has_a_source_and_every_contradiction_is_about_something():
    assert len(TABLE.rows) > 60
    assert {row.source for row in TABLE.rows} | {name for each in TABLE.contradictions for name in each.sources} == set(
        TABLE.sources
    )
    assert {name for each in TABLE.contradictions for name in each.about} <= {row.benchmark for row in TABLE.rows}


def test_hit_rates_are_those_of_a_whole_number_of_queries():
    """A printed 25.38 % of 197 queries is 50 of them; of 400 it would be no whole number."""
    checked = 0
    for row in TABLE.rows:
        digits = 3 if row.source == "aux" or row.values.get("recall@1") in (0.041, 0.075, 0.061, 0.13) else 4
        for name in ("recall@1", "recall@5", "recall@10"):
            if row.queries and name in row.values:
                value = row.values[name]
                assert abs(round(value * row.queries) / row.queries - value) <= 1.01 * 10**-digits, (row, name)
                checked += 1
    assert checked > 80
    of_400 = [value for row in TABLE.rows if row.queries == 197 for value in row.values.values()]
    assert sum(abs(round(value * 400) / 400 - value) > 1e-4 for value in of_400) > 10


def test_the_page_of_the_documentation_is_the_table():
    assert (REPOSITORY / "docs" / "reference.md").read_text(encoding="utf-8") == page()


def test_a_protocol_that_nobody_published_is_an_error_that_lists_what_there_is():
    assert published("song-describer", 746, 547).rows[0].values == {"mrr": 0.1703}
    with pytest.raises(UsageError, match="Nobody published results for 746 queries among 706") as found:
        published("song-describer", 746, 706)
    assert "746 queries among 547 tracks" in found.value.hint
    with pytest.raises(UsageError, match="song-describer"):
        published("song-describr")


def measured(queries, candidates):
    return Measured(queries, candidates, 1.0, 9, {"recall@10": Estimate(0.5, 0.4, 0.6, 0.014)})


def test_ones_own_line_is_printed_only_above_results_of_the_same_queries_and_tracks():
    table = published_table("mine", "song-describer", measured(1106, 706))
    assert table and table.rows[0][:2] == ("this result", "mine") and "50.00" in table.rows[0]
    assert "1.40" in table.rows[1] and len(table.rows) == 9
    for benchmark, queries, candidates in (
        ("song-describer", 1105, 706),
        ("song-describer", 746, 706),
        ("musiccaps", 1106, 706),
        ("", 1106, 706),
    ):
        assert published_table("mine", benchmark, measured(queries, candidates)) is None


def test_the_command_prints_tables_and_json(capsys):
    run("musicbench")
    assert "FIGMA" in (shown := capsys.readouterr().out) and "is 197 clips" in shown
    run("musicbench", to="json")
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 8
