"""Read Parquet and Arrow files, audio included, in bounded memory.

Audio in a table is a column of bytes, or of structs of bytes and path as the library `datasets` writes them.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.base.extras import extra
from unisono.sources._files import LONGEST_CELL, refuse_lfs_pointer, relative_name
from unisono.tracks.shards import ROWS_AT_ONCE, batches

with extra("parquet", "Reading Parquet and Arrow files"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

_ROWS_OF_TEXT = 4096


def column_names(path: Path) -> list[str]:
    """List the columns of a Parquet or Arrow file; raise what `rows` does."""
    with _opened(path) as table:
        return list(table.schema.names)


def audio_columns(path: Path) -> list[str]:
    """List the columns of a Parquet or Arrow file that hold audio: bytes, or structs of bytes and path."""
    with _opened(path) as table:
        return [field.name for field in table.schema if _is_audio(field.type)]


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet or Arrow file."""
    with _opened(path) as table:
        return table.count()


def _is_audio(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        names = {type_.field(index).name: type_.field(index).type for index in range(type_.num_fields)}
        return "bytes" in names and _is_bytes(names["bytes"])
    return _is_bytes(type_)


def _is_bytes(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def rows(path: Path, root: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `(place, values by column)`, of those of the columns that the file has.

    Numbers that the file declares to be labels become the labels.

    Raises:
        DataError: it is no such file, or damaged.
    """
    name, number = relative_name(path, root), 0
    with _opened(path) as table:
        present = [column for column in columns if column in table.schema.names]
        labels = _labels(table.schema)
        holds_audio = any(_is_audio(table.schema.field(column).type) for column in present)
        for batch in table.batches(present, ROWS_AT_ONCE if holds_audio else _ROWS_OF_TEXT):
            cells = [_with_labels(_cells(path, column, batch.column(column)), labels.get(column)) for column in present]
            for values in zip(*cells, strict=True):
                number += 1
                yield f"{name}: row {number}", dict(zip(present, values, strict=True))


def _cells(path: Path, name: str, column: pa.Array) -> list[Any]:
    """Return the values of a column; times that Python cannot hold as texts.

    Raises:
        DataError: there is a text that no person wrote: a few packed bytes can become gigabytes.
    """
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
        longest = pc.max(pc.binary_length(texts)).as_py() or 0
        if longest > LONGEST_CELL:
            raise DataError(
                f"{path}: column {name!r}: expected texts of up to {LONGEST_CELL:,} bytes, found {longest:,}."
            )
    try:
        return list(column.to_pylist())
    except pa.ArrowException:
        raise
    except (OverflowError, ValueError) as error:
        try:
            return list(column.cast(pa.string()).to_pylist())
        except (pa.ArrowException, OverflowError, ValueError):
            raise DataError(f"{path}: column {name!r}: a value cannot be read: {error}.") from error


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        self.schema: pa.Schema = self._file.schema_arrow

    def count(self) -> int:
        return int(self._file.metadata.num_rows)

    def batches(self, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        return batches(self._file, columns, size)

    def close(self) -> None:
        self._file.close()


class _Arrow:
    """A file of the stream format, mapped into memory: columns that are not asked for are not read."""

    def __init__(self, path: Path) -> None:
        self._map = pa.memory_map(str(path))
        self._reader = pa.ipc.open_stream(self._map)
        self.schema: pa.Schema = self._reader.schema

    def count(self) -> int:
        return sum(batch.num_rows for batch in self._reader)

    def batches(self, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        for batch in self._reader:
            wanted = batch.select(list(columns))
            wanted.validate(full=True)  # an offset outside the mapped file would end the process
            for start in range(0, wanted.num_rows, size):
                yield wanted.slice(start, size)

    def close(self) -> None:
        self._map.close()


@contextmanager
def _opened(path: Path) -> Iterator[_Parquet | _Arrow]:
    refuse_lfs_pointer(path)
    table: _Parquet | _Arrow | None = None
    try:
        table = _Arrow(path) if path.suffix.lower() == ".arrow" else _Parquet(path)
        if len(set(table.schema.names)) < len(table.schema.names):
            raise DataError(f"{path}: two columns have the same name; found {', '.join(table.schema.names)}.")
        yield table
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        kind = "an Arrow file" if path.suffix.lower() == ".arrow" else "a Parquet file"
        raise DataError(f"{path}: not {kind} that can be read: {error}.") from error
    finally:
        if table is not None:
            table.close()


def _labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Read which numbers stand for which labels, from the file's metadata, which is as untrusted as the rest."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: _label_names(feature) for name, feature in features.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: labels for name, labels in found.items() if labels}


def _label_names(feature: Any) -> list[str]:
    """Return the labels of a feature, or of the items of a list feature."""
    if isinstance(feature, list) and feature:
        return _label_names(feature[0])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return [str(name) for name in feature["names"]]
    return _label_names(feature["feature"]) if "feature" in feature else []


def _with_labels(cells: list[Any], labels: list[str] | None) -> list[Any]:
    return cells if labels is None else [_labelled(cell, labels) for cell in cells]


def _labelled(cell: Any, labels: list[str]) -> Any:
    if isinstance(cell, list):
        return [_labelled(item, labels) for item in cell]
    if isinstance(cell, int):
        return labels[cell] if 0 <= cell < len(labels) else None  # -1 means no label
    return cell
