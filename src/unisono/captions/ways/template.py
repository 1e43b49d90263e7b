"""One plain sentence from genre and tags: `An upbeat Electronic track featuring synthesizer`."""

from collections.abc import Iterable

from unisono.captions.english import capitalise, enumerate_words, with_article
from unisono.captions.ways._way import one_each
from unisono.tracks.track import CaptionOrigin, Track
from unisono.tracks.vocabulary import Facts, sort_tags

ORIGIN: CaptionOrigin = "tags"
# How many words of each kind a sentence names, the first ones: one that named all would be a list.
_MOST_MOODS = 3
_MOST_CHARACTERS = 2
_MOST_GENRES = 3
_MOST_INSTRUMENTS = 5
_MOST_THEMES = 2


def caption(genre: str, tags: Iterable[str]) -> str:
    """Return one sentence about a genre (may be empty) and tags, or "" if they say nothing.

    The same genre and tags, in any spelling, give the same sentence.
    """
    return of_facts(sort_tags(genre, tags))


def sentence(track: Track, facts: Facts, seed: int) -> str:
    """Return one sentence about sorted tags, or "" if there are none; track and seed change nothing."""
    return of_facts(facts)


def of_facts(facts: Facts) -> str:
    """Return one sentence about sorted tags, or "" if there are none."""
    if facts == Facts():
        return ""
    qualities = ", ".join([*facts.moods[:_MOST_MOODS], *facts.characters[:_MOST_CHARACTERS]])
    genre = facts.genre or enumerate_words(facts.genres[:_MOST_GENRES])
    words = with_article(" ".join(filter(None, [qualities, genre, "track"])))
    others = facts.genres[:_MOST_GENRES] if facts.genre else ()
    if others:
        words += f" with {enumerate_words(others)} elements"
    if facts.instruments:
        words += f"{',' if others else ''} featuring {enumerate_words(facts.instruments[:_MOST_INSTRUMENTS])}"
    themes = facts.themes[:_MOST_THEMES]
    if themes:
        theme = enumerate_words(themes)
        comma = "," if others or facts.instruments else ""
        words += f"{comma} with {with_article(theme) + ' theme' if len(themes) == 1 else theme + ' themes'}"
    return capitalise(words)


write = one_each(sentence)
