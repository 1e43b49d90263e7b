"""Tags as records hold them: naturally spelled, without repetitions, and never the artist's own name."""

import re
from collections.abc import Iterable
from functools import lru_cache

from unisono.tracks.vocabulary import key, spell

_WORD = re.compile(r"[^\W_]+")
_SMALL_WORDS = frozenset({"and", "the"})
_MOST_SPELLINGS = 1 << 17


class _Spellings(dict[str, tuple[str, str]]):
    """Tag as upstream spells it -> (what its spellings have in common, the natural one); filled as tags come.

    Asking a dictionary is several times faster than a call with a cache, and there are millions of tags.
    """

    def __missing__(self, tag: str) -> tuple[str, str]:
        if len(self) >= _MOST_SPELLINGS:
            self.clear()
        text = spell(tag)
        self[tag] = spelled = key(text), text
        return spelled


_spelled = _Spellings().__getitem__


def tidy_tags(tags: Iterable[str], *, genre: str = "", artist: str = "") -> list[str]:
    """Spell tags naturally and leave out repetitions, the main genre, and names of the artist.

    A tag names the artist if all its words are of the artist's name, or the other way round.
    """
    text_of: dict[str, str] = {}
    for its_key, text in map(_spelled, _without_names(tags, artist) if artist else tags):
        if its_key not in text_of:  # of several spellings the first one counts
            text_of[its_key] = text
    text_of.pop("", None)
    if genre:
        text_of.pop(_spelled(genre)[0], None)
    return list(text_of.values())


def one_genre(genres: Iterable[str]) -> str:
    """Give the main genre of a track whose genres upstream lists in no order of weight: the only one, or none."""
    distinct = dict(map(_spelled, genres))
    distinct.pop("", None)
    return next(iter(distinct.values())) if len(distinct) == 1 else ""


def _without_names(tags: Iterable[str], artist: str) -> Iterable[str]:
    artist_words, artist_key = _words_and_key(artist)
    if not artist_words:
        return tags
    others = []
    for tag in tags:
        words, its_key = _words_and_key(tag)
        if not (words <= artist_words or artist_words <= words or its_key == artist_key):
            others.append(tag)
    return others


@lru_cache(maxsize=1 << 16)
def _words_and_key(text: str) -> tuple[frozenset[str], str]:
    return frozenset(_WORD.findall(text.casefold())) - _SMALL_WORDS, key(text)
