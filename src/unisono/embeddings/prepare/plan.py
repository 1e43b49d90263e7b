"""The plan: which excerpts are to be embedded, and which of their embeddings are missing."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from unisono.audio.decode import Excerpt
from unisono.audio.faults import UNREADABLE, Fault, of_system
from unisono.base import storage
from unisono.base.path_map import PathMap
from unisono.embeddings.structure import KEY_BYTES
from unisono.tracks.track import Track

REQUESTS_AT_A_TIME = 16
AS_THEY_ARE = PathMap()
FileStatus = tuple[int, int]
"""Size, and time of change in nanoseconds."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One excerpt, to be decoded once and embedded by some encoders."""

    key: bytes
    excerpt: Excerpt
    encoders: tuple[str, ...]


@dataclass(frozen=True)
class EmbeddingPlan:
    """The excerpts of a run."""

    key_of: dict[str, bytes]
    """Track id -> key of its excerpt, for all tracks whose file is there."""
    faults: dict[str, Fault]
    """Track id -> why its file cannot be found or read."""
    excerpts: dict[bytes, Excerpt]
    """Key -> excerpt; tracks may share one."""

    def missing(self, held: Mapping[str, Set[bytes]], failed: Set[bytes]) -> list[WorkItem]:
        """List the excerpts of which an embedding is neither held (encoder -> keys) nor known to fail."""
        items = []
        for key, excerpt in self.excerpts.items():
            encoders = tuple(name for name, keys in held.items() if key not in keys)
            if encoders and key not in failed:
                items.append(WorkItem(key, excerpt, encoders))
        return items


def status_of_file(path: str) -> FileStatus | Fault:
    """Return the size of a file and its time of change, in nanoseconds; or why it cannot be read."""
    try:
        return storage.status(path)
    except (OSError, ValueError) as error:
        fault = of_system(error)
        return fault._replace(detail=f"{path}: {fault.detail}" if fault.reason == UNREADABLE else path)


def look_at(paths: Iterable[str], path_map: PathMap = AS_THEY_ARE) -> dict[str, FileStatus | Fault]:
    """Return the status of each file, where `path_map` says that it lies; many at a time where they lie far away."""
    places = {path: path_map(path) for path in paths}
    far = [path for path, place in places.items() if storage.is_url(place)]
    found = {path: status_of_file(place) for path, place in places.items() if not storage.is_url(place)}
    if far:
        with ThreadPoolExecutor(REQUESTS_AT_A_TIME, thread_name_prefix="look") as pool:
            found |= zip(far, pool.map(status_of_file, [places[path] for path in far]), strict=True)
    return found


def plan(
    tracks: Iterable[Track], look: Callable[[Iterable[str]], Mapping[str, FileStatus | Fault]] = look_at
) -> EmbeddingPlan:
    """Identify the excerpt of each track by its path, start and length, and the file's size and time of change."""
    tracks = list(tracks)
    status_of = look(dict.fromkeys(track.audio_path for track in tracks))
    key_of: dict[str, bytes] = {}
    faults: dict[str, Fault] = {}
    excerpts: dict[bytes, Excerpt] = {}
    for track in tracks:
        status = status_of[track.audio_path]
        if isinstance(status, Fault):
            faults[track.id] = status
            continue
        excerpt = Excerpt(track.audio_path, track.start, track.duration)
        key = excerpt_key(excerpt, *status)
        key_of[track.id] = key
        excerpts[key] = excerpt
    return EmbeddingPlan(key_of, faults, excerpts)


def excerpt_key(excerpt: Excerpt, size: int, changed_ns: int) -> bytes:
    """Return the identity of an excerpt, which changes when the file does."""
    text = "\0".join([excerpt.path, repr(excerpt.start_s), repr(excerpt.duration_s), str(size), str(changed_ns)])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
