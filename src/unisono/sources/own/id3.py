"""The frames of an ID3 tag that tinytag leaves out, and its numbers of seven bits."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

_LARGEST = 1 << 16
"""Bytes of a frame that is read."""


def seven_bits(four: bytes) -> int:
    """Return a number of which each byte holds seven bits."""
    return four[0] << 21 | four[1] << 14 | four[2] << 7 | four[3]


def as_seven_bits(number: int) -> bytes:
    """Return a number as four bytes of seven bits."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def frames(tag: BinaryIO, names: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the content of the small frames of some names, of an ID3 tag of version 2.2 to 2.4 that a file begins with."""
    tag.seek(0)
    head = tag.read(10)
    if len(head) < 10 or head[:3] != b"ID3" or head[5] & 0x40:
        return
    end = 10 + seven_bits(head[6:])
    wide = 4 if head[3] > 2 else 3
    while tag.tell() + 2 * wide < end:
        header = tag.read(10 if wide == 4 else 6)
        if len(header) < 2 * wide or not header[0]:
            return
        length = header[wide : 2 * wide]
        size = seven_bits(length) if head[3] == 4 else int.from_bytes(length, "big")
        if header[:wide] in names and size <= _LARGEST:
            yield tag.read(size)
        else:
            tag.seek(size, 1)
