"""A small key-value store on SQLite, for journals and caches: what a run learnt, so that nobody learns it twice.

A store survives a kill at any instant: what was saved before is there. Several processes may share one. Each value has a
checksum; a value that was altered on the disk is as good as none.
"""

import sqlite3
import threading
import time
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from unisono.base.errors import UnisonoError
from unisono.base.log import log

SAVED_EVERY_S = 5.0
KEYS_A_QUERY = 500


class Store:
    """Values (bytes) by key (bytes), in one file. Safe to use from several threads.

    Without a path nothing is kept. A cache (`required=False`) that the disk does not allow keeps nothing either, and says
    so once in the log; a damaged one is begun again.
    """

    def __init__(self, path: Path | None, *, required: bool = False) -> None:
        """Open the file, or begin it.

        Raises:
            UnisonoError: a required store cannot be opened.
        """
        self.path = path
        self._required = required
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._saved_s = time.monotonic()
        if path is None:
            return
        try:
            self._connection = self._opened(path)
        except sqlite3.DatabaseError as error:
            if required or isinstance(error, sqlite3.OperationalError):
                self._fail(error)
                return
            log.warning("%s is damaged (%s); it is begun again.", path, error)
            with suppress(OSError):
                path.unlink()
            try:
                self._connection = self._opened(path)
            except (sqlite3.Error, OSError) as again:
                self._fail(again)
        except OSError as error:
            self._fail(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of those keys that are stored."""
        found: dict[bytes, bytes] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), KEYS_A_QUERY):
            part = wanted[start : start + KEYS_A_QUERY]
            marks = ",".join("?" * len(part))
            found.update(self._run(f"SELECT key, value FROM entries WHERE key IN ({marks})", part))
        return found

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all keys with their values."""
        yield from self._run("SELECT key, value FROM entries", [])

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Store values. They are on disk after `save`, or `SAVED_EVERY_S` seconds later at the next `put`."""
        with self._lock:
            if self._connection is None:
                return
            try:
                rows = [(key, _sum(key, value) + value) for key, value in entries.items()]
                self._connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", rows)
                if time.monotonic() - self._saved_s >= SAVED_EVERY_S:
                    self._commit()
            except sqlite3.Error as error:
                self._fail(error)

    def save(self) -> None:
        """Bring everything stored so far to the disk."""
        with self._lock:
            self._commit()

    def close(self) -> None:
        """Save and close; closing twice does nothing."""
        with self._lock:
            self._commit()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _opened(self, path: Path) -> sqlite3.Connection:
        """Open the file; it is closed when nobody holds this store any more, if not before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        weakref.finalize(self, connection.close).atexit = False  # a forked process leaves it alone
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _commit(self) -> None:
        if self._connection is not None:
            try:
                self._connection.commit()
            except sqlite3.Error as error:
                self._fail(error)
        self._saved_s = time.monotonic()

    def _run(self, query: str, values: list[bytes]) -> list[tuple[bytes, bytes]]:
        with self._lock:
            if self._connection is None:
                return []
            try:
                rows = self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                self._fail(error)
                return []
        return [(key, value[4:]) for key, value in rows if value[:4] == _sum(key, value[4:])]

    def _fail(self, error: Exception) -> None:
        """Go on without a cache; a required store ends the run."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._required:
            raise UnisonoError(
                f"Cannot write {self.path}: {error}.", hint="Free some space, or choose a folder that you may write to."
            ) from error
        log.warning("%s cannot be used (%s): nothing is remembered for the next run.", self.path, error)


def _sum(key: bytes, value: bytes) -> bytes:
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big")
