"""Unified records as CSV: a column a field, lists as JSON in their cells, what the format does not know in `extra_json`.

Written as RFC 4180 asks, in UTF-8. A column that is not known is kept as an unknown field; an empty cell is no value.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.tracks.formats import Sharding
from unisono.tracks.record import COLUMNS, Entry, from_fields, to_fields
from unisono.tracks.unpacked import AudioFolder

EXTRA = "extra_json"
_LISTS = ("alt_captions", "tags")
_NUMBERS = ("duration", "start")
_LONGEST_CELL = 1 << 24


def write(path: Path, tracks: Iterable[Entry], sharding: Sharding) -> int:
    """Write tracks and return how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, EXTRA])
        for track in tracks:
            record = to_fields(track)
            cells = [_cell(record.pop(name, "")) for name in COLUMNS]
            writer.writerow([*cells, _cell(dict(sorted(record.items()))) if record else ""])
            count += 1
    return count


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def read(path: Path, unpacked: AudioFolder | None) -> Iterator[Entry]:
    """Yield the tracks of a table in bounded memory, each checked like a record of a unified file.

    Raises:
        DataError: the table is damaged or a record breaks a rule.
    """
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            columns = next(reader, [])
            _check_columns(path, columns)
            for number, cells in enumerate((cells for cells in reader if cells), 1):
                if len(cells) != len(columns):
                    raise DataError(
                        f"{path}: line {reader.line_num}: {len(cells)} cells, but the header names {len(columns)} columns."
                    )
                yield from_fields(path, number, _record(dict(zip(columns, cells, strict=True))))
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num}: not valid CSV: {error}.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8, after line {reader.line_num}.") from error


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in ("id", "audio_path", "caption", "duration") if name not in columns]
    if missing:
        raise DataError(
            f"{path}: no column {missing[0]!r}; found {', '.join(columns) or 'none'}.",
            hint="For a table with other columns write a recipe: docs/your-own-music.md",
        )
    if len(set(columns)) < len(columns):
        raise DataError(f"{path}: two columns have the same name; found {', '.join(columns)}.")


def _record(cells: dict[str, str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    extra = _json(cells.pop(EXTRA, ""))
    for name, cell in cells.items():
        if not cell:
            continue
        if name in _LISTS:
            record[name] = _json(cell)
        elif name in _NUMBERS:
            record[name] = _number(cell)
        else:
            record[name] = cell
    if isinstance(extra, dict) and extra.keys().isdisjoint(COLUMNS):
        return extra | record
    return record | ({EXTRA: extra} if extra else {})


def _json(cell: str) -> Any:
    """Read a cell that should hold JSON; what does not is left for the check to name."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell
