"""Headers that were written before the length was known, and never completed: WAV, AIFF, CAF and AU.

libsndfile takes most sizes that are out of range for the rest of the file, but believes a size of 0, and refuses others.
"""

import os
import struct
from typing import NamedTuple

from unisono.audio.spliced import Piece

_HEADER_WITHIN = 1 << 20


class _Format(NamedTuple):
    """How a file is made of chunks: a name of four bytes, a size, the content."""

    size: str
    """`struct` format of a size."""
    first: int
    """Offset of the first chunk."""
    name: bytes
    """Of the chunk that holds the samples."""
    is_padded: bool
    """Chunks have an even number of bytes."""

    def chunk(self, descriptor: int, at: int) -> tuple[bytes, int, int] | None:
        """Return a chunk's name, where its content begins, and where the next chunk should begin."""
        head = os.pread(descriptor, 4 + struct.calcsize(self.size), at)
        if len(head) < 4 + struct.calcsize(self.size):
            return None
        length: int = struct.unpack(self.size, head[4:])[0]
        begin = at + len(head)
        return head[:4], begin, begin + length + (length % 2 if self.is_padded else 0)


_FORMATS = {
    b"RIFF": _Format("<I", 12, b"data", True),
    b"RIFX": _Format(">I", 12, b"data", True),
    b"RF64": _Format("<I", 12, b"data", True),
    b"FORM": _Format(">I", 12, b"SSND", True),
    b"caff": _Format(">Q", 8, b"data", False),
}


def mended(descriptor: int, head: bytes, size: int) -> list[Piece] | None:
    """Return a file with samples that reach to its end, or to where further chunks begin.

    None if it is of another format, or complete and empty.
    """
    if head[:4] == b".snd" and len(head) >= 24:
        return [head[:8] + b"\xff" * 4 + head[12:24], (24, size - 24)] if size > 24 else None
    form = _FORMATS.get(head[:4])
    if form is None:
        return None
    at = form.first
    while at < _HEADER_WITHIN and (chunk := form.chunk(descriptor, at)):
        name, begin, following = chunk
        if name == form.name:
            break
        at = following
    else:
        return None
    if _is_complete(descriptor, form, begin, size):
        return None
    start = bytearray(os.pread(descriptor, begin, 0))
    largest = 256 ** struct.calcsize(form.size) - 1
    is_right = begin < following < size and _is_complete(descriptor, form, following, size)
    rest = (following if is_right else size) - begin
    struct.pack_into(form.size, start, at + 4, min(rest, largest))
    if head[:4] == b"RF64" and head[12:16] == b"ds64":
        struct.pack_into("<I", start, at + 4, largest)
        struct.pack_into("<QQ", start, 20, begin + rest - 8, rest)
    elif head[:4] != b"caff":
        struct.pack_into(form.size, start, 4, min(begin + rest - 8, largest))
    return [bytes(start), (begin, rest)]


def _is_complete(descriptor: int, form: _Format, at: int, size: int) -> bool:
    """Return whether the rest of a file is further chunks, or nothing."""
    while at < size:
        chunk = form.chunk(descriptor, at)
        if chunk is None or not (chunk[0].isascii() and chunk[0].decode().isprintable()):
            return False
        at = chunk[2]
    return at in (size, size + 1)
