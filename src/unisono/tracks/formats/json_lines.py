"""A unified file as one JSON record a line."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unisono.tracks.formats import Block, Sharding
from unisono.tracks.formats._json import block, encoded_blocks, lines_of, parsed
from unisono.tracks.record import Entry
from unisono.tracks.unpacked import AudioFolder


def blocks(path: Path) -> Iterator[Block]:
    """Yield the records, some lines at a time; empty lines are skipped.

    Raises:
        DataError: a line is no record, or the record breaks a rule.
    """

    def parse(line: bytes, number: int) -> Any:
        return parsed(path, line, f" line {number}") if line and not line.isspace() else None

    number, at = 1, 0
    with path.open("rb") as file:
        for content in lines_of(file):
            found, count = block(path, number, content, at, b"\n", parse)
            yield found
            number += count
            at += len(content)


def read(path: Path, unpacked: AudioFolder | None) -> Iterator[Entry]:
    """Yield the tracks; raises as `blocks` does."""
    for some in blocks(path):
        yield from some.entries


def write(path: Path, entries: Iterable[Entry], sharding: Sharding) -> int:
    """Write one record a line and return how many.

    Raises:
        DataError: a track has no caption.
        UnicodeEncodeError: a text cannot be encoded as UTF-8.
    """
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        for content, records in encoded_blocks(entries):
            file.write(content)
            count += records
    return count
