"""One plain sentence from genre and tags: `An upbeat Electronic track featuring synthesizer`."""

from collections.abc import Iterable

from unisono.captions.language import capitalise, enumerate_words, with_article
from unisono.tracks.vocabulary import Facts, sort_tags

# A sentence that named everything would be a list: these many of each kind stand in it, the first ones.
_MOST_MOODS = 3
_MOST_CHARACTERS = 2
_MOST_GENRES = 3
_MOST_INSTRUMENTS = 5
_MOST_THEMES = 2


def caption(genre: str, tags: Iterable[str]) -> str:
    """Describe a track in one sentence; empty where its genre (may be empty) and tags say nothing.

    The same genre and tags, in whatever spelling, give the same sentence.
    """
    return sentence(sort_tags(genre, tags))


def sentence(facts: Facts) -> str:
    """Word sorted facts; empty where there are none."""
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
