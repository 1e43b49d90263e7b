"""What texts say, apart from how they are written: words, the captions somebody wrote, and captions that are alike."""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from unisono.tracks.track import Track

SIMILAR_CAPTIONS = 0.9
"""Captions are alike if they share this part of their words (Jaccard index)."""
SHORTEST_CAPTION_WORDS = 5

WordSet = frozenset[str]


def words(text: str) -> list[str]:
    """Give the words of a text without case, accents and punctuation."""
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()


def written_captions(track: Track) -> Iterator[list[str]]:
    """Give the words of each caption that was not made of tags, if there are enough of them to tell captions apart."""
    for caption in track.captions:
        if caption.origin != "tags":
            found = words(caption.text)
            if len(found) >= SHORTEST_CAPTION_WORDS:
                yield found


def alike(first: Sequence[WordSet], second: Sequence[WordSet]) -> Iterator[tuple[int, int]]:
    """Yield the places (in first, in second) of captions that are alike, in order.

    Two sets of words that share nine in ten have one of their few rarest words in common (prefix filter: Chaudhuri, Ganti
    and Kaushik, A Primitive Operator for Similarity Joins in Data Cleaning, ICDE 2006), so only such pairs are compared.
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
            if shared >= SIMILAR_CAPTIONS * (len(caption) + len(second[place]) - shared):
                yield at, place
