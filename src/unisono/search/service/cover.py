"""Cover art of a track: the picture in its file, or one of the usual names in its folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from unisono.base.extras import extra

with extra("folder", "Cover art"):
    from tinytag import TinyTag

NAMES = ("cover", "folder", "front", "album", "Cover", "Folder", "Front", "Album")
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
LARGEST = 10_000_000
"""Bytes of a picture that is sent."""
_TYPES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


def cover_of(path: Path) -> tuple[bytes, str] | None:
    """Return the picture of an audio file and its content type; None if there is none."""
    for content in _pictures(path):
        found = sendable(content)
        if found[1]:
            return found
    return None


def sendable(content: bytes) -> tuple[bytes, str]:
    """Return a picture and its content type; empty if it is none, or too large."""
    return (content, picture_type(content)) if len(content) <= LARGEST else (b"", "")


def picture_type(content: bytes) -> str:
    """Return the content type of a picture by its first bytes; empty if it is none of those that are sent."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for head, kind in _TYPES if content.startswith(head)), "")


def _pictures(path: Path) -> Iterator[bytes]:
    try:
        picture = TinyTag.get(path, duration=False, image=True).images.any
        if picture is not None:
            yield picture.data
    except Exception:  # a parser of foreign bytes: whatever it raises, there is no picture
        pass
    for name in NAMES:
        for ending in ENDINGS:
            content = _regular(path.with_name(name + ending))
            if content:
                yield content


def _regular(path: Path) -> bytes:
    """Read a regular file, and no link to one elsewhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:  # noqa: PTH123
        status = os.fstat(descriptor)
        return file.read() if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST else b""
