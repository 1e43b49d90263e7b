"""Read published tables row by row: CSV, tab-separated, JSON, JSON Lines, Parquet and Arrow.

For authors of datasets, together with `unisono.sources.cells`. A row that cannot be read is yielded as `Dropped`, with
`file:line` and the field; a parser passes it on. A fault of the whole file raises `DataError`.

    table = CsvTable(root / "captions.csv", root, ("id", "caption"), optional=("seconds",))
    for row in table:
        if isinstance(row, Dropped):
            yield row
            continue
        number, (track_id, caption, duration) = row
        if not track_id:
            yield table.malformed(number, "field 'id': expected a text, found nothing")
            continue
        yield Track(...)
"""

import codecs
import csv
import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any, Generic, TypeVar

import msgspec

from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.sources._files import LONGEST_CELL, refuse_lfs_pointer, relative_name
from unisono.sources.cells import is_text

T = TypeVar("T")

__all__ = [
    "MALFORMED",
    "CsvTable",
    "JsonLines",
    "good_rows",
    "json_items",
    "parquet_rows",
    "read_json",
    "refuse_lfs_pointer",
    "relative_name",
    "tab_rows",
]

MALFORMED = "malformed row"
"""The reason of a `Dropped` row that cannot be read."""
_CSV_BLOCK = 1 << 22
_BLOCK = 1 << 18
"""Bytes of JSON Lines that are read at once; so few that they stay in the processor's cache."""
_ROWS_BEFORE_GIVING_UP = 100

_SEPARATOR_LINE = re.compile(r'"?sep=.(?:"|[;,\t|]*)[\r\n]*', re.IGNORECASE)
"""What spreadsheets write before the header, to say what separates the cells."""
_JSON_TOKENS = re.compile(
    rb'(?P<key>"(?:[^"\\]|\\.)*+")(?=\s*:)|"(?:[^"\\]|\\.)*+"|(?P<name>-?\b(?:NaN|Infinity)\b)', re.DOTALL
)

_MARKED = "unisono.marked"
"""How bytes that are not UTF-16 are read: as what no text holds, so that their row is malformed."""

codecs.register_error(_MARKED, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]
csv.field_size_limit(LONGEST_CELL)


class CsvTable:
    """A table separated by commas or another delimiter. Iteration yields `(row number, cells)` or `Dropped`.

    Cells are text, in the order of `columns` and `optional`. Columns are found by name, in any order; the names of several
    header rows are joined by a dot. The cells of an optional column that the file lacks are empty. UTF-16 is known by its
    mark, and a line before the header that says what separates the cells, as spreadsheets write it, is passed over.

    With pyarrow the file is parsed several times faster. A file that pyarrow refuses, or one with a quote where none
    belongs, is read by Python's `csv`, which tells where the fault is; with `exact` every file is.

    Raises:
        DataError: the file cannot be read, a column is missing, or a quote is never closed.
    """

    def __init__(
        self,
        path: Path,
        root: Path,
        columns: Sequence[str],
        *,
        optional: Sequence[str] = (),
        header_rows: int = 1,
        encoding: str = "utf-8-sig",
        delimiter: str = ",",
        exact: bool = False,
    ) -> None:
        refuse_lfs_pointer(path)
        with path.open("rb") as content:
            is_wide = content.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        self._encoding = "utf-16" if is_wide else encoding
        self._delimiter = delimiter
        self._path = path
        self._name = relative_name(path, root)
        self._header_rows = header_rows
        self._lines: array[int] | None = None
        self._exact = exact or is_wide
        self._before = 0
        with self._open() as file:
            self._before = int(bool(_SEPARATOR_LINE.fullmatch(file.readline(20))))
        self.names = self._header()
        """All columns of the file."""
        self._columns = [*columns, *optional]
        missing = [name for name in columns if name not in self.names]
        if missing:
            found = shorten(", ".join(filter(None, self.names)), 300)
            raise DataError(f"{path}: line {header_rows}: the column {missing[0]!r} is missing; found {found}.")
        self._indices = [self.names.index(name) if name in self.names else -1 for name in self._columns]

    def __iter__(self) -> Iterator[tuple[int, tuple[str, ...]] | Dropped]:
        done = 0
        try:
            if self._exact or not self._quotes_are_regular():
                raise _StumbledError
            for rows in self._fast():
                yield from enumerate(rows, done + 1)
                done += len(rows)
        except (_StumbledError, ImportError):
            yield from islice(self._careful(), done, None)

    def where(self, number: int) -> str:
        """Return `file:line` of a row by its number."""
        if self._lines is None or len(self._lines) < number:
            self._lines = array("L", self._read_lines())
        return f"{self._name}:{self._lines[number - 1]}"

    def _read_lines(self) -> Iterator[int]:
        """Yield the line on which each row begins. A row may span several lines, which the fast reader does not count."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            for _ in range(self._header_rows):
                next(reader)
            line = reader.line_num + 1 + self._before
            for cells in reader:
                if cells:
                    yield line
                line = reader.line_num + 1 + self._before

    def malformed(self, number: int, detail: str) -> Dropped:
        """Return the `Dropped` that stands for a row; `detail` says what was expected and what was found."""
        return Dropped(id=self.where(number), reason=MALFORMED, detail=detail)

    def _quotes_are_regular(self) -> bool:
        """Return whether each quote opens or closes a cell, or is doubled within one.

        Where one is not, pyarrow may silently take the rest of the file for one cell.
        """
        import numpy as np  # which `--help` does not need

        borders = np.zeros(256, bool)
        borders[list(f'"\r\n{self._delimiter}'.encode())] = True
        count, before = 0, b"\n"
        with self._path.open("rb") as file:
            block = file.read(_CSV_BLOCK).removeprefix(b"\xef\xbb\xbf")
            while block:
                following = file.read(_CSV_BLOCK)
                text = np.frombuffer(before + block + (following[:1] or b"\n"), np.uint8)
                quotes = np.flatnonzero(text[1:-1] == ord('"')) + 1
                opening, closing = quotes[count % 2 :: 2], quotes[1 - count % 2 :: 2]
                if not (borders[text[opening - 1]].all() and borders[text[closing + 1]].all()):
                    return False
                count, before, block = count + len(quotes), block[-1:], following
        return count % 2 == 0

    def _open(self) -> Any:
        errors = _MARKED if self._encoding == "utf-16" else "surrogateescape"
        file = self._path.open(encoding=self._encoding, errors=errors, newline="")
        for _ in range(self._before):
            file.readline()
        return file

    def _header(self) -> list[str]:
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            try:
                rows = [next(reader) for _ in range(self._header_rows)]
            except (StopIteration, csv.Error) as error:
                raise DataError(f"{self._path}: expected {self._header_rows} header rows, found none.") from error
            self._exact = self._exact or reader.line_num != self._header_rows  # pyarrow skips lines, not rows
        width = max(map(len, rows))
        padded = [[*row, *[""] * (width - len(row))] for row in rows]
        return [".".join(filter(None, (name.strip() for name in names))) for names in zip(*padded, strict=True)]

    def _fast(self) -> Iterator[list[tuple[str, ...]]]:
        """Read blocks of rows with pyarrow."""
        import pyarrow  # optional, and slow to import
        from pyarrow import csv as arrow_csv

        present = [index for index in self._indices if index >= 0]
        names = [f"f{index}" for index in range(len(self.names))]
        try:
            batches = arrow_csv.open_csv(
                self._path,
                read_options=arrow_csv.ReadOptions(
                    use_threads=False,
                    block_size=_CSV_BLOCK,
                    skip_rows=self._before + self._header_rows,
                    column_names=names,
                    encoding="utf8" if self._encoding == "utf-8-sig" else self._encoding,
                ),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True, delimiter=self._delimiter),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=[names[index] for index in present],
                    column_types={name: pyarrow.string() for name in names},
                ),
            )
            for batch in batches:
                table = {index: batch.column(f"f{index}").to_numpy(zero_copy_only=False).tolist() for index in present}
                empty = [""] * batch.num_rows
                columns = [table.get(index, empty) for index in self._indices]
                yield list(zip(*columns, strict=True))
        except pyarrow.ArrowInvalid as error:
            raise _StumbledError from error

    def _careful(self) -> Iterator[tuple[int, tuple[str, ...]] | Dropped]:
        """Read all rows with Python's csv; yield one item for each row, so that the row numbers are those of `_fast`."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            for _ in range(self._header_rows):
                next(reader)
            self._lines, good = array("L"), False
            while True:
                line = reader.line_num + 1 + self._before
                try:
                    row = next(reader, None)
                    if row is None:
                        return
                    if not row:
                        continue
                    fault = self._fault(row)
                except csv.Error as error:
                    if "end of data" in str(error) or "field limit" in str(error):
                        raise DataError(
                            f"{self._path}: line {line}: {error}; is there a quote that is never closed?"
                        ) from error
                    row, fault = [], f"{error}; is there a quote that is never closed, or not doubled?"
                self._lines.append(line)
                if fault and not good and len(self._lines) >= _ROWS_BEFORE_GIVING_UP:
                    raise DataError(f"{self._path}: line {line}: {fault}; no row before it was any better.")
                good = good or not fault
                yield (
                    Dropped(id=f"{self._name}:{line}", reason=MALFORMED, detail=fault)
                    if fault
                    else (len(self._lines), tuple(row[index] if index >= 0 else "" for index in self._indices))
                )

    def _fault(self, row: list[str]) -> str:
        if len(row) != len(self.names):
            return f"expected {len(self.names)} cells, found {len(row)}"
        for name, index in zip(self._columns, self._indices, strict=True):
            if index >= 0 and not is_text(row[index]):
                return f"field {name!r}: not UTF-8"
        return ""


class _StumbledError(Exception):
    """The fast reader cannot read the file."""


class JsonLines(Generic[T]):
    """A file with one JSON value on each line. Iteration yields `(line number, value)` or `Dropped`.

    `kind` is the type of the values, such as a `msgspec.Struct`; fields that it does not have are skipped while parsing.

    Raises:
        DataError: none of the first lines is a value of this type.
    """

    def __init__(self, path: Path, root: Path, kind: type[T]) -> None:
        refuse_lfs_pointer(path)
        self._path = path
        self._name = relative_name(path, root)
        self._decoder = msgspec.json.Decoder(kind, strict=False)

    def __iter__(self) -> Iterator[tuple[int, T] | Dropped]:
        number, is_good = 1, False
        with self._path.open("rb") as file:
            for block in _whole_lines(file):
                try:
                    items = self._decoder.decode_lines(block)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    items = []
                lines = block.count(b"\n") + (not block.endswith(b"\n"))
                if len(items) == lines:
                    yield from enumerate(items, number)
                    is_good = True
                else:  # a fault or a blank line
                    yield from self._one_by_one(block, number, is_good=is_good)
                    is_good = True
                number += lines

    def where(self, number: int) -> str:
        """Return `file:line`."""
        return f"{self._name}:{number}"

    def malformed(self, number: int, detail: str) -> Dropped:
        """Return the `Dropped` that stands for a line; `detail` says what was expected and what was found."""
        return Dropped(id=self.where(number), reason=MALFORMED, detail=detail)

    def _one_by_one(self, block: bytes, first: int, *, is_good: bool) -> Iterator[tuple[int, T] | Dropped]:
        """Read a block that has a fault; raise `DataError` if none of the first lines can be read."""
        bad = 0
        for number, line in enumerate(block.split(b"\n"), first):
            if not line or line.isspace():
                continue
            try:
                yield number, self._decoder.decode(line)
                is_good = True
                continue
            except msgspec.ValidationError as error:
                fault = _field(error)
            except RecursionError:
                fault = "nested too deeply"
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                fault = _not_json(line)[2] or f"not valid JSON: {error}"
            bad += 1
            if not is_good and bad >= _ROWS_BEFORE_GIVING_UP:
                raise DataError(f"{self._path}: line {number}: {fault}; no line before it was any better.")
            yield self.malformed(number, fault)


def _whole_lines(file: Any) -> Iterator[bytes]:
    """Yield large blocks that end where a line ends."""
    mark = file.read(3)
    block = mark.removeprefix(b"\xef\xbb\xbf") + file.read(_BLOCK)
    while block:
        yield block if block.endswith(b"\n") else block + file.readline()
        block = file.read(_BLOCK)


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file into a value of the type `kind`.

    Raises:
        DataError: it is not JSON, or a field has another type.
    """
    refuse_lfs_pointer(path)
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(content, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise DataError(f"{path}: {_field(error)}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}{_json_fault(content)}.") from error


def json_items(path: Path, root: Path, kind: type[T], *, key: str = "tracks") -> Iterator[tuple[str, T] | Dropped]:
    """Yield `(place, item)` for each item of a JSON list.

    A JSON object stands for the list that it has under `key`, or for the only one in it, or is a table as pandas writes it:
    columns of equal length, or with the numbers of rows as keys, or rows by number.

    Raises:
        DataError: it is not JSON, or there is no list.
    """
    content = read_json(path, object)
    items = _rows_of(content, key) if isinstance(content, dict) else content
    if not isinstance(items, list):
        found = (
            f"an object with {shorten(', '.join(content), 200)}" if isinstance(content, dict) else f"{content!r:.50}"
        )
        raise DataError(f"{path}: expected a list of items, or an object with one list of them, found {found}.")
    name = relative_name(path, root)
    for number, item in enumerate(items, 1):
        where = f"{name}: item {number}"
        try:
            yield where, msgspec.convert(item, kind, strict=False)
        except msgspec.ValidationError as error:
            yield Dropped(id=where, reason=MALFORMED, detail=_field(error))


def _rows_of(content: dict[str, Any], key: str) -> Any:
    """Return the rows that a JSON object stands for; None if it stands for none."""
    values = list(content.values())
    lists = [value for value in values if isinstance(value, list)]
    if key in content:
        return content[key]
    if len(lists) == 1:
        return lists[0]
    if lists and len(lists) == len(values) and len({len(value) for value in lists}) == 1:
        return [dict(zip(content, row, strict=True)) for row in zip(*lists, strict=True)]
    if not values or not all(isinstance(value, dict) for value in values):
        return None
    if all(number.isdecimal() for number in content):
        return values
    if all(value.keys() == values[0].keys() for value in values) and all(map(str.isdecimal, values[0])):
        return [{name: value[number] for name, value in content.items()} for number in values[0]]
    return None


def _field(error: msgspec.ValidationError) -> str:
    expected, _, where = str(error).partition(" - at `")
    return f"field {where.rstrip('`')!r}: {expected}" if where else expected


def _json_fault(content: bytes) -> str:
    try:
        json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return f": line {line}: not UTF-8"
    except json.JSONDecodeError as error:
        return f": line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}"
    except RecursionError:
        return ": nested too deeply"
    except ValueError as error:  # a number with thousands of digits
        return f": {error}"
    line, column, fault = _not_json(content)
    return f": line {line}, column {column}: {fault}" if fault else ": nested too deeply, or not valid JSON"


def _not_json(content: bytes) -> tuple[int, int, str]:
    """Return line, column and fault of the first NaN or Infinity, which Python writes and JSON does not know."""
    key = b""
    for match in _JSON_TOKENS.finditer(content):
        if match["name"]:
            begin = content.rfind(b"\n", 0, match.start()) + 1
            field = f"field {key[1:-1].decode(errors='replace')!r}: " if key else ""
            fault = f"{field}{match['name'].decode()} is not JSON; write null"
            return content.count(b"\n", 0, begin) + 1, match.start() - begin + 1, fault
        key = match["key"] or key
    return 0, 0, ""


def tab_rows(path: Path, root: Path) -> Iterator[tuple[int, list[str]] | Dropped]:
    """Yield `(line number, cells)` of a tab-separated file without quoting; lines end in CRLF or LF."""
    refuse_lfs_pointer(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if not (line.isascii() or is_text(line)):
                yield Dropped(id=f"{relative_name(path, root)}:{number}", reason=MALFORMED, detail="not UTF-8")
            elif line:
                yield number, line.split("\t")


def good_rows(rows: Iterable[tuple[int, T] | Dropped], dropped: list[Dropped]) -> Iterator[tuple[int, T]]:
    """Yield the rows that can be read; append the others to `dropped`."""
    for row in rows:
        if isinstance(row, Dropped):
            dropped.append(row)
        else:
            yield row


def parquet_rows(path: Path, root: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `(place, values by column)` of a Parquet or Arrow file in bounded memory, of those columns that it has.

    Raises:
        DataError: it is no such file, or damaged.
        MissingExtraError: pyarrow is not installed.
    """
    from unisono.sources import arrow  # pyarrow is an extra, and slow to import

    yield from arrow.rows(path, root, columns)
