import csv
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.sources.cells import list_literal, seconds, whole_number
from unisono.sources.readers import CsvTable, JsonLines, json_items, read_json, tab_rows

cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: "\x00" not in text)
in_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write_csv(path: Path, rows: list[list[str]], ending: str = "\n") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(rows)


@in_tmp_path
@given(st.lists(st.tuples(cells, cells, cells), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_table_is_read_as_written(
    tmp_path: Path, rows: list[tuple[str, str, str]], ending: str, has_bom: bool
) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, [["id", "b", "text"], *map(list, rows)], ending)
    if has_bom:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    read = list(CsvTable(path, tmp_path, ("text", "id"), optional=("absent",)))
    assert [row[1] for row in read if not isinstance(row, Dropped)] == [(text, id, "") for id, _, text in rows]


@in_tmp_path
@given(
    st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b" ", b"x", b"\xc3\xa9", b"\xe9", b"\x00", b"1,2\n"])).map(
        b"".join
    )
)
def test_both_readers_agree_on_anything(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + content)
    table = CsvTable(path, tmp_path, ("a", "b"))

    def outcome(rows) -> object:
        try:
            return list(rows)
        except DataError as error:
            return error.message

    assert outcome(table) == outcome(table._careful())


def test_a_quote_within_a_cell_does_not_hide_one_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n5" vinyl,"good"\n1,2\n3,"never closed\n4,5\n')
    with pytest.raises(DataError, match=r"line 4: .*never closed"):
        list(CsvTable(path, tmp_path, ("a", "b")))


def test_a_name_in_the_header_may_span_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"a\nfile",b\n1,2\n')
    assert list(CsvTable(path, tmp_path, ("b",))) == [(1, ("2",))]


@pytest.mark.parametrize("has_arrow", [True, False])
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_arrow: bool) -> None:
    if not has_arrow:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "t.csv"
    path.write_bytes(b'id,text\n1,"two\nlines"\n\n2,too,many\n3,caf\xe9\n4,fine\n')
    table = CsvTable(path, tmp_path, ("id", "text"))
    assert list(table) == [
        (1, ("1", "two\nlines")),
        Dropped(id="t.csv:5", reason="malformed row", detail="expected 2 cells, found 3"),
        Dropped(id="t.csv:6", reason="malformed row", detail="field 'text': not UTF-8"),
        (4, ("4", "fine")),
    ]
    assert [table.where(number) for number in (1, 2, 3, 4)] == ["t.csv:2", "t.csv:5", "t.csv:6", "t.csv:7"]


def test_columns_may_stand_anywhere(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [["x", "text", "id"], ["?", "a", "1"]])
    assert list(CsvTable(tmp_path / "t.csv", tmp_path, ("id", "text"))) == [(1, ("1", "a"))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,words\n1,a\n", "line 1: the column 'text' is missing; found id, words"),
        (b"", "expected 1 header rows, found none"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n", "is a Git LFS pointer"),
    ],
)
def test_a_fault_of_the_whole_table(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(CsvTable(tmp_path / "t.csv", tmp_path, ("id", "text")))


def test_a_quote_that_is_never_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,text\n1,"' + "words and more words\n" * 1000)
    limit = csv.field_size_limit(1000)
    try:
        with pytest.raises(DataError, match=r"line 2: .*never closed"):
            list(CsvTable(path, tmp_path, ("id", "text"))._careful())
    finally:
        csv.field_size_limit(limit)


def test_a_table_of_nothing_but_faults_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\n" + "one cell\n" * 200)
    with pytest.raises(DataError, match="expected 2 cells, found 1; no row before it was any better"):
        list(CsvTable(tmp_path / "t.csv", tmp_path, ("id", "text")))


class Row(msgspec.Struct):
    id: str
    number: float = 0


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a"}\r\n\n{"id": 3}\n{"id": "b", "number": "2.5", "more": [1]}\n'
        b'{"id": "c"\n[]\n{"id": "caf\xe9"}\n{"id": "last"}'
    )
    rows = list(JsonLines(path, tmp_path, Row))
    assert [row if isinstance(row, tuple) else (row.id, row.reason) for row in rows] == [
        (1, Row("a")),
        ("rows.jsonl:3", "malformed row"),
        (4, Row("b", 2.5)),
        ("rows.jsonl:5", "malformed row"),
        ("rows.jsonl:6", "malformed row"),
        ("rows.jsonl:7", "malformed row"),
        (8, Row("last")),
    ]
    assert isinstance(rows[1], Dropped) and rows[1].detail == "field '$.id': Expected `str`, got `int`"


@in_tmp_path
@given(st.lists(cells, max_size=30), st.integers(1, 40))
def test_json_lines_in_blocks_of_any_size(tmp_path: Path, ids: list[str], size: int) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode({"id": text}) + b"\n" for text in ids))
    from unisono.sources import readers as _reading

    block, _reading._BLOCK = _reading._BLOCK, size
    try:
        assert list(JsonLines(path, tmp_path, Row)) == [(n, Row(text)) for n, text in enumerate(ids, 1)]
    finally:
        _reading._BLOCK = block


def test_json_lines_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("a,b\n" * 200)
    with pytest.raises(DataError, match="line 100: not valid JSON"):
        list(JsonLines(tmp_path / "rows.jsonl", tmp_path, Row))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[\n{"id": "a"},\n{"id": }]', "line 3, column 8: not valid JSON"),
        (b'[{"id": "caf\xe9"}]', "line 1: not UTF-8"),
        (b'[{"id": 3}]', r"field '\$\[0\]\.id'"),
        (b"[" * 100_000, "t.json"),
    ],
)
def test_bad_json(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_json(tmp_path / "t.json", list[Row])


def test_json_items(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"tracks": [{"id": "a"}, {"id": null}]}')
    items = list(json_items(path, tmp_path, Row))
    assert items[0] == ("t.json: item 1", Row("a"))
    assert isinstance(items[1], Dropped) and items[1].id == "t.json: item 2"
    for content, found in (('"text"', "'text'"), ('{"a": {"id": "a"}}', "an object with a")):
        path.write_text(content)
        with pytest.raises(DataError, match=f"expected a list of items, .* found {found}"):
            list(json_items(path, tmp_path, Row))


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": "a"}, {"id": "b"}]', '{"data": [{"id": "a"}, {"id": "b"}], "version": 1}', '{"id": {"0": "a", "1": "b"}}',
        '{"id": ["a", "b"], "more": [1, 2]}', '{"id": {"0": "a", "1": "b"}, "more": {"0": 1, "1": null}}',
        '{"0": {"id": "a"}, "1": {"id": "b"}}',
    ],
)  # fmt: skip
def test_tables_as_programs_write_them(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    assert list(json_items(path, tmp_path, Row)) == [("t.json: item 1", Row("a")), ("t.json: item 2", Row("b"))]


def test_tab_rows(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b'a\tb\t"c\r\n\r\nd\n\xff\te\n')
    assert list(tab_rows(tmp_path / "t.tsv", tmp_path)) == [
        (1, ["a", "b", '"c']),
        (3, ["d"]),
        Dropped(id="t.tsv:4", reason="malformed row", detail="not UTF-8"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("226", 226), ("0", 0), (0, 0), (0.0, 0), ("226.0", 226), (226.0, 226), (5, 5), ("0226", 226), ("", None), (None, None),
     ("2.5", None), ("x", None), ("-1", None), ("nan", None), ("inf", None), ("1e400", None), ("9" * 30, None), ("²", None)],
)  # fmt: skip
def test_whole_number(value, expected) -> None:
    assert whole_number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("202.5", 202.5), (3, 3.0), ("", 0), (None, 0), ("nan", 0), ("inf", 0), ("-3", 0), ("soon", 0), ("1e9", 0)],
)
def test_seconds(value, expected: float) -> None:
    assert seconds(value) == expected


@given(st.lists(st.one_of(st.text(max_size=12), st.integers())))
def test_any_python_list_is_read_back(items: list[str | int]) -> None:
    assert list_literal(repr(items)) == tuple(map(str, items))


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[",
        "['a'",
        "{'a': 1}",
        "__import__('os')",
        "[f()]",
        "['a'] + ['b']",
        "[" * 5000,
        "'a'",
        "[['a']]",
        "[1.5j]",
    ],
)
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a list"):
        list_literal(text)


def test_a_table_with_a_fault_behind_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unisono.sources import readers as _reading

    monkeypatch.setattr(_reading, "_CSV_BLOCK", 100)
    rows = [f"{number},{'x' * (number % 7)}" for number in range(100)]
    rows[60] = "60,one,two"
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["a,b", *rows]) + "\n")
    read = list(CsvTable(path, tmp_path, ("a", "b")))
    assert [row.id for row in read if isinstance(row, Dropped)] == ["table.csv:62"]
    good = [number for number in range(100) if number != 60]
    assert [row for row in read if not isinstance(row, Dropped)] == [(n + 1, (str(n), "x" * (n % 7))) for n in good]
