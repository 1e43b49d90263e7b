"""Comparing texts by their words: normalised words, captions that were written by somebody."""

import unicodedata
from collections.abc import Iterator

from unisono.tracks.record import Entry

SHORTEST_CAPTION_WORDS = 5


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case, without accents and punctuation."""
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()


def written_captions(track: Entry, *, surely: bool = False) -> Iterator[list[str]]:
    """Yield the words of each caption that was not made from tags and has enough words to identify music.

    With `surely`, only captions of which it is known that a person or a model wrote them.
    """
    for text, origin in zip(track.texts, track.origins, strict=True):
        if origin in ("human", "model") or (origin is None and not surely):
            found = words(text)
            if len(found) >= SHORTEST_CAPTION_WORDS:
                yield found
