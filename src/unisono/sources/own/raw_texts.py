"""Texts of Vorbis comments, WAV and AIFF that are not in UTF-8, as they should be, but in an old code page.

tinytag replaces each byte that it cannot decode. Here each becomes a letter of Latin-1, from which `encodings` tells what
was meant.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

_CHUNKS = {b"INAM": "title", b"IART": "artist", b"IPRD": "album", b"IGNR": "genre", b"ICMT": "comment",
           b"NAME": "title", b"AUTH": "artist", b"ANNO": "comment"}  # fmt: skip
_COMMENTS = {"title": "title", "artist": "artist", "album": "album", "albumartist": "albumartist", "genre": "genre",
             "comment": "comment", "description": "comment", "mood": "mood", "copyright": "copyright"}  # fmt: skip
_LARGEST = 1 << 20
_BEGIN = 1 << 16
"""Bytes in which the comments of an Ogg file are looked for."""
_FLAC_COMMENTS = 4


def as_text(content: bytes) -> str:
    """Return a text in UTF-8, or else in Latin-1."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def raw_texts(file: BinaryIO) -> dict[str, list[str]]:
    """Return the texts of a file by field; what is not UTF-8 is as it looks in Latin-1."""
    file.seek(0)
    head = file.read(12)
    found: dict[str, list[str]] = {}
    if head[:4] in (b"RIFF", b"FORM"):
        pairs = _texts_of_chunks(file, "little" if head[:4] == b"RIFF" else "big")
    else:
        pairs = _texts_of_comments(_comments(file, head))
    for field, text in pairs:
        found.setdefault(field, []).append(text)
    return found


def chunks(file: BinaryIO, order: Literal["little", "big"]) -> Iterator[tuple[bytes, int]]:
    """Yield the names and lengths of the chunks of a WAV or AIFF file, each of which can be read then."""
    at, size = 12, file.seek(0, 2)
    while at + 8 <= size:
        file.seek(at)
        header = file.read(8)
        length = int.from_bytes(header[4:], order)
        yield header[:4], length
        at += 8 + length + length % 2


def _texts_of_chunks(file: BinaryIO, order: Literal["little", "big"]) -> Iterator[tuple[str, str]]:
    for name, length in chunks(file, order):
        content = file.read(min(length, _LARGEST)) if name == b"LIST" or name in _CHUNKS else b""
        if name in _CHUNKS:
            yield _CHUNKS[name], as_text(content.rstrip(b"\0"))
        at = 4 if content.startswith(b"INFO") else len(content)
        while at + 8 <= len(content):
            inner, end = content[at : at + 4], at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
            if inner in _CHUNKS:
                yield _CHUNKS[inner], as_text(content[at + 8 : end].rstrip(b"\0"))
            at = end + end % 2


def _comments(file: BinaryIO, head: bytes) -> bytes:
    """Return the Vorbis comments of a FLAC or Ogg file, and what follows them."""
    if head[:4] == b"fLaC":
        at = 4
        while True:
            file.seek(at)
            header = file.read(4)
            length = int.from_bytes(header[1:], "big")
            if len(header) < 4 or header[0] & 0x7F == _FLAC_COMMENTS:
                return file.read(min(length, _LARGEST))
            if header[0] & 0x80:
                return b""
            at += 4 + length
    content = head + file.read(_BEGIN)
    for mark in (b"\x03vorbis", b"OpusTags"):
        if head[:4] == b"OggS" and mark in content:
            return content.partition(mark)[2]
    return b""


def _texts_of_comments(content: bytes) -> Iterator[tuple[str, str]]:
    """Parse Vorbis comments; see https://xiph.org/vorbis/doc/v-comment.html."""
    try:
        at = 4 + struct.unpack_from("<I", content)[0]
        (count,) = struct.unpack_from("<I", content, at)
        at += 4
        for _ in range(count):
            end = at + 4 + struct.unpack_from("<I", content, at)[0]
            name, _, value = content[at + 4 : end].partition(b"=")
            at = end
            if field := _COMMENTS.get(name.decode("latin-1").lower()):
                yield field, as_text(value)
    except struct.error:  # cut short
        return
