"""What was heard before: fingerprints and hashes of decoded audio in one SQLite file, so that nothing is decoded twice.

A result is kept under its excerpt and the size and time of change of its file: it counts until the file changes. The file
can be removed at any time.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from unisono.audio.decode import Excerpt, Fault
from unisono.audio.fingerprint import DOUBTFUL, METHOD, Fingerprint
from unisono.base.log import log

NAME = "heard.sqlite"
SAVED_EVERY_S = 5.0
KEY_BYTES = 16
KEYS_A_QUERY = 500
_MADE_BY = f"{METHOD} {soundfile.__libsndfile_version__}"
_TABLE = """CREATE TABLE IF NOT EXISTS heard (
    key BLOB PRIMARY KEY, decoded TEXT, bits BLOB, words BLOB, places BLOB, reason TEXT, detail TEXT
)"""


class Heard(NamedTuple):
    """What listening to an excerpt gives."""

    decoded: str
    """The sha256 of its decoded samples, its rate and its channels; empty where there is a fault."""
    fingerprint: Fingerprint
    fault: Fault | None = None


def excerpt_key(excerpt: Excerpt) -> bytes | None:
    """Give the identity of an excerpt, which changes when its file does; None if the file cannot be looked at."""
    try:
        status = os.stat(excerpt.path)  # noqa: PTH116 - called once an excerpt, for up to millions
    except (OSError, ValueError):
        return None
    parts = (_MADE_BY, excerpt.path, excerpt.start_s, excerpt.duration_s, status.st_size, status.st_mtime_ns)
    return blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


class ListeningCache:
    """Results on disk, by key. Where the disk does not allow it, nothing is kept, and that is logged once."""

    def __init__(self, path: Path | None) -> None:
        """Open or begin the file; without a path nothing is kept."""
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._saved_s = time.monotonic()
        if path:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = sqlite3.connect(path, timeout=60)
                self._connection.execute(_TABLE)
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)

    def get(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Heard]]:
        """Yield those of the keys that are there, with their results."""
        for begin in range(0, len(keys), KEYS_A_QUERY):
            part = keys[begin : begin + KEYS_A_QUERY]
            marks = ",".join("?" * len(part))
            for key, decoded, bits, words, places, reason, detail in self._read(
                f"SELECT key, decoded, bits, words, places, reason, detail FROM heard WHERE key IN ({marks})",
                part,
            ):
                fingerprint = Fingerprint(
                    np.frombuffer(bits, np.uint32),
                    np.frombuffer(words, np.uint64).reshape(-1, 1 + DOUBTFUL),
                    np.frombuffer(places, np.int32),
                )
                yield key, Heard(decoded, fingerprint, Fault(reason, detail) if reason else None)

    def put(self, results: Iterable[tuple[bytes, Heard]]) -> None:
        """Keep results; they are safe after a few seconds, or when the cache is closed."""
        rows = [
            (
                key,
                heard.decoded,
                heard.fingerprint.bits.tobytes(),
                heard.fingerprint.words.tobytes(),
                heard.fingerprint.places.tobytes(),
                heard.fault.reason if heard.fault else "",
                heard.fault.detail if heard.fault else "",
            )
            for key, heard in results
            if not (heard.fault and not heard.fault.lasting)
        ]
        if self._connection:
            try:
                self._connection.executemany("INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                if time.monotonic() - self._saved_s > SAVED_EVERY_S:
                    self._connection.commit()
                    self._saved_s = time.monotonic()
            except sqlite3.Error as error:
                self._give_up(error)

    def close(self) -> None:
        """Save everything and close the file."""
        if self._connection:
            try:
                self._connection.commit()
            except sqlite3.Error as error:
                self._give_up(error)
            else:
                self._connection.close()
                self._connection = None

    def _read(self, query: str, values: Sequence[bytes]) -> list[tuple[bytes, str, bytes, bytes, bytes, str, str]]:
        if self._connection:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                self._give_up(error)
        return []

    def _give_up(self, error: Exception) -> None:
        self._connection = None
        log.warning("What is heard cannot be kept in %s (%s): it is decoded again next time.", self.path, error)
