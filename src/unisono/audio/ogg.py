"""Chained Ogg files: several streams, one after the other, of which libsndfile reads the first.

Format: RFC 3533.
"""

import os

PAGE_BYTES = 27 + 255 + 255 * 255
"""The largest page."""
_BEGINS = 2


def links(descriptor: int, head: bytes, size: int) -> list[tuple[int, int]]:
    """Return (offset, length) of each stream of a file, given its first bytes; one for most files."""
    if head[14:18] == _last_serial(descriptor, size):
        return [(0, size)]
    starts: list[int] = []
    at, began = 0, False
    while header := os.pread(descriptor, 27 + 255, at):
        if header[:4] != b"OggS" or len(header) < 27:
            step = os.pread(descriptor, PAGE_BYTES, at + 1).find(b"OggS")
            if step < 0:
                break
            at += 1 + step
            continue
        begins = bool(header[5] & _BEGINS)
        if begins and not began:  # streams that are multiplexed begin together
            starts.append(at)
        began = begins
        at += 27 + header[26] + sum(header[27 : 27 + header[26]])
    ends = [*starts[1:], size]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def _last_serial(descriptor: int, size: int) -> bytes:
    for count in (8192, PAGE_BYTES):
        tail = os.pread(descriptor, count, max(0, size - count))
        at = tail.rfind(b"OggS")
        if at >= 0 and len(tail) >= at + 18:
            return tail[at + 14 : at + 18]
    return b""
