"""What both JSON formats share."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.tracks.formats import Block
from unisono.tracks.record import FIELDS, Entry, Record, are_plain, checked, from_fields, to_fields, to_record
from unisono.tracks.track import batched

RECORDS_A_BLOCK = 256
"""So few that their objects stay in the processor's cache."""
_BYTES_A_BLOCK = 1 << 17
ESCAPED_NUL = b"\\u0000"
"""How JSON writes a character that no later stage can store: records that may hold it take the slow path."""
_LINE_BREAK, _OPENING = b"\n{"
_encoder = msgspec.json.Encoder()


_decode_lines = msgspec.json.Decoder(Record).decode_lines
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


def encoded(entries: Iterable[Entry]) -> bytes:
    """Return records as JSON lines.

    Raises:
        DataError: a track has no caption, or a text cannot be encoded as UTF-8.
    """
    try:
        return _encoder.encode_lines([entry if type(entry) is Record else _plain(entry) for entry in entries])
    except UnicodeEncodeError as error:
        raise DataError(f"A text cannot be encoded as UTF-8: {repr(error.object)[:80]}.") from error


def _plain(track: Entry) -> Record | dict[str, Any]:
    return to_fields(track) if track.extra else to_record(track)


@runtime_checkable
class Stored(Protocol):
    """Records that are JSON lines already."""

    def encoded_blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield some of them at a time, and how many they are."""
        ...


def encoded_blocks(entries: Iterable[Entry]) -> Iterator[tuple[bytes, int]]:
    """Yield records as JSON lines, and how many they are; raises as `encoded` does."""
    if isinstance(entries, Stored):
        yield from entries.encoded_blocks()
        return
    for batch in batched(entries, RECORDS_A_BLOCK):
        yield encoded(batch), len(batch)


def entries_of(lines: bytes) -> Sequence[Entry]:
    """Return records that `encoded` wrote."""
    try:
        return _decode_lines(lines)
    except msgspec.DecodeError:
        return block(Path(), 1, lines, 0, b"\n", lambda line, number: parsed(Path(), line))[0].entries


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield some lines of a file at a time."""
    while content := file.read(_BYTES_A_BLOCK):
        yield content if content.endswith(b"\n") else content + file.readline()


def block(
    path: Path, first: int, content: bytes, at: int, separator: bytes, parse: Callable[[bytes, int], Any]
) -> tuple[Block, int]:
    """Return the records of some lines, and how many lines they are.

    Args:
        path: of the file, for messages.
        first: number of the first line, from 1.
        content: the lines, a record each.
        at: where they begin in the file.
        separator: what stands between records, a line break at its end.
        parse: returns the JSON value of a line, or raises what tells what is wrong with it; None passes over the line.

    Raises:
        DataError: a record breaks a rule.
    """
    gap = len(separator) - 1
    content = content if content.endswith(separator) else content + separator
    lines = content.replace(separator, b"\n") if gap else content
    try:
        if lines.rfind(ESCAPED_NUL) < 0:  # `in` takes three times as long
            records, breaks = _decode_lines(lines), line_breaks(lines)
            is_one_a_line = len(records) == len(breaks) and (
                lines[0] == _OPENING and (np.frombuffer(lines, np.uint8)[breaks[:-1] + 1] == _OPENING).all()
            )
            if is_one_a_line and len(content) == len(lines) + gap * len(breaks) and are_plain(records):
                return Block(records, lines, breaks, at, gap), len(records)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # an unknown field, or a fault
    parts = content.removesuffix(separator).split(separator)
    found = [_entry(path, number, part, parse) for number, part in enumerate(parts, first)]
    return Block([entry for entry in found if entry], lines, line_breaks(lines), at, gap), len(parts)


def line_breaks(lines: bytes) -> NDArray[np.int64]:
    """Return where line breaks are."""
    return np.flatnonzero(np.frombuffer(lines, np.uint8) == _LINE_BREAK)


def _entry(path: Path, number: int, line: bytes, parse: Callable[[bytes, int], Any]) -> Entry | None:
    if ESCAPED_NUL not in line:
        try:
            fields = _decode_fields(line)
            known = {name: value for name, value in fields.items() if name in FIELDS and value is not None}
            extra = {name: value for name, value in fields.items() if name not in FIELDS}
            return checked(path, number, msgspec.convert(known, Record), extra)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the slow path tells what is wrong
    fields = parse(line, number)
    return None if fields is None else from_fields(path, number, fields)


def parsed(path: Path, content: bytes, where: str = "") -> Any:
    """Parse JSON by the standard library, which says what is wrong and where.

    Raises:
        DataError: it is no JSON, no UTF-8, or nested too deeply.
    """
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise DataError(f"{path}{where}: nested too deeply to be a unified file.") from error
    except json.JSONDecodeError as error:
        where = where or f" line {error.lineno} column {error.colno}"
        raise DataError(f"{path}{where}: not valid JSON: {error.msg}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}{where}: not UTF-8 (byte {error.start}).") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{path}{where}: {error}.") from error
