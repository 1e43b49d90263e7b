"""Tables that hold audio with its descriptions, as the library `datasets` writes them, read a few rows at a time."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError

ROWS_AT_ONCE = 8
"""Rows with audio that are held in memory; each may be a whole recording."""
_BYTES_AT_ONCE = 1 << 28
"""Decoded bytes that a batch may have, as far as the file tells."""
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.(?:parquet|arrow)")


def refuse_missing_shards(paths: Sequence[Path]) -> None:
    """Refuse files whose names promise more of them: `train-00000-of-00002.parquet`.

    Raises:
        DataError: some are missing.
    """
    found: dict[tuple[Path, str, int], int] = defaultdict(int)
    for path in paths:
        if match := _SHARD.fullmatch(path.name):
            found[path.parent, match[1], int(match[3])] += 1
    for (folder, name, promised), count in found.items():
        if count != promised:
            raise DataError(f"{folder}: {count} of the {promised} files of {name} are there.")


def batches(file: Any, columns: Sequence[str], rows: int) -> Iterator[Any]:
    """Read a Parquet file row group by row group: the library keeps them all in memory when asked for the whole file."""
    for group in range(file.num_row_groups):
        size = max(1, min(rows, _BYTES_AT_ONCE // _bytes_a_row(file.metadata.row_group(group), columns)))
        yield from file.iter_batches(batch_size=size, row_groups=[group], columns=list(columns))


def _bytes_a_row(group: Any, columns: Sequence[str]) -> int:
    """Return how large a row may be: as the mean of its column, or as all values of the column's dictionary."""
    largest = 1
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema.partition(".")[0] not in columns:
            continue
        size = column.total_uncompressed_size // max(1, group.num_rows)
        if column.has_dictionary_page and column.dictionary_page_offset is not None:
            packed = column.data_page_offset - column.dictionary_page_offset
            size = max(size, packed * column.total_uncompressed_size // max(1, column.total_compressed_size))
        largest = max(largest, size)
    return largest
