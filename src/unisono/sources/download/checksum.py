"""Checksums as they are published (`md5:...`, `sha1:...`, `sha256:...`, `git:...`), computed while files arrive."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

CHUNK = 1 << 20
CHUNKS_AHEAD = 8
"""The most chunks that wait to be hashed."""


class RunningChecksum:
    """A checksum that is being computed. `git:` needs the size beforehand, as git hashes it first."""

    def __init__(self, kind: str, size: int = 0) -> None:
        self.kind = kind
        self._hash = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=False)
        if kind == "git":
            self._hash.update(b"blob %d\0" % size)
        self.length = 0
        """Bytes hashed so far."""

    @classmethod
    def like(cls, published: str, size: int) -> "RunningChecksum":
        """Start a checksum of the same kind as the published one; SHA-256 if none is published."""
        return cls(published.partition(":")[0] or "sha256", size)

    def update(self, chunk: bytes) -> None:
        """Hash the next bytes."""
        self._hash.update(chunk)
        self.length += len(chunk)

    def __str__(self) -> str:
        return f"{self.kind}:{self._hash.hexdigest()}"


@contextmanager
def hashing_aside(digest: RunningChecksum) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that hashes chunks in another thread; on leaving, all of them are hashed."""
    chunks: Queue[bytes | None] = Queue(CHUNKS_AHEAD)

    def work() -> None:
        while (chunk := chunks.get()) is not None:
            digest.update(chunk)

    thread = Thread(target=work, name="hash", daemon=True)
    thread.start()
    try:
        yield chunks.put
    finally:
        chunks.put(None)
        thread.join()


def hash_file(path: Path, digest: RunningChecksum, each: Callable[[int], None] = lambda count: None) -> RunningChecksum:
    """Hash a file; call `each` with the length of every chunk, which may raise to stop."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            each(len(chunk))
    return digest
