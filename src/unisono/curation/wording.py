"""Comparing texts by their words: normalised words, captions that were written by somebody, similar captions."""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from unisono.tracks.record import Entry

SIMILAR_CAPTIONS = 0.9
"""Captions are similar from this Jaccard index of their words on."""
SHORTEST_CAPTION_WORDS = 5

WordSet = frozenset[str]


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


def alike(first: Iterable[WordSet], second: Sequence[WordSet]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (place in first, place in second, words that both have, words that one has) of similar captions, in order.

    `first` is iterated twice.

    Two sets that share nine words in ten have at least one of their few rarest words in common, so only such pairs are
    compared (prefix filter: Chaudhuri, Ganti and Kaushik, A Primitive Operator for Similarity Joins in Data Cleaning, ICDE
    2006).
    """
    frequency = Counter(word for side in (first, second) for caption in side for word in caption)

    def rarest(caption: WordSet) -> list[str]:
        count = len(caption) - math.ceil(SIMILAR_CAPTIONS * len(caption) - 1e-9) + 1
        return sorted(caption, key=lambda word: (frequency[word], word))[:count]

    by_word: dict[str, list[int]] = defaultdict(list)
    for place, caption in enumerate(second):
        for word in rarest(caption):
            by_word[word].append(place)
    for at, caption in enumerate(first):
        for place in sorted({place for word in rarest(caption) for place in by_word.get(word, ())}):
            shared = len(caption & second[place])
            altogether = len(caption) + len(second[place]) - shared
            if shared >= SIMILAR_CAPTIONS * altogether:
                yield at, place, shared, altogether
