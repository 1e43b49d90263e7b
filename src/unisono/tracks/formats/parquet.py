"""Unified files as Parquet tables: one column a field of the record, what is unknown to the format in one JSON column."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError, UsageError
from unisono.tracks.track import CAPTION_ORIGINS, FIELDS, SPLITS, UNKNOWN_LICENSE, Track, batched

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as error:
    raise UsageError(
        "Parquet files need the package pyarrow.", hint="Install it with: pip install 'unisono[parquet]'"
    ) from error

ROWS_A_GROUP = 20_000
EXTRA = "extra_json"

_TYPES = {
    "duration": pa.float64(),
    "start": pa.float64(),
    "tags": pa.list_(pa.string()),
    "alt_captions": pa.list_(pa.string()),
}
COLUMNS = [name for name in Track.__struct_fields__ if name != "extra"]
REQUIRED = ("id", "audio_path", "caption", "duration")
_EXAMPLE = Track(id="-", audio_path="-", caption="-", duration=1.0)  # for its defaults
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS] + [(EXTRA, pa.string())])


def write_parquet(path: Path, tracks: Iterable[Track]) -> int:
    """Write tracks in row groups of bounded size; return their number."""
    count = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in batched(tracks, ROWS_A_GROUP):
            writer.write_table(to_table(batch))
            count += len(batch)
    return count


def to_table(tracks: list[Track]) -> pa.Table:
    """Give tracks as a table of `SCHEMA`; what holds its default is an empty cell."""
    columns: list[list[Any]] = [[getattr(track, name) or None for track in tracks] for name in COLUMNS]
    columns.append([_extra_text(track) for track in tracks])
    return pa.table(columns, schema=SCHEMA)


def read_parquet(path: Path) -> Iterator[list[Track] | list[dict[str, Any]]]:
    """Yield batches of rows, in bounded memory: as tracks where every cell of the batch keeps to the format, else as
    records for the caller to check one by one. Empty cells are left out, unknown columns kept."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file: {error}.") from error
    with file:
        try:
            for batch in file.iter_batches(batch_size=ROWS_A_GROUP):
                yield from_batch(batch)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: a damaged Parquet file: {error}.") from error


def from_batch(batch: pa.RecordBatch) -> list[Track] | list[dict[str, Any]]:
    """Give rows as tracks if every cell of the batch keeps to the format, else as records to be checked one by one."""
    return _tracks(batch) if _is_sound(batch) else _records(batch)


def _tracks(batch: pa.RecordBatch) -> list[Track]:
    names = [name for name in COLUMNS if batch.column(name).null_count < len(batch)]
    columns = [_filled(batch.column(name), getattr(_EXAMPLE, name)) for name in names]
    if batch.column(EXTRA).null_count < len(batch):
        names.append("extra")
        columns.append([_extra(text) for text in batch.column(EXTRA).to_pylist()])
    return [Track(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def _filled(column: pa.Array, default: Any) -> list[Any]:
    """Give a column's cells, with the field's default in place of empty ones."""
    cells: list[Any] = column.to_pylist()
    if default == UNKNOWN_LICENSE:  # the very object, or it would be written out where a record leaves it out
        return [default if cell is None or cell == default else cell for cell in cells]
    if column.null_count and default is not None:
        return [([] if default == [] else default) if cell is None else cell for cell in cells]
    return cells


def _is_sound(batch: pa.RecordBatch) -> bool:
    """Whether a batch has the columns that `write_parquet` writes, and no cell out of bounds."""
    if not batch.schema.equals(SCHEMA):
        return False
    columns = {name: batch.column(name) for name in COLUMNS}
    return (
        all(not columns[name].null_count for name in REQUIRED)
        and all(_all(pc.greater(pc.binary_length(columns[name]), 0)) for name in ("id", "audio_path", "caption"))
        and _all(pc.greater(columns["duration"], 0))
        and _all(pc.greater_equal(columns["start"], 0))
        and not any(columns[name].flatten().null_count for name in ("tags", "alt_captions"))
        and _all(pc.greater(pc.binary_length(columns["alt_captions"].flatten()), 0))
        and all(
            _all(pc.is_in(columns[name].drop_null(), pa.array(allowed, pa.string())))
            for name, allowed in (("split", SPLITS), ("caption_origin", CAPTION_ORIGINS))
        )
    )


def _all(flags: pa.Array) -> bool:
    return pc.all(flags, min_count=0).as_py() is True


def _records(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names, columns = batch.schema.names, [column.to_pylist() for column in batch.columns]
    records = []
    for row in zip(*columns, strict=True):
        record = {name: cell for name, cell in zip(names, row, strict=True) if cell is not None}
        if EXTRA in record:
            record = _extra(record.pop(EXTRA)) | record
        records.append(record)
    return records


def _extra(text: str | None) -> dict[str, Any]:
    """Read a cell of the column of unknown fields; what is not of our making is kept under the column's name."""
    if text is None:
        return {}
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) and fields.keys().isdisjoint(FIELDS) else {EXTRA: text}


def _extra_text(track: Track) -> str | None:
    return json.dumps(track.extra, ensure_ascii=False, sort_keys=True) if track.extra else None
