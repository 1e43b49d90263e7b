"""What language models have answered, kept on disk: a run that is repeated or was interrupted asks nothing twice."""

import hashlib
import json
from pathlib import Path

import msgspec

from unisono.base.arguments import AnyPath, as_path
from unisono.base.store import Store

_IMPORTED = b"imported"


class Answers:
    """Answers by question, in a SQLite file. Safe to use from several threads; an answer survives a kill once added.

    Versions before this one kept JSON lines in `<name>.jsonl`. Such a file is read once, and left as it is.
    """

    def __init__(self, path: AnyPath | None) -> None:
        """Open or create `path` with the ending .sqlite; without a path, nothing is kept.

        Raises:
            UnisonoError: the file cannot be written.
        """
        given = None if path is None else as_path(path)
        self._store = Store(given and given.with_suffix(".sqlite"), required=True)
        if given:
            self._import(given if given.suffix != ".sqlite" else given.with_suffix(".jsonl"))

    def get(self, key: str) -> str | None:
        """Return the answer that was added under this key, in this run or before."""
        found = self._store.get([key.encode()])
        return msgspec.json.decode(found[key.encode()], type=_Entry).answer if found else None

    def add(self, key: str, model: str, answer: str) -> None:
        """Keep an answer.

        Raises:
            UnisonoError: the file cannot be written.
        """
        self._store.put({key.encode(): msgspec.json.encode(_Entry(key, model, answer))})
        self._store.save()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _import(self, old: Path) -> None:
        """Take over the answers of a file of JSON lines, unless that was done since it last changed."""
        try:
            status = old.stat()
            identity = f"{status.st_size} {status.st_mtime_ns}".encode()
            if self._store.get([_IMPORTED]).get(_IMPORTED) == identity:
                return
            lines = old.read_bytes().splitlines()
        except OSError:
            return
        entries: dict[bytes, bytes] = {}
        for line in lines:
            try:
                entry = msgspec.json.decode(line, type=_Entry)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # cut off by a kill, or not a line of such a file
            entries[entry.key.encode()] = msgspec.json.encode(entry)
        known = self._store.get(entries)
        self._store.put({key: value for key, value in entries.items() if key not in known} | {_IMPORTED: identity})
        self._store.save()


class _Entry(msgspec.Struct):
    key: str
    model: str
    answer: str


def question_key(model: str, messages: list[dict[str, str]]) -> str:
    """Return the key of a question: a hash of the model's name and of every word that it is told."""
    return hashlib.blake2b(json.dumps([model, messages]).encode(), digest_size=16).hexdigest()
