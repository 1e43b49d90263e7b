"""Take the audio out of Parquet shards: each row's bytes become a file, unchanged."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from unisono.base.errors import DataError, UnisonoError

ROWS_AT_ONCE = 8
"""Rows held in memory together; a row is one whole recording."""


def unpack_shard(
    shard: Path, column: str, folder: Path, *, advance: Callable[[int], None] = lambda count: None
) -> tuple[int, tuple[str, int] | None]:
    """Write each row of a column of structs `{bytes, path}` to `<folder>/<last part of path>`.

    Returns:
        The number of files, and path and size of one of them.

    Raises:
        DataError: the shard is broken or has no such column, or a row has no bytes or no name.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UnisonoError(
            f"{shard.name} is a Parquet shard, which needs the package pyarrow.",
            hint="Install it with: pip install 'unisono[hub]'",
        ) from error
    count, sample = 0, None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetFile(shard, pre_buffer=False, buffer_size=1 << 20) as table:
            if column not in table.schema_arrow.names:
                raise DataError(
                    f"{shard}: has no column {column!r}; its columns: {', '.join(table.schema_arrow.names)}."
                )
            for batch in table.iter_batches(ROWS_AT_ONCE, columns=[column]):
                contents, names = (batch.column(0).field(name) for name in ("bytes", "path"))
                for content, name in zip(contents, names, strict=True):
                    path = folder / _file_name(shard, count, name.as_py())
                    if not content.is_valid:
                        raise DataError(f"{shard}: row {count} ({path.name}) holds no bytes.")
                    size = _write(path, memoryview(content.as_buffer()))
                    count, sample = count + 1, (str(path), size)
                    advance(size)
    except (pa.ArrowException, KeyError) as error:
        raise DataError(f"{shard}: this Parquet shard cannot be read: {error}.") from error
    return count, sample


def _file_name(shard: Path, row: int, path: str | None) -> str:
    """Take the last part of a row's path, which is all that can be trusted not to lead elsewhere."""
    name = PurePosixPath((path or "").replace("\\", "/")).name
    if name in ("", "..") or "\0" in name:
        raise DataError(f"{shard}: row {row} has no usable file name (found {path!r}).")
    return name


def _write(path: Path, content: memoryview) -> int:
    """Write a file aside and rename it, unless one of that size is there already."""
    try:
        if path.stat().st_size == len(content):
            return len(content)
    except OSError:
        pass
    partial = path.with_name(f".{path.name[:200]}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return len(content)
