"""A unified file as one JSON record a line."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from unisono.tracks.formats import Sharding
from unisono.tracks.formats._json import ESCAPED_NUL, encoded_blocks, parsed
from unisono.tracks.record import Record, from_fields, to_track
from unisono.tracks.track import Track
from unisono.tracks.unpacked import AudioFolder


def read(path: Path, unpacked: AudioFolder | None) -> Iterator[Track]:
    """Yield the tracks, line by line; empty lines are skipped.

    Raises:
        DataError: a line is no record, or the record breaks a rule.
    """
    decoder = msgspec.json.Decoder(Record)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                record = None if ESCAPED_NUL in line else decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                record = None  # an unknown field, or a fault: the slow path tells which
            if record is None:
                yield from_fields(path, number, parsed(path, line, f" line {number}"))
            else:
                yield to_track(path, number, record)


def write(path: Path, tracks: Iterable[Track], sharding: Sharding) -> int:
    """Write one record a line and return how many.

    Raises:
        DataError: a track has no caption.
        UnicodeEncodeError: a text cannot be encoded as UTF-8.
    """
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        for block, records in encoded_blocks(tracks):
            file.write(block)
            count += records
    return count
