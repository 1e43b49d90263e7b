"""The columns of a collection as arrays, each made when it is first asked for: what conditions on tracks are tested on."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORDS = (
    "id", "dataset", "split", "artist", "artist_id", "album", "album_artist", "title", "genre", "tags", "license",
    "recording", "library", "path",
)  # fmt: skip
"""Columns of text."""
DATES = ("added",)
"""Columns of ISO dates: text that is ordered."""
NUMBERS = ("year", "duration", "start", "bpm", "rating", "number")
"""Columns of numbers."""
COLUMNS = (*WORDS, *DATES, *NUMBERS)
"""What a condition may name."""
_FIELDS = {"path": "audio_path", "duration": "duration_s", "start": "start_s"}
"""Column -> the field of `IndexedTrack`, where they differ."""


@dataclass(frozen=True)
class Words:
    """A column of text: V distinct values, as `folded` writes them, and where each stands."""

    values: list[str]
    spelt: list[str]
    """The same values as the first track spells them."""
    codes: NDArray[np.int32]
    """[M]: a value for each text of a track."""
    rows: NDArray[np.int64]
    """[M]: the position of its track, ascending; a track without a text has an empty one, unless it is a list."""

    @cached_property
    def known(self) -> frozenset[str]:
        """The values."""
        return frozenset(self.values)

    def counts(self, among: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Count the texts of each value [V], of the tracks of a mask [N]."""
        codes = self.codes if among is None else self.codes[among[self.rows]]
        return np.bincount(codes, minlength=len(self.values)).astype(np.int64)


def folded(text: str) -> str:
    """Return a text as it is compared: without case, and with each letter as one character where that is possible."""
    return text.casefold() if text.isascii() else unicodedata.normalize("NFC", text.casefold())


class Columns:
    """The columns of N tracks."""

    def __init__(self, tracks: Sequence[Any]) -> None:
        self._tracks = tracks
        self._made: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._tracks)

    def words(self, name: str) -> Words:
        """Return a column of text or of dates."""
        if name not in self._made:
            self._made[name] = self._words(name)
        found: Words = self._made[name]
        return found

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers [N]; NaN where a track has none."""
        if name not in self._made:
            field = _FIELDS.get(name, name)
            values = (getattr(track, field) for track in self._tracks)
            self._made[name] = np.fromiter(
                (np.nan if value is None else value for value in values), np.float64, len(self)
            )
        found: NDArray[np.float64] = self._made[name]
        return found

    def _words(self, name: str) -> Words:
        field = _FIELDS.get(name, name)
        texts = [getattr(track, field) for track in self._tracks]
        rows = np.arange(len(texts))
        if texts and isinstance(texts[0], list):
            rows = np.repeat(rows, [len(each) for each in texts])
            texts = [text for each in texts for text in each]
        code_of: dict[str, int] = {}
        first: dict[int, str] = {}
        codes = np.empty(len(texts), dtype=np.int32)
        known: dict[str, int] = {}
        for place, text in enumerate(texts):
            code = known.get(text)
            if code is None:
                code = known[text] = code_of.setdefault(folded(text), len(code_of))
                first.setdefault(code, text)
            codes[place] = code
        return Words(list(code_of), list(first.values()), codes, rows)
