"""Tags as records hold them: naturally spelled, without repetitions, and never the artist's own name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from unisono.captions.vocabulary import key, spell

_WORD = re.compile(r"[^\W_]+")
_SMALL_WORDS = frozenset({"and", "the"})


@dataclass(frozen=True)
class _Tag:
    key: str
    """What the spellings of the tag have in common."""
    own_key: str
    """The key of the tag as it stands, by which an artist's name would be spelled."""
    text: str
    """The natural spelling."""
    words: frozenset[str]


def tidy_tags(tags: Iterable[str], *, genre: str = "", artist: str = "") -> list[str]:
    """Spell tags naturally and leave out repetitions, the main genre, and names of the artist.

    A tag names the artist if all its words are of the artist's name, or the other way round.
    """
    name = _read(artist)
    taken = {"", _read(genre).key}
    tidy: list[str] = []
    for tag in map(_read, tags):
        if tag.key not in taken and not (name.words and _is_name(tag, name)):
            taken.add(tag.key)
            tidy.append(tag.text)
    return tidy


def one_genre(genres: Iterable[str]) -> str:
    """Give the main genre of a track whose genres upstream lists in no order of weight: the only one, or none."""
    distinct = {tag.key: tag.text for tag in map(_read, genres) if tag.key}
    return next(iter(distinct.values())) if len(distinct) == 1 else ""


@lru_cache(maxsize=65536)
def _read(tag: str) -> _Tag:
    text = spell(tag)
    return _Tag(key(text), key(tag), text, _words(tag))


def _is_name(tag: _Tag, name: _Tag) -> bool:
    return tag.words <= name.words or name.words <= tag.words or tag.own_key == name.own_key


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold())) - _SMALL_WORDS
