"""Chained Ogg files: several streams, one after the other, of which libsndfile reads the first.

Format: RFC 3533.
"""

import os

PAGE_BYTES = 27 + 255 + 255 * 255
"""The largest page."""
_BEGINS = 2
_LOOKED_AT = (1, 2, 4, 6)
"""Eighths of a file where its pages are looked at."""


def links(descriptor: int, head: bytes, size: int, begin: int = 0) -> list[tuple[int, int]]:
    """Return (offset, length) of each stream of a file, given its first bytes from `begin` on; one for most files."""
    if _is_one(descriptor, head[14:18], size):
        return [(begin, size - begin)]
    starts: list[int] = []
    at, began = begin, False
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


def _is_one(descriptor: int, serial: bytes, size: int) -> bool:
    """Return whether the last page is of the stream that begins the file.

    Its number tells that from a later stream with the same serial number, unless the streams before are short.
    """
    last = _page(descriptor, size, last=True)
    if last is None or last[0] != serial:
        return False
    among = [_page(descriptor, size * eighths // 8) for eighths in _LOOKED_AT]
    numbers = [page[1] for page in among if page and page[0] == serial]
    return [*numbers, last[1]] == sorted([*numbers, last[1]])


def _page(descriptor: int, at: int, *, last: bool = False) -> tuple[bytes, int] | None:
    """Return the serial number and the number of the first page from a place on, or of the last one before it."""
    for count in (8192, PAGE_BYTES):
        content = os.pread(descriptor, count, max(0, at - count) if last else at)
        found = content.rfind(b"OggS") if last else content.find(b"OggS")
        if found >= 0 and len(content) >= found + 22:
            return content[found + 14 : found + 18], int.from_bytes(content[found + 18 : found + 22], "little")
    return None
