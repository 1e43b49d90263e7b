"""Title, artist and year before the sentence of `template`: `"Alpha" by Beta, from 1999: an upbeat Electronic track`."""

import re

from unisono.captions.ways import template
from unisono.captions.ways._way import one_each
from unisono.tracks.track import CaptionOrigin, Track
from unisono.tracks.vocabulary import Facts

ORIGIN: CaptionOrigin = "tags"
_MOST_LETTERS = 80
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>")
_BRACKETS = re.compile(r"[\[\](){}<>]")
_COMMAS = re.compile(r"(?: *,)+")
_NO_NAME = re.compile(
    r"\b(nan|unknown|untitled)\b|^(none|null|na|n/a|various|various artists|artist|title|track \d*|\d+)$", re.IGNORECASE
)
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")
_YEAR_FIELDS = ("year", "date", "release_date")


def sentence(track: Track, facts: Facts, seed: int = 0) -> str:
    """Return names, year and sorted tags, or "" if neither title nor artist can be printed; the seed changes nothing."""
    title, artist, year = name(track.title), name(track.artist), _year(track)
    if not title and not artist:
        return ""
    music = template.of_facts(facts)
    made = f" by {artist}" if artist else ""
    from_year = f"from {year}" if year else ""
    if title:
        beginning = ", ".join(filter(None, [f'"{title}"{made}', from_year]))
        return f"{beginning}: {music[0].lower()}{music[1:]}" if music else beginning
    return ", ".join(filter(None, [(music or "Music") + made, from_year]))


def name(text: str) -> str:
    """Return a title or a name fit for a sentence, without what is in brackets, or "" if it names nothing."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    while (shorter := _BRACKETED.sub(" ", printable)) != printable:
        printable = shorter
    words = " ".join(_BRACKETS.sub(" ", printable).replace('"', " ").split())
    words = _COMMAS.sub(",", words).strip(" -–,;:")  # what stood in brackets leaves commas loose
    says_something = any(map(str.isalnum, words)) and not _NO_NAME.search(words)
    return words if says_something and len(words) <= _MOST_LETTERS else ""


def _year(track: Track) -> str:
    for field in _YEAR_FIELDS:
        if found := _YEAR.search(str(track.extra.get(field) or "")):
            return found[0]
    return ""


write = one_each(sentence)
