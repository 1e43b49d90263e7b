"""What both JSON formats share."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from unisono.base.errors import DataError
from unisono.tracks.record import to_fields, to_record
from unisono.tracks.track import Track, batched

RECORDS_A_BLOCK = 1024
ESCAPED_NUL = b"\\u0000"
"""How JSON writes a character that no later stage can store: records that may hold it take the slow path."""
_encoder = msgspec.json.Encoder()


def encoded_blocks(tracks: Iterable[Track]) -> Iterator[tuple[bytes, int]]:
    """Yield records as JSON lines, and how many they are.

    Raises:
        DataError: a track has no caption.
        UnicodeEncodeError: a text cannot be encoded as UTF-8.
    """
    for batch in batched(tracks, RECORDS_A_BLOCK):
        yield (
            _encoder.encode_lines([to_fields(track) if track.extra else to_record(track) for track in batch]),
            len(batch),
        )


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
