"""Take the audio out of Parquet shards: the bytes of each row become a file, unchanged."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from unisono.base.errors import DataError


def unpack_shard(
    shard: Path, column: str, folder: Path, *, advance: Callable[[int], None] = lambda count: None
) -> tuple[int, tuple[str, int] | None]:
    """Write each row of a column of structs `{bytes, path}` to `<folder>/<last part of path>`.

    Returns:
        The number of files, and path and size of one of them.

    Raises:
        DataError: the shard is damaged or has no such column, or a row has no bytes or no name.
        MissingExtraError: pyarrow is not installed.
    """
    from unisono.sources import arrow  # pyarrow is optional

    names = arrow.column_names(shard)
    if column not in names:
        raise DataError(f"{shard}: has no column {column!r}; its columns: {', '.join(names)}.")
    count, sample = 0, None
    folder.mkdir(parents=True, exist_ok=True)
    for _, values in arrow.rows(shard, shard.parent, (column,)):
        cell = values[column]
        if not isinstance(cell, dict) or not {"bytes", "path"} <= set(cell):
            raise DataError(f"{shard}: row {count} of {column!r} is no struct of bytes and path.")
        path = folder / _file_name(shard, count, cell["path"])
        if cell["bytes"] is None:
            raise DataError(f"{shard}: row {count} ({path.name}) has no bytes.")
        _write(path, cell["bytes"])
        count, sample = count + 1, (str(path), len(cell["bytes"]))
        advance(len(cell["bytes"]))
    return count, sample


def _file_name(shard: Path, row: int, path: str | None) -> str:
    """Return the last part of a row's path; the rest could lead out of the folder."""
    name = PurePosixPath((path or "").replace("\\", "/")).name
    if name in ("", "..") or "\0" in name:
        raise DataError(f"{shard}: row {row} has no usable file name (found {path!r}).")
    return name


def _write(path: Path, content: bytes) -> None:
    """Write a file aside and rename it, unless one of that size is there already."""
    try:
        if path.stat().st_size == len(content):
            return
    except OSError:
        pass
    partial = path.with_name(f".{path.name[:200]}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
