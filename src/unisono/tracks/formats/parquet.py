"""Unified files as Parquet tables: one column a field of the record, what is unknown to the format in one JSON column."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.base.extras import extra
from unisono.tracks.formats import Block, Sharding
from unisono.tracks.formats._json import RECORDS_A_BLOCK
from unisono.tracks.record import COLUMNS, FIELDS, ORIGINS, Entry, Record, checked, from_fields, to_record
from unisono.tracks.track import CAPTION_ORIGINS, SPLITS, UNKNOWN_LICENSE, batched
from unisono.tracks.unpacked import AudioFolder

with extra("parquet", "Reading and writing Parquet files"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

ROWS_A_GROUP = 20_000
EXTRA = "extra_json"

_TYPES = {
    "duration": pa.float64(),
    "start": pa.float64(),
    "tags": pa.list_(pa.string()),
    "alt_captions": pa.list_(pa.string()),
}
REQUIRED = ("id", "audio_path", "caption", "duration")
_DEFAULTS = Record(id="-", audio_path="-", caption="-", duration=1.0)
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS] + [(EXTRA, pa.string())])


def read(path: Path, unpacked: AudioFolder | None) -> Iterator[Entry]:
    """Yield the tracks; raises as `blocks` does."""
    for some in blocks(path):
        yield from some.entries


def blocks(path: Path) -> Iterator[Block]:
    """Yield the records, some rows at a time.

    Raises:
        DataError: the file is damaged, or a record breaks a rule.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a Parquet file: {error}.") from error
    number = 0
    with file:
        try:
            for batch in file.iter_batches(batch_size=ROWS_A_GROUP):
                yield from map(Block, batched(from_batch(path, number, batch), RECORDS_A_BLOCK))
                number += len(batch)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: a damaged Parquet file: {error}.") from error


def write(path: Path, entries: Iterable[Entry], sharding: Sharding) -> int:
    """Write tracks in row groups of bounded size and return how many.

    Raises:
        DataError: a track has no caption.
        UnicodeEncodeError: a text cannot be encoded as UTF-8.
    """
    count = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in batched(entries, ROWS_A_GROUP):
            writer.write_table(to_table(batch))
            count += len(batch)
    return count


def to_table(tracks: list[Entry]) -> pa.Table:
    """Return tracks as a table of `SCHEMA`; an empty cell stands for the default."""
    records = [to_record(track) for track in tracks]
    columns: list[list[Any]] = [[getattr(record, name) or None for record in records] for name in COLUMNS]
    columns.append([_extra_text(track, record) for track, record in zip(tracks, records, strict=True)])
    return pa.table(columns, schema=SCHEMA)


def from_batch(path: Path, before: int, batch: pa.RecordBatch) -> Iterator[Entry]:
    """Yield rows as records or tracks; empty cells are left out, unknown columns kept.

    Args:
        path: of the file, for messages.
        before: rows of the file before this batch.
        batch: rows of any columns.

    Raises:
        DataError: a record breaks a rule.
    """
    if not _is_sound(batch):
        yield from (from_fields(path, number, fields) for number, fields in enumerate(_fields(batch), before + 1))
        return
    names = [name for name in COLUMNS if batch.column(name).null_count < len(batch)]
    columns = [_filled(batch.column(name), getattr(_DEFAULTS, name)) for name in names]
    extras = batch.column(EXTRA).to_pylist()
    for number, (row, text) in enumerate(zip(zip(*columns, strict=True), extras, strict=True), before + 1):
        fields = dict(zip(names, row, strict=True))
        if text is not None and (unknown := _extra(text)).keys() & FIELDS:
            yield from_fields(path, number, {**unknown, **fields})
        else:
            yield checked(path, number, Record(**fields), unknown if text is not None else None)


def _filled(column: pa.Array, default: Any) -> list[Any]:
    """Return a column's cells, with the field's default in place of empty ones."""
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
        and not any(_has_nul(column) for column in columns.values())
        and _all(pc.greater(pc.binary_length(columns["alt_captions"].flatten()), 0))
        and all(
            _all(pc.is_in(columns[name].drop_null(), pa.array(allowed, pa.string())))
            for name, allowed in (("split", SPLITS), ("caption_origin", CAPTION_ORIGINS))
        )
    )


def _has_nul(column: pa.Array) -> bool:
    texts = column.flatten() if pa.types.is_list(column.type) else column
    return pa.types.is_string(texts.type) and pc.any(pc.match_substring(texts, "\0"), min_count=0).as_py() is True


def _all(flags: pa.Array) -> bool:
    return pc.all(flags, min_count=0).as_py() is True


def _fields(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield rows as plain values."""
    names, columns = batch.schema.names, [column.to_pylist() for column in batch.columns]
    for row in zip(*columns, strict=True):
        fields = {name: cell for name, cell in zip(names, row, strict=True) if cell is not None}
        if EXTRA in fields:
            fields = _extra(fields.pop(EXTRA)) | fields
        yield fields


def _extra(text: str) -> dict[str, Any]:
    """Read a cell of the column of unknown fields; a cell that this format did not write is kept under the column's name."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    return fields if isinstance(fields, dict) and fields.keys().isdisjoint(COLUMNS) else {EXTRA: text}


def _extra_text(track: Entry, record: Record) -> str | None:
    fields = {**track.extra, ORIGINS: record.caption_origins} if record.caption_origins else track.extra
    return json.dumps(fields, ensure_ascii=False, sort_keys=True) if fields else None
