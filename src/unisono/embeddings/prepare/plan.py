"""The plan: which excerpts are to be embedded, and which of their embeddings are missing."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from unisono.audio.decode import Excerpt
from unisono.audio.faults import MISSING, UNREADABLE, Fault
from unisono.embeddings.structure import KEY_BYTES
from unisono.tracks.track import Track

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


def plan(tracks: Iterable[Track]) -> EmbeddingPlan:
    """Identify the excerpt of each track by its path, start and length, and the file's size and time of change."""
    status_of: dict[str, FileStatus | Fault] = {}
    key_of: dict[str, bytes] = {}
    faults: dict[str, Fault] = {}
    excerpts: dict[bytes, Excerpt] = {}
    for track in tracks:
        if track.audio_path not in status_of:
            status_of[track.audio_path] = status_of_file(track.audio_path)
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


def status_of_file(path: str) -> FileStatus | Fault:
    """Return the size of a file and its time of change, in nanoseconds; or why it cannot be read."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called once a file, for up to millions
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return Fault(MISSING, path, lasting=False)
    except OSError as error:
        return Fault(UNREADABLE, f"{path}: {error.strerror}", lasting=False)
    return status.st_size, status.st_mtime_ns
