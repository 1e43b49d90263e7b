"""Find files that are copies of each other, byte for byte, reading as little of them as possible."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from unisono.base import storage
from unisono.tracks.track import Track

GLANCE_BYTES = 1 << 14
Key = TypeVar("Key", bound=Hashable)


def hashes_of_copies(tracks: Iterable[Track]) -> dict[str, str]:
    """Return path -> sha256 of the files of tracks that name none, if another of these files has the same.

    Only files of equal size are opened, and only those that agree in the middle are read whole. A file that cannot be
    read has no hash; decoding it tells why.
    """
    paths = (track.audio_path for track in tracks if not track.sha256)
    sizes = _alike(paths, _size)
    glances = [members for some in sizes.values() for members in _alike(some, _glance).values()]
    hashes = [hashed for some in glances for hashed in _alike(some, _sha256).items()]
    return {path: sha256 for sha256, members in hashes for path in members}


def _alike(paths: Iterable[str], look: Callable[[str], Key | None]) -> dict[Key, list[str]]:
    """Return the paths grouped by what `look` returns for them; groups of one are left out."""
    groups: dict[Key, dict[str, None]] = defaultdict(dict)
    for path in paths:
        seen = look(path)
        if seen is not None:
            groups[seen][path] = None
    return {seen: list(members) for seen, members in groups.items() if len(members) > 1}


def _size(path: str) -> int | None:
    try:
        return storage.status(path)[0] or None
    except (OSError, ValueError):
        return None


def _glance(path: str) -> bytes | None:
    try:
        with storage.read_bytes(path) as file:
            file.seek((_size(path) or 0) // 2)
            return file.read(GLANCE_BYTES)
    except (OSError, ValueError):
        return None


def _sha256(path: str) -> str | None:
    try:
        with storage.read_bytes(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
