"""Find files that are copies of each other, byte for byte, reading as little of them as possible."""

import hashlib
import os
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unisono.base import storage
from unisono.tracks.record import Entry

GLANCE_BYTES = 1 << 14
MOST_ABSENT = 7


class FileSizes:
    """The sizes of the files of tracks that name no hash: 16 bytes a track."""

    def __init__(self) -> None:
        self._sizes, self._paths = array("q"), array("q")
        self._absent: tuple[str, ...] = ()
        """Folders that are not there, as some paths begin."""

    def look(self, tracks: Sequence[Entry]) -> None:
        """Look at the files of further tracks."""
        self._sizes.extend(
            [
                0 if track.sha256 or track.audio_path.startswith(self._absent) else self._size(track.audio_path)
                for track in tracks
            ]
        )
        self._paths.extend([hash(track.audio_path) for track in tracks])

    def _size(self, path: str) -> int:
        try:
            return storage.status(path)[0]
        except (OSError, ValueError):
            absent = ""
            while path[0] == "/" and not os.path.isdir(path := path.rpartition("/")[0] or "/"):  # noqa: PTH112
                absent = path + "/"
            if absent:
                self._absent = (absent, *self._absent[:MOST_ABSENT])
            return 0

    def hashes_of_copies(self, tracks: Callable[[], Iterable[Entry]]) -> dict[str, str]:
        """Return path -> sha256 of the files of tracks that name none, if another of these files has the same.

        Only files of equal size are opened, and only those that agree in the middle are read whole. A file that cannot be
        read has no hash; decoding it tells why.

        Args:
            tracks: returns those that were looked at, in the same order.
        """
        paths = np.asarray(self._paths)
        suspects = _shared(np.asarray(self._sizes), paths)
        if not len(suspects):
            return {}
        glance = lru_cache(maxsize=4096)(_glance)  # excerpts of a file are neighbours
        glances = np.fromiter(map(glance, _paths(tracks(), suspects)), np.int64, len(suspects))
        sizes = np.asarray(self._sizes)[suspects]
        suspects = suspects[_shared(np.where(glances == 0, 0, glances ^ sizes), paths[suspects])]
        hashed = {path: _sha256(path) for path in dict.fromkeys(_paths(tracks(), suspects))}
        of_hash: dict[str, list[str]] = defaultdict(list)
        for path, sha256 in hashed.items():
            if sha256:
                of_hash[sha256].append(path)
        return {path: sha256 for sha256, members in of_hash.items() if len(members) > 1 for path in members}


def _shared(keys: NDArray[np.int64], paths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places whose key, other than 0, several different paths have."""
    (places,) = np.nonzero(keys)
    order = places[np.lexsort((paths[places], keys[places]))]
    ranked, its_paths = keys[order], paths[order]
    is_new = np.append(True, ranked[1:] != ranked[:-1])
    (begin,) = np.nonzero(is_new)
    is_other = np.append(False, its_paths[1:] != its_paths[:-1]) & ~is_new
    has_others = np.logical_or.reduceat(is_other, begin) if len(begin) else np.empty(0, dtype=bool)
    return np.sort(order[np.repeat(has_others, np.diff(begin, append=len(order)))])


def _paths(tracks: Iterable[Entry], places: NDArray[np.int64]) -> Iterable[str]:
    """Yield the paths of the tracks at ascending places."""
    wanted = iter(places.tolist())
    at = next(wanted, -1)
    for place, track in enumerate(tracks):
        if place == at:
            yield track.audio_path
            at = next(wanted, -1)


def _glance(path: str) -> int:
    try:
        with storage.read_bytes(path) as file:
            file.seek(storage.status(path)[0] // 2)
            return hash(file.read(GLANCE_BYTES)) or 1
    except (OSError, ValueError):
        return 0


def _sha256(path: str) -> str:
    try:
        with storage.read_bytes(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""
