"""A unified file as a JSON array of records."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from unisono.base.errors import DataError
from unisono.tracks.formats import Sharding
from unisono.tracks.formats._json import ESCAPED_NUL, encoded_blocks, parsed
from unisono.tracks.record import Record, from_fields, to_track
from unisono.tracks.track import Track
from unisono.tracks.unpacked import AudioFolder


def read(path: Path, unpacked: AudioFolder | None) -> Iterator[Track]:
    """Yield the tracks. An array of one record a line, as `write` makes it, is read line by line, any other as a whole.

    Raises:
        DataError: it is no array, or a record breaks a rule.
    """
    count = 0
    try:
        for track in _by_line(path):
            yield track
            count += 1
    except _OtherLayoutError:
        yield from itertools.islice(_whole(path), count, None)


class _OtherLayoutError(Exception):
    """The array does not have one record a line, or is not valid."""


def _by_line(path: Path) -> Iterator[Track]:
    decoder = msgspec.json.Decoder(Record)
    with path.open("rb") as file:
        if file.readline() != b"[\n":
            raise _OtherLayoutError
        for number, line in enumerate(file, 1):
            is_last = not line.endswith(b",\n")
            text = line[:-1] if is_last else line[:-2]
            try:
                record = None if ESCAPED_NUL in text else decoder.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                record = None  # an unknown field, or a fault
            if record is None:
                yield from_fields(path, number, _object(text))
            else:
                yield to_track(path, number, record)
            if is_last:
                break
        if file.read().strip() != b"]":
            raise _OtherLayoutError


def _object(text: bytes) -> Any:
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise _OtherLayoutError from None
    if not isinstance(found, dict):
        raise _OtherLayoutError
    return found


def _whole(path: Path) -> Iterator[Track]:
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
        yield to_track(path, number, record)


def write(path: Path, tracks: Iterable[Track], sharding: Sharding) -> int:
    """Write the records, one a line within the array, and return how many.

    Raises:
        DataError: a track has no caption.
        UnicodeEncodeError: a text cannot be encoded as UTF-8.
    """
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        file.write(b"[\n")
        for block, records in encoded_blocks(tracks):
            if count:
                file.write(b",\n")
            file.write(block[:-1].replace(b"\n", b",\n"))  # within a record line breaks are escaped
            count += records
        file.write(b"\n]\n")
    return count
