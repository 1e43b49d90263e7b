"""The identity of the audio behind an excerpt, wherever its file lies: the file's size, and a hash of its bytes and of the
excerpt's start and length. By it `prepare` recognises files that were moved, renamed or touched.

A file is hashed once, after it was embedded, while the system still holds it in memory. Later it is hashed again only if its
excerpt is unknown and a file of its size has gone.
"""

import hashlib
from collections.abc import Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from unisono.audio.decode import Excerpt
from unisono.audio.faults import Fault
from unisono.base import storage
from unisono.base.cores import available_cores
from unisono.base.path_map import PathMap
from unisono.base.progress import progress
from unisono.embeddings.file import EmbeddingsFile
from unisono.embeddings.prepare.plan import AS_THEY_ARE, excerpt_key, status_of_file
from unisono.embeddings.prepare.sink import Notes
from unisono.embeddings.structure import CONTENT_BYTES, KEY_BYTES
from unisono.tracks.track import SPLITS

SIZE_BYTES = CONTENT_BYTES - KEY_BYTES
UNKNOWN = bytes(CONTENT_BYTES)
WORTH_A_BAR = 1000


class Contents(Notes):
    """The identities of the audio of all excerpts on disk."""

    def __init__(self, folder: Path, assembled: EmbeddingsFile | None = None, path_map: PathMap = AS_THEY_ARE) -> None:
        super().__init__(folder, texts=1)
        self._path_map = path_map
        self.known: dict[bytes, bytes] = {}
        """Key of an excerpt -> identity of its audio."""
        if assembled:
            for split in SPLITS:
                self.known |= dict(zip(assembled.excerpts(split), assembled.contents(split), strict=False))
        self.known = {key: content for key, content in self.known.items() if content != UNKNOWN}
        self.known |= {key: bytes.fromhex(content) for key, (content,) in self.read.items()}

    def add(self, excerpts: Mapping[bytes, Excerpt]) -> None:
        """Identify the audio of excerpts, by key; those whose files have changed since then stay unknown."""
        unknown = {key: each for key, each in excerpts.items() if key not in self.known}
        for key, content in _identify(unknown, self._path_map).items():
            self.put(key, content)

    def put(self, key: bytes, content: bytes) -> None:
        """Add the identity of the audio of an excerpt."""
        self.known[key] = content
        self.note(key, content.hex())

    def moved(self, excerpts: Mapping[bytes, Excerpt], held: Set[bytes]) -> dict[bytes, bytes]:
        """Find excerpts that are not held, but whose audio was embedded under a key that no excerpt has any more.

        Returns:
            Key -> the key under which its embeddings are held.
        """
        gone = {content: key for key, content in self.known.items() if key in held and key not in excerpts}
        sizes = {content[:SIZE_BYTES] for content in gone}
        unknown = {key: excerpt for key, excerpt in excerpts.items() if key not in held} if gone else {}
        alike = {key: each for key, each in unknown.items() if _size(self._path_map(each.path)) in sizes}
        found = _identify(alike, self._path_map)
        same = {key: gone[content] for key, content in found.items() if content in gone}
        self.known |= {key: found[key] for key in same}
        return same


def identity(key: bytes, excerpt: Excerpt, place: str, its_hash: bytes) -> bytes:
    """Return the identity of an excerpt of a file with this hash; empty if the file has changed since the key was made."""
    status = status_of_file(place)
    if not its_hash or isinstance(status, Fault) or excerpt_key(excerpt, *status) != key:
        return b""
    text = f"{excerpt.start_s!r} {excerpt.duration_s!r}".encode()
    return status[0].to_bytes(SIZE_BYTES, "little") + hashlib.blake2b(its_hash + text, digest_size=KEY_BYTES).digest()


def hash_of(place: str) -> bytes:
    """Return the sha256 of a file; empty if it cannot be read."""
    try:
        with storage.read_bytes(place) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError):
        return b""


def _identify(excerpts: Mapping[bytes, Excerpt], path_map: PathMap) -> dict[bytes, bytes]:
    """Return key -> identity; without those whose files cannot be read or have changed since the key was made."""
    paths = dict.fromkeys(path_map(excerpt.path) for excerpt in excerpts.values())
    with ThreadPoolExecutor(available_cores(), thread_name_prefix="identify") as pool, progress("files") as bar:
        shown = len(paths) >= WORTH_A_BAR
        task = bar.add_task("Identifying audio", total=len(paths)) if shown else None
        hashes: dict[str, bytes] = {}
        for path, its_hash in zip(paths, pool.map(hash_of, paths), strict=True):
            hashes[path] = its_hash
            if task is not None:
                bar.advance(task)
    identified = {}
    for key, excerpt in excerpts.items():
        place = path_map(excerpt.path)
        if found := identity(key, excerpt, place, hashes[place]):
            identified[key] = found
    return identified


def _size(path: str) -> bytes:
    status = status_of_file(path)
    return b"" if isinstance(status, Fault) else status[0].to_bytes(SIZE_BYTES, "little")
