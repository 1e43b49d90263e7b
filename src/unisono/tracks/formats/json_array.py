"""A unified file as a JSON array of records."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from unisono.base.errors import DataError
from unisono.tracks.formats import Block, Sharding
from unisono.tracks.formats._json import ESCAPED_NUL, block, encoded_blocks, lines_of, parsed
from unisono.tracks.record import Entry, Record, checked, from_fields
from unisono.tracks.unpacked import AudioFolder


def blocks(path: Path) -> Iterator[Block]:
    """Yield the records. Of an array of one record a line, as `write` makes it, some lines are read at a time.

    Raises:
        DataError: it is no array, or a record breaks a rule.
    """
    count = 0
    try:
        for some in _by_line(path):
            yield some
            count += len(some.entries)
    except _OtherLayoutError:
        yield Block(list(itertools.islice(_whole(path), count, None)))


def read(path: Path, unpacked: AudioFolder | None) -> Iterator[Entry]:
    """Yield the tracks; raises as `blocks` does."""
    for some in blocks(path):
        yield from some.entries


class _OtherLayoutError(Exception):
    """The array does not have one record a line, or is not valid."""


def _by_line(path: Path) -> Iterator[Block]:
    number, at, is_last = 1, 2, False
    with path.open("rb") as file:
        if file.readline() != b"[\n":
            raise _OtherLayoutError
        for content in lines_of(file):
            if is_last := not content.endswith(b",\n"):
                content, _, rest = (content + file.read()).rpartition(b"\n]")
                if rest.strip() or not content:
                    break
            found, count = block(path, number, content, at, b",\n", _object)
            yield found
            number += count
            at += len(content)
    if not is_last or rest.strip():
        raise _OtherLayoutError


def _object(line: bytes, number: int) -> Any:
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise _OtherLayoutError from None
    if not isinstance(found, dict):
        raise _OtherLayoutError
    return found


def _whole(path: Path) -> Iterator[Entry]:
    content = path.read_bytes()
    try:
        records = None if ESCAPED_NUL in content else msgspec.json.decode(content, type=list[Record])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        records = None  # an unknown field, or a fault: the slow path tells which
    if records is None:
        found = parsed(path, content)
        if not isinstance(found, list):
            raise DataError(f"{path}: expected a JSON array of records, found {repr(found)[:80]}.")
        yield from (from_fields(path, number, fields) for number, fields in enumerate(found, 1))
        return
    for number, record in enumerate(records, 1):
        yield checked(path, number, record)


def write(path: Path, entries: Iterable[Entry], sharding: Sharding) -> int:
    """Write the records, one a line within the array, and return how many.

    Raises:
        DataError: a track has no caption.
        UnicodeEncodeError: a text cannot be encoded as UTF-8.
    """
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        file.write(b"[\n")
        for content, records in encoded_blocks(entries):
            if count:
                file.write(b",\n")
            file.write(content[:-1].replace(b"\n", b",\n"))  # within a record line breaks are escaped
            count += records
        file.write(b"\n]\n")
    return count
