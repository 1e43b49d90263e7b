"""What listening found, in one SQLite file, so that no excerpt is decoded twice: fingerprints and hashes of samples.

A result is kept under its excerpt and the size and time of change of its file: it counts until the file changes. The
cache can be removed at any time.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import soundfile

from unisono.audio.decode import VERSION, Excerpt
from unisono.audio.faults import Fault
from unisono.audio.fingerprint import DOUBTFUL, METHOD, Fingerprint
from unisono.base import storage
from unisono.base.store import Store

NAME = "heard.sqlite"
KEY_BYTES = 16
_MADE_BY = f"{METHOD} {VERSION} {soundfile.__libsndfile_version__}"


class Listened(NamedTuple):
    """What listening to an excerpt found."""

    decoded: str
    """The sha256 of its decoded samples, its rate and its channels; empty where there is a fault."""
    fingerprint: Fingerprint
    fault: Fault | None = None


def excerpt_key(excerpt: Excerpt) -> bytes | None:
    """Return the identity of an excerpt, which changes when its file does; None if the file cannot be looked at."""
    try:
        status = storage.status(excerpt.path)
    except (OSError, ValueError):
        return None
    parts = (_MADE_BY, excerpt.path, excerpt.start_s, excerpt.duration_s, *status)
    return blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


class ListeningCache:
    """Results on disk, by key; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._store = Store(path)

    def get(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Listened]]:
        """Yield those of the keys that are there, with their results."""
        for key, value in self._store.get(keys).items():
            yield key, from_bytes(value)

    def put(self, results: Iterable[tuple[bytes, Listened]]) -> None:
        """Keep results, except faults that may pass; they are safe after a few seconds, or when the cache is closed."""
        self._store.put(
            {key: to_bytes(listened) for key, listened in results if listened.fault is None or listened.fault.lasting}
        )

    def close(self) -> None:
        """Save everything and close the file."""
        self._store.close()


def to_bytes(listened: Listened) -> bytes:
    """Return a result as bytes."""
    arrays = [array.tobytes() for array in listened.fingerprint]
    return msgspec.msgpack.encode((listened.decoded, *arrays, *(listened.fault or ("", ""))[:2]))


def from_bytes(value: bytes) -> Listened:
    """Return the result whose bytes these are."""
    decoded, bits, words, places, reason, detail = msgspec.msgpack.decode(
        value, type=tuple[str, bytes, bytes, bytes, str, str]
    )
    fingerprint = Fingerprint(
        np.frombuffer(bits, np.uint32),
        np.frombuffer(words, np.uint64).reshape(-1, 1 + DOUBTFUL),
        np.frombuffer(places, np.int32),
    )
    return Listened(decoded, fingerprint, Fault(reason, detail) if reason else None)
