"""The tables of a catalogue, and the version of their form."""

import sqlite3
from pathlib import Path

from unisono.base.errors import DataError

APPLICATION = 0x756E6973
"""Marks the SQLite file as a catalogue."""
VERSION = 1

_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (
    number INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL, added TEXT NOT NULL, synced TEXT NOT NULL DEFAULT '',
    removed TEXT
);
CREATE TABLE tracks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, source INTEGER NOT NULL REFERENCES sources, key NOT NULL, path NOT NULL,
    size INTEGER NOT NULL, changed INTEGER NOT NULL, duration_s REAL NOT NULL, facts BLOB NOT NULL, content BLOB,
    added TEXT NOT NULL, removed TEXT, held INTEGER NOT NULL DEFAULT 0,
    fault TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '', lasting INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX tracks_by_key ON tracks (source, key) WHERE removed IS NULL;
CREATE INDEX tracks_as_listed ON tracks (source, key, size, changed) WHERE removed IS NULL;
CREATE INDEX tracks_odd ON tracks (source) WHERE held OR fault != '';
CREATE INDEX tracks_removed ON tracks (removed) WHERE removed IS NOT NULL;
CREATE INDEX tracks_by_content ON tracks (content);
CREATE INDEX tracks_by_revision ON tracks (revision);
CREATE TABLE states (source INTEGER PRIMARY KEY, revision INTEGER NOT NULL, packed BLOB NOT NULL);
CREATE TABLE encoders (number INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE);
CREATE TABLE embeddings (
    content BLOB NOT NULL, encoder INTEGER NOT NULL REFERENCES encoders, starts_s BLOB NOT NULL, vectors BLOB NOT NULL,
    PRIMARY KEY (content, encoder)
);
CREATE TABLE searches (name TEXT PRIMARY KEY, search TEXT NOT NULL) WITHOUT ROWID;
"""


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Check that a file is a catalogue of this version; make the tables of a new file.

    Raises:
        DataError: it is no catalogue, or of a newer version.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if version > VERSION and application == APPLICATION:
        raise DataError(
            f"{path} was written by a newer version of unisono (format {version}, this one knows {VERSION}).",
            hint="Update unisono.",
        )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    if version == 0:
        db.execute("BEGIN IMMEDIATE")  # two programs may begin it at once
        try:
            if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        application = db.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION:
        raise DataError(f"{path} is no catalogue of unisono.", hint="Choose another library, or move it away.")
