"""Unified files as Parquet tables: one column a field of the record, what is unknown to the format in one JSON column."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unisono.errors import DataError, UsageError
from unisono.track import Track, batched

try:
    import pyarrow as pa
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
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS] + [(EXTRA, pa.string())])


def write_parquet(path: Path, tracks: Iterable[Track]) -> int:
    """Write tracks in row groups of bounded size; return their number."""
    count = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in batched(tracks, ROWS_A_GROUP):
            columns: list[list[Any]] = [[getattr(track, name) or None for track in batch] for name in COLUMNS]
            columns.append([_extra_text(track) for track in batch])
            writer.write_table(pa.table(columns, schema=SCHEMA))
            count += len(batch)
    return count


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows as records, in bounded memory; empty cells are left out, unknown columns kept."""
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a Parquet file: {error}.") from error
    with file:
        for batch in file.iter_batches(batch_size=ROWS_A_GROUP):
            columns = [column.to_pylist() for column in batch.columns]
            for row in zip(*columns, strict=True):
                record = {name: cell for name, cell in zip(batch.schema.names, row, strict=True) if cell is not None}
                if EXTRA in record:
                    record |= json.loads(record.pop(EXTRA))
                yield record


def _extra_text(track: Track) -> str | None:
    return json.dumps(track.extra, ensure_ascii=False, sort_keys=True) if track.extra else None
