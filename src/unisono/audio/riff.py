"""WAV files whose header was written before the length was known, and never completed: sizes of 0 are mended.

libsndfile takes a size beyond the file's end for the rest of the file, but 0 for nothing.
"""

import os
import struct

from unisono.audio.spliced import Piece

_HEADER_WITHIN = 1 << 20


def mended(descriptor: int, head: bytes, size: int) -> list[Piece] | None:
    """Return the file with a `data` chunk that reaches to its end, if the chunk there claims to be empty."""
    order = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">"}.get(head[:4])
    if order is None or head[8:12] != b"WAVE":
        return None
    at = 12
    while at < _HEADER_WITHIN:
        chunk = os.pread(descriptor, 8, at)
        if len(chunk) < 8:
            return None
        length: int = struct.unpack(order + "I", chunk[4:])[0]
        if chunk[:4] == b"data":
            break
        at += 8 + length + length % 2
    begin = at + 8
    if at >= _HEADER_WITHIN or _is_chunks(descriptor, begin, size, order):
        return None
    start = bytearray(os.pread(descriptor, begin, 0))
    struct.pack_into(order + "I", start, begin - 4, 0xFFFFFFFF)
    struct.pack_into(order + "I", start, 4, 0xFFFFFFFF)
    if start[:4] == b"RF64" and start[12:16] == b"ds64":
        struct.pack_into("<QQ", start, 20, size - 8, size - begin)
    return [bytes(start), (begin, size - begin)]


def _is_chunks(descriptor: int, at: int, size: int, order: str) -> bool:
    """Return whether the rest of a file is further chunks, or nothing."""
    while at < size:
        chunk = os.pread(descriptor, 8, at)
        if len(chunk) < 8 or not (chunk[:4].isascii() and chunk[:4].decode().isprintable()):
            return False
        length: int = struct.unpack(order + "I", chunk[4:])[0]
        at += 8 + length + length % 2
    return at in (size, size + 1)
