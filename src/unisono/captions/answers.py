"""What a model has answered, kept on disk: a run that is repeated or was interrupted asks nothing twice."""

import hashlib
import json
import threading
from pathlib import Path

import msgspec

from unisono.base.files import explained


class Answers:
    """One line an answer; a line is complete or it does not count. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._file.seek(0)
            last = b"\n"
            for last in self._file:
                try:
                    entry = msgspec.json.decode(last, type=_Entry)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue  # cut off by a kill, or no line of ours
                self._known[entry.key] = entry.answer
            if not last.endswith(b"\n"):
                self._file.write(b"\n")

    def get(self, key: str) -> str | None:
        """Give an answer that was added under this key, in this run or before."""
        return self._known.get(key)

    def add(self, key: str, model: str, answer: str) -> None:
        """Keep an answer; it survives a kill from here on."""
        line = msgspec.json.encode(_Entry(key, model, answer)) + b"\n"
        with self._lock, explained(self.path):
            self._file.write(line)
            self._file.flush()
            self._known[key] = answer

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Entry(msgspec.Struct):
    key: str
    model: str
    answer: str


def question_key(model: str, messages: list[dict[str, str]]) -> str:
    """Name a question: the model, and every word that it is told."""
    return hashlib.blake2b(json.dumps([model, messages]).encode(), digest_size=16).hexdigest()
