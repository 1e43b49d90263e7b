"""The verdicts on hits, remembered by question: which were right, and which were wrong."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from unisono.base.store import Store
from unisono.search.service.answers import Judged, Verdict


class Feedback:
    """Verdicts in a file; without a path nothing is remembered."""

    def __init__(self, path: Path | None) -> None:
        self._store = Store(path)

    def of(self, *parts: Sequence[str]) -> dict[str, Verdict]:
        """Return id -> verdict of the question of these texts."""
        key = _key(parts)
        stored = self._store.get([key]).get(key)
        try:
            return msgspec.json.decode(stored, type=dict[str, Verdict]) if stored else {}
        except msgspec.DecodeError:
            return {}

    def judge(self, id: str, verdict: Verdict, *parts: Sequence[str]) -> Judged:
        """Remember a verdict, or forget it if it is empty; return all of the question."""
        verdicts = self.of(*parts) | {id: verdict}
        self._store.put({_key(parts): msgspec.json.encode({each: said for each, said in verdicts.items() if said})})
        self._store.save()
        return Judged(keep=ids(verdicts, "keep"), reject=ids(verdicts, "reject"))


def ids(verdicts: dict[str, Verdict], said: Verdict) -> list[str]:
    """Return the tracks of one verdict."""
    return [id for id, verdict in verdicts.items() if verdict == said]


def _key(parts: Sequence[Sequence[str]]) -> bytes:
    said = [[" ".join(text.casefold().split()) for text in texts] for texts in parts]
    return hashlib.sha256(msgspec.json.encode(said)).digest()
