"""The identity of a file's audio without its tags: a file that was moved or tagged again is the same music.

What is hashed are the bytes that a decoder is fed with: everything between the tags of MPEG, APE, WavPack and their like,
the frames of FLAC, the packets of Ogg but the comments, the samples of WAV, AIFF and DSF, the media data of MP4 and WMA.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from unisono.audio.mp3 import before_tags, behind_header, behind_tags

KEY_BYTES = 16
_BLOCK = 1 << 20
_MOST_CHUNKS = 100_000
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF = bytes.fromhex("3026b2758e66cf11")
_OGG_HEADERS = ((b"\x01vorbis", 3), (b"OpusHead", 2), (b"Speex   ", 2))
"""How an Ogg stream begins, and how many packets come before its audio; the second one holds the comments."""

Part = tuple[int, int]
"""Offset and length."""


def content_key(path: Path) -> bytes:
    """Return the identity of a file's audio, `KEY_BYTES` long.

    Raises:
        OSError: the file cannot be read.
    """
    found = hashlib.blake2b(digest_size=KEY_BYTES)
    with path.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        begin = behind_tags(descriptor)
        head = os.pread(descriptor, 64, begin)
        if head[:4] == b"OggS":
            parts = _of_ogg(descriptor, begin, size)
        else:
            parts = iter(_chunks(descriptor, head, size) or [_between_tags(descriptor, head, begin, size)])
        for offset, length in parts:
            while length > 0 and (block := os.pread(descriptor, min(_BLOCK, length), offset)):
                found.update(block)
                offset += len(block)
                length -= len(block)
    return found.digest()


def _between_tags(descriptor: int, head: bytes, begin: int, size: int) -> Part:
    """Return what lies between the tags, without the metadata of FLAC and the header that programs write into MP3."""
    end = before_tags(descriptor, begin, size)
    at, is_last = begin, head[:4] != b"fLaC"
    if is_last:
        at = behind_header(descriptor, begin)
    else:
        at += 4
    while not is_last and len(block := os.pread(descriptor, 4, at)) == 4:
        is_last = bool(block[0] & 0x80)
        at += 4 + int.from_bytes(block[1:], "big")
    return (at, end - at) if at < end else (begin, end - begin)


def _chunks(descriptor: int, head: bytes, size: int) -> list[Part]:
    """Return the chunks that hold the samples and their form, of formats made of chunks; nothing for other formats."""
    if head[:4] in (b"RIFF", b"RF64", b"RIFX"):
        order = ">" if head[:4] == b"RIFX" else "<"
        return _named(descriptor, size, 12, f"{order}4sI", (b"fmt ", b"data"), even=True)
    if head[:4] == b"FORM":
        return _named(descriptor, size, 12, ">4sI", (b"COMM", b"SSND"), even=True)
    if head[:4] == b"caff":
        return _named(descriptor, size, 8, ">4sQ", (b"desc", b"data"))
    if head[:4] == b"DSD ":
        return _named(descriptor, size, 28, "<4sQ", (b"fmt ", b"data"), counts_header=True)
    if head[4:8] == b"ftyp":
        return _mp4(descriptor, size)
    if head[:8] == _ASF:
        return _named(
            descriptor, size, int.from_bytes(head[16:24], "little"), "<16sQ", (_ASF_DATA,), counts_header=True
        )
    return []


def _named(
    descriptor: int,
    size: int,
    at: int,
    form: str,
    names: tuple[bytes, ...],
    *,
    even: bool = False,
    counts_header: bool = False,
) -> list[Part]:
    """Return the content of the chunks of some names; a chunk is a name and a length, in this form, and its content."""
    parts = []
    begins = struct.calcsize(form)
    for _ in range(_MOST_CHUNKS):
        if at >= size or len(header := os.pread(descriptor, begins, at)) < begins:
            break
        name, length = struct.unpack(form, header)
        inner = length - begins if counts_header else length
        if inner < 0:
            break
        if name in names:
            parts.append((at + begins, min(inner, size - at - begins)))
        at += begins + inner + (inner % 2 if even else 0)
    return parts


def _mp4(descriptor: int, size: int) -> list[Part]:
    """Return the media data of an MP4 file."""
    parts, at = [], 0
    for _ in range(_MOST_CHUNKS):
        if at >= size or len(header := os.pread(descriptor, 16, at)) < 8:
            break
        length, begins = int.from_bytes(header[:4], "big"), 8
        if length == 1:
            length, begins = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size - at
        if length < begins:
            break
        if header[4:8] == b"mdat":
            parts.append((at + begins, min(length, size - at) - begins))
        at += length
    return parts


def _of_ogg(descriptor: int, begin: int, size: int) -> Iterator[Part]:
    """Yield the audio of Ogg pages, and the headers of the streams without their comments."""
    left: dict[bytes, list[int]] = {}
    at = begin
    while len(header := os.pread(descriptor, 27 + 255, at)) >= 27:
        if header[:4] != b"OggS":  # tags or damage
            break
        lengths, serial = header[27 : 27 + header[26]], header[14:18]
        start = at + 27 + header[26]
        at = start + sum(lengths)
        if header[5] & 2:
            first = os.pread(descriptor, 16, start)
            count = next((count for mark, count in _OGG_HEADERS if first.startswith(mark)), 0)
            if first.startswith(b"\x7fFLAC"):
                count = 1 + int.from_bytes(first[7:9], "big")
            left[serial] = [count, count]
        total, open_ = left.get(serial, (0, 0))
        if not open_:
            yield start, at - start
            continue
        offset = start
        for place, part in _packets(lengths):
            number = total - left[serial][1]
            if left[serial][1] and (number == 0 or (number == 2 and total == 3)):
                yield offset, part
            offset += part
            if place and left[serial][1]:
                left[serial][1] -= 1


def _packets(lengths: bytes) -> Iterator[tuple[bool, int]]:
    """Yield (whether it ends here, length) of each packet on a page."""
    length = 0
    for lacing in lengths:
        length += lacing
        if lacing < 255:
            yield True, length
            length = 0
    if length:
        yield False, length
