"""The catalogue of a library: one SQLite file that knows every track, where it is, and what it sounds like.

sources      the folders and servers whose music is followed
tracks       a row a file; one that was removed stays for `KEPT_DAYS` days, so that the removal can be undone
states       sizes and times of change of all tracks of a source, packed
encoders     what made embeddings, as JSON
embeddings   the vectors of a track's segments by its content, so that no music is embedded twice, wherever it lies
searches     those that are saved, as JSON

All writing is in transactions, so that the file is whole after a kill at any instant. Every transaction that changes tracks
has a number of its own, the revision, by which readers find what is new to them.
"""

import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.audio.faults import NEEDS_FFMPEG, Fault
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.files import explained
from unisono.embeddings.file import EncoderRecord
from unisono.library import schema
from unisono.library.sources import SourceTrack, TrackFacts

KEPT_DAYS = 30
WAIT_S = 30.0
"""How long another program may hold the file."""
KEYS_A_QUERY = 500

_OF_ENCODER = ("name", "revision", "rate_hz", "window_s", "hop_s", "dim", "layers", "hidden_states")
"""Fields of `EncoderRecord` in which those that make the same segments agree."""
_WAITING = f"""removed IS NULL AND NOT (fault != '' AND (lasting OR fault LIKE '%{NEEDS_FFMPEG}'))
    AND NOT EXISTS (SELECT 1 FROM embeddings WHERE embeddings.content = tracks.content AND encoder = ?)"""
_COLUMNS = "number, source, key, path, size, changed, duration_s, facts, content, added, removed, fault, detail"


class SourceRow(NamedTuple):
    """A folder or server of the library."""

    number: int
    address: str
    added: str
    synced: str
    """When it was last listed; empty if it never was."""


class CatalogueTrack(NamedTuple):
    """A track as the catalogue knows it."""

    number: int
    """Its own, never used for another."""
    source: int
    key: str
    path: str
    size: int
    changed: int
    duration_s: float
    facts: TrackFacts
    content: bytes | None
    """Identity of its audio without tags; None if that is not known yet."""
    added: str
    removed: str | None
    fault: str
    """Why it cannot be embedded; empty if nothing is known against it."""
    detail: str

    @property
    def as_listed(self) -> SourceTrack:
        """The track as its source listed it."""
        return SourceTrack(self.key, self.path, self.size, self.changed, self.duration_s, self.facts)


class Vectors(NamedTuple):
    """What an encoder made of the segments of a track."""

    starts_s: NDArray[np.float32]
    """[W]: where each segment begins."""
    vectors: NDArray[np.float16]
    """[W, D] or [W, L, D]."""


class Catalogue:
    """An open catalogue; a context manager. Used by one thread at a time."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the file, or begin it.

        Raises:
            UsageError: there is no such file.
            DataError: it is no catalogue, of a newer version, or damaged.
            UnisonoError: another program holds it, or it cannot be written.
        """
        self.path = path
        if not create and not path.is_file():
            raise UsageError(f"There is no library {path}.", hint="Begin one with: unisono library add ~/Music")
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._db = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            # If nobody closes it; a forked process leaves it alone.
            weakref.finalize(self, self._db.close).atexit = False
            try:
                schema.prepare(self._db, path)
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of SQLite into one for users."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise UnisonoError(
                    f"{self.path} is held by another program.", hint="Wait until it is done, and run the command again."
                ) from error
            raise UnisonoError(
                f"{self.path} cannot be used: {error}.", hint="Is its disk full or read-only?"
            ) from error
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.path} is damaged: {error}.",
                hint="Bring back a copy of it, or remove it and add your music again: unisono library add ~/Music",
            ) from error

    def _ask(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[int]:
        """Run a block as one transaction, and yield its revision; on an exception nothing of it is kept."""
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                revision = self.revision() + 1
                self._db.execute("INSERT OR REPLACE INTO settings VALUES ('revision', ?)", [str(revision)])
                yield revision
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def revision(self) -> int:
        """Return the number of the last transaction."""
        return int(self.setting("revision") or 0)

    def setting(self, name: str) -> str:
        """Return a setting; empty if it is not set."""
        found = self._ask("SELECT value FROM settings WHERE name = ?", [name])
        return str(found[0][0]) if found else ""

    def put_setting(self, name: str, value: str) -> None:
        """Change a setting."""
        self._ask("INSERT OR REPLACE INTO settings VALUES (?, ?)", [name, value])

    def searches(self) -> dict[str, str]:
        """Return the saved searches by name, in alphabetical order."""
        return dict(self._ask("SELECT name, search FROM searches ORDER BY name"))

    def put_search(self, name: str, search: str) -> None:
        """Save a search, or forget it if it is empty."""
        if search:
            self._ask("INSERT OR REPLACE INTO searches VALUES (?, ?)", [name, search])
        else:
            self._ask("DELETE FROM searches WHERE name = ?", [name])

    # Sources

    def sources(self) -> list[SourceRow]:
        """List the sources in the order in which they were added."""
        rows = self._ask("SELECT number, address, added, synced FROM sources WHERE removed IS NULL ORDER BY number")
        return [SourceRow(number, _text(address), added, synced) for number, address, added, synced in rows]

    def add_source(self, address: str) -> bool:
        """Add a source, or bring back one that was removed, with its tracks; return whether it was not there."""
        with self.writing() as revision:
            rows = self._ask("SELECT number, removed FROM sources WHERE address = ?", [_stored(address)])
            if not rows:
                self._ask("INSERT INTO sources (address, added) VALUES (?, ?)", [_stored(address), now()])
            elif rows[0][1] is not None:
                number, removed = rows[0]
                self._ask("UPDATE sources SET removed = NULL WHERE number = ?", [number])
                self._ask(
                    "UPDATE tracks SET removed = NULL, revision = ? WHERE source = ? AND removed = ?",
                    [revision, number, removed],
                )
            else:
                return False
        return True

    def remove_source(self, number: int) -> int:
        """Remove a source and its tracks, which can be undone; return how many tracks."""
        removed = now()
        with self.writing() as revision:
            self._ask("UPDATE sources SET removed = ? WHERE number = ?", [removed, number])
            self._ask(
                "UPDATE tracks SET removed = ?, revision = ? WHERE source = ? AND removed IS NULL",
                [removed, revision, number],
            )
            return int(self._ask("SELECT changes()")[0][0])

    def set_synced(self, number: int) -> None:
        """Note that a source was listed now."""
        self._ask("UPDATE sources SET synced = ? WHERE number = ?", [now(), number])

    # Tracks

    def states(self, source: int) -> dict[str, tuple[int, int]]:
        """Return key -> (size, time of change) of a source's tracks; a sync of files that have not changed reads no more.

        They are kept packed as long as no track changes, which is read several times as fast as rows are.
        """
        revision = self.revision()
        packed = self._ask("SELECT packed FROM states WHERE source = ? AND revision = ?", [source, revision])
        if packed:
            with suppress(msgspec.MsgspecError):  # altered on the disk: the rows tell
                return _states.decode(packed[0][0])
        query = "SELECT key, size, changed FROM tracks INDEXED BY tracks_as_listed WHERE source = ? AND removed IS NULL"
        found = {_text(key): (size, changed) for key, size, changed in self._ask(query, [source])}
        with suppress(UnicodeEncodeError):  # a name that is not UTF-8
            values = [source, revision, msgspec.msgpack.encode(found)]
            self._ask("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", values)
        return found

    def numbers(self, source: int, keys: Iterable[str]) -> dict[str, int]:
        """Return key -> number of some tracks of a source that are there."""
        query = "SELECT number FROM tracks WHERE source = ? AND key = ? AND removed IS NULL"
        found = ((key, self._ask(query, [source, _stored(key)])) for key in keys)
        return {key: int(rows[0][0]) for key, rows in found if rows}

    def held(self, source: int) -> dict[str, int]:
        """Return key -> number of the tracks that were brought back by hand and have not been seen since."""
        return self._odd(source, "held")

    def wanting_ffmpeg(self, source: int) -> dict[str, int]:
        """Return key -> number of the tracks that could not be decoded without ffmpeg."""
        return self._odd(source, f"fault LIKE '%{NEEDS_FFMPEG}'")

    def _odd(self, source: int, where: str) -> dict[str, int]:
        query = f"source = ? AND (held OR fault != '') AND removed IS NULL AND {where}"
        return {
            _text(key): number for key, number in self._ask(f"SELECT key, number FROM tracks WHERE {query}", [source])
        }

    def tracks(self, where: str = "removed IS NULL", values: Sequence[Any] = ()) -> list[CatalogueTrack]:
        """Return the tracks that fulfil an SQL condition, in the order of their numbers."""
        rows = self._ask(f"SELECT {_COLUMNS} FROM tracks WHERE {where} ORDER BY number", values)
        return [_track(row) for row in rows]

    def numbered(self, numbers: Iterable[int]) -> dict[int, CatalogueTrack]:
        """Return number -> track, of those that are there."""
        found: dict[int, CatalogueTrack] = {}
        wanted = list(numbers)
        for start in range(0, len(wanted), KEYS_A_QUERY):
            part = wanted[start : start + KEYS_A_QUERY]
            for track in self.tracks(f"number IN ({','.join('?' * len(part))})", part):
                found[track.number] = track
        return found

    def insert(self, source: int, track: SourceTrack, content: bytes | None, revision: int) -> int:
        """Add a track; return its number. A transaction must be open."""
        values = [source, *_listed(track), content, now(), revision]
        self._ask(
            "INSERT INTO tracks (source, key, path, size, changed, duration_s, facts, content, added, revision) "
            f"VALUES ({','.join('?' * len(values))})",
            values,
        )
        return int(self._ask("SELECT last_insert_rowid()")[0][0])

    def update(self, number: int, source: int, track: SourceTrack, content: bytes | None, revision: int) -> None:
        """Change where a track is, its facts and its content; forget what was wrong with it, and that it was removed.

        A transaction must be open.
        """
        self._ask(
            "UPDATE tracks SET source = ?, key = ?, path = ?, size = ?, changed = ?, duration_s = ?, facts = ?, "
            "content = ?, fault = '', detail = '', removed = NULL, held = 0, revision = ? WHERE number = ?",
            [source, *_listed(track), content, revision, number],
        )

    def remove(self, numbers: Iterable[int], removed: str, revision: int) -> None:
        """Note that tracks are gone. A transaction must be open."""
        for number in numbers:
            self._ask("UPDATE tracks SET removed = ?, revision = ? WHERE number = ?", [removed, revision, number])

    def set_fault(self, number: int, fault: Fault, revision: int) -> None:
        """Note why a track cannot be embedded; one that may pass is tried again. A transaction must be open."""
        self._ask(
            "UPDATE tracks SET fault = ?, detail = ?, lasting = ?, revision = ? WHERE number = ?",
            [_stored(fault.reason), _stored(fault.detail), fault.lasting, revision, number],
        )

    def undo(self) -> list[CatalogueTrack]:
        """Bring back what the last removal took; it stays until it was seen, and gone, again."""
        last = self._ask("SELECT max(removed) FROM (SELECT removed FROM tracks UNION ALL SELECT removed FROM sources)")
        if last[0][0] is None:
            return []
        with self.writing() as revision:
            tracks = self.tracks("removed = ?", [last[0][0]])
            self._ask("UPDATE sources SET removed = NULL WHERE removed = ?", [last[0][0]])
            for track in tracks:  # unless another has taken its place
                self._ask(
                    "UPDATE OR IGNORE tracks SET removed = NULL, held = 1, revision = ? WHERE number = ?",
                    [revision, track.number],
                )
        return tracks

    def forget_old(self) -> None:
        """Forget what was removed more than `KEPT_DAYS` days ago, and embeddings of music that is nowhere."""
        before = now(timedelta(days=KEPT_DAYS))
        if not self._ask("SELECT 1 FROM tracks WHERE removed < ? LIMIT 1", [before]):
            return
        with self.writing():
            self._ask("DELETE FROM tracks WHERE removed < ?", [before])
            self._ask("DELETE FROM sources WHERE removed < ?", [before])
            self._ask(
                "DELETE FROM embeddings WHERE content NOT IN (SELECT content FROM tracks WHERE content IS NOT NULL)"
            )

    # Embeddings

    def encoder(self, record: EncoderRecord, *, add: bool = False) -> int | None:
        """Return the number of the encoder of a record; None if nothing was embedded by it, unless it is to be added."""
        text = msgspec.json.encode({name: getattr(record, name) for name in _OF_ENCODER}, order="sorted").decode()
        if add:
            self._ask("INSERT OR IGNORE INTO encoders (record) VALUES (?)", [text])
        found = self._ask("SELECT number FROM encoders WHERE record = ?", [text])
        return int(found[0][0]) if found else None

    def waiting(self, encoder: int) -> list[CatalogueTrack]:
        """Return the tracks that an encoder has not embedded, without those whose faults last."""
        return self.tracks(_WAITING, [encoder])

    def count_waiting(self, encoder: int) -> int:
        """Return how many tracks an encoder has not embedded."""
        return self.count(_WAITING, [encoder])

    def counts(self, encoder: int) -> dict[int, dict[str, Any]]:
        """Return source -> how many tracks it has, and how many of them are embedded, waiting, and cannot be embedded."""
        query = (
            "SELECT source, count(*), sum(vectors IS NOT NULL), sum(fault != '' AND vectors IS NULL), sum(duration_s) "
            "FROM tracks LEFT JOIN embeddings ON embeddings.content = tracks.content AND encoder = ? "
            "WHERE tracks.removed IS NULL GROUP BY source"
        )
        return {
            source: {
                "tracks": tracks,
                "embedded": embedded,
                "waiting": tracks - embedded - faults,
                "faults": faults,
                "hours": seconds / 3600,
            }
            for source, tracks, embedded, faults, seconds in self._ask(query, [encoder])
        }

    def count(self, where: str = "removed IS NULL", values: Sequence[Any] = ()) -> int:
        """Return how many tracks fulfil an SQL condition."""
        return int(self._ask(f"SELECT count(*) FROM tracks WHERE {where}", values)[0][0])

    def contents(self, encoder: int) -> set[bytes]:
        """Return all contents that an encoder has embedded."""
        return {row[0] for row in self._ask("SELECT content FROM embeddings WHERE encoder = ?", [encoder])}

    def set_content(self, numbers: Iterable[int], content: bytes) -> None:
        """Note the content of tracks that were fetched. A transaction must be open."""
        for number in numbers:
            self._ask("UPDATE tracks SET content = ? WHERE number = ?", [content, number])

    def put_vectors(self, content: bytes, encoder: int, vectors: Vectors, revision: int) -> None:
        """Store the embedding of a content. A transaction must be open."""
        self._ask(
            "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?)",
            [content, encoder, vectors.starts_s.tobytes(), vectors.vectors.tobytes()],
        )
        self.touch(content, revision)

    def touch(self, content: bytes, revision: int) -> None:
        """Let readers find the tracks of a content, which is embedded now. A transaction must be open."""
        self._ask("UPDATE tracks SET fault = '', detail = '', revision = ? WHERE content = ?", [revision, content])

    def embedded_since(
        self, revision: int, encoder: int, shape: Sequence[int]
    ) -> Iterator[tuple[CatalogueTrack, Vectors | None]]:
        """Yield the tracks changed since a revision with their vectors, or None where one is not searchable now."""
        columns = ", ".join(f"tracks.{name.strip()}" for name in _COLUMNS.split(","))
        query = (
            f"SELECT {columns}, starts_s, vectors FROM tracks LEFT JOIN embeddings "
            "ON embeddings.content = tracks.content AND encoder = ? WHERE tracks.revision > ? ORDER BY tracks.number"
        )
        with self._explained():
            for row in self._db.execute(query, [encoder, revision]):
                track = _track(row[:-2])
                if row[-1] is None or track.removed is not None:
                    yield track, None
                else:
                    starts_s = np.frombuffer(row[-2], np.float32)
                    try:
                        vectors = np.frombuffer(row[-1], np.float16).reshape(len(starts_s), *shape)
                    except ValueError as error:
                        raise DataError(
                            f"{self.path} is damaged: an embedding of {track.path} has a wrong size."
                        ) from error
                    yield track, Vectors(starts_s, vectors)


def now(ago: timedelta = timedelta()) -> str:
    """Return the time as the catalogue writes it, or what it was some time ago."""
    return (datetime.now(UTC) - ago).isoformat(timespec="microseconds")


def _stored(text: str) -> str | bytes:
    """Return a text as SQLite takes it: one that is not UTF-8 as its bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else os.fsdecode(value)


def _listed(track: SourceTrack) -> list[Any]:
    facts = msgspec.json.encode(track.facts or TrackFacts())
    return [_stored(track.key), _stored(track.path), track.size, track.changed, track.duration_s, facts]


_facts = msgspec.json.Decoder(TrackFacts)
_states = msgspec.msgpack.Decoder(dict[str, tuple[int, int]])


def _track(row: Sequence[Any]) -> CatalogueTrack:
    number, source, key, path, size, changed, duration_s, facts, content, added, removed, fault, detail = row
    return CatalogueTrack(
        number, source, _text(key), _text(path), size, changed, duration_s, _facts.decode(facts), content, added, removed,
        _text(fault), _text(detail),
    )  # fmt: skip
