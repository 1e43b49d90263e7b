"""Edits of captions by rule: those that turn what a caption says into its opposite, and those that keep it.

Each edit maps a caption to another one, or to None if it has nothing that the rule applies to. The same caption always has
the same edit.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache

from unisono.base.seeded import rank_key
from unisono.captions.english import article, capitalise
from unisono.tracks.vocabulary import terms_in

Edit = Callable[[str], str | None]

INSTRUMENTS = (
    "acoustic guitar", "electric guitar", "guitar", "piano", "flute", "violin", "trumpet", "saxophone", "cello", "drums",
    "synthesizer", "harp", "organ", "banjo", "clarinet", "accordion", "harmonica", "ukulele", "trombone", "sitar",
)  # fmt: skip
_TEMPO = {
    "slow": "fast", "slowly": "quickly", "slow-paced": "fast-paced", "slow-tempo": "fast-tempo", "laid-back": "driving",
    "downtempo": "uptempo", "sluggish": "rapid",
}  # fmt: skip
_MODE = {"major": "minor"}
_MOODS: tuple[dict[str, str], ...] = (
    {
        "happy": "sad", "cheerful": "gloomy", "joyful": "sorrowful", "bright": "dark", "uplifting": "depressing",
        "jolly": "melancholic", "upbeat": "mournful",
    },
    {
        "calm": "aggressive", "relaxing": "tense", "relaxed": "agitated", "peaceful": "violent", "lethargic": "energetic",
        "soft": "harsh", "gentle": "brutal",
    },
    {"romantic": "hateful"},
    {"dreamy": "sober"},
)  # fmt: skip
_VOICE = {"male": "female", "man": "woman", "men": "women", "boy": "girl", "boys": "girls", "baritone": "soprano"}
_TRITONE = {"C": "F#", "C#": "G", "D": "G#", "D#": "A", "E": "A#", "F": "B", "F#": "C", "G": "C#", "G#": "D", "A": "D#",
            "A#": "E", "B": "F", "Db": "G", "Eb": "A", "Gb": "C", "Ab": "D", "Bb": "E"}  # fmt: skip
_KEY = re.compile(
    r"(?<=\bkey of )([A-G][#b]?)(?![\w#])|(?<=\bkey is )([A-G][#b]?)(?![\w#])|(?<=\bin )([A-G][#b]?)(?= (?:major|minor)\b)"
)
_BPM = re.compile(r"\b(\d{2,3})(?:\.\d+)?(?= ?bpm\b)|(?<=\bbpm is )(\d{2,3})(?:\.\d+)?", re.I)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
SHORT_WORDS = 8

LANGUAGES: dict[str, dict[str, str]] = {
    "German": {
        "flute": "Flöte", "violin": "Geige", "piano": "Klavier", "trumpet": "Trompete", "guitar": "Gitarre",
        "acoustic guitar": "akustische Gitarre", "electric guitar": "E-Gitarre", "drums": "Schlagzeug",
        "strings": "Streicher", "choir": "Chor",
        "happy": "fröhlich", "sad": "traurig", "calm": "ruhig", "energetic": "energisch", "slow": "langsam",
        "fast": "schnell", "dark": "düster", "relaxing": "entspannend", "romantic": "romantisch",
    },
    "French": {
        "flute": "flûte", "violin": "violon", "piano": "piano", "trumpet": "trompette", "guitar": "guitare",
        "acoustic guitar": "guitare acoustique", "electric guitar": "guitare électrique", "drums": "batterie",
        "strings": "cordes", "choir": "chœur", "happy": "joyeux", "sad": "triste", "calm": "calme", "energetic": "énergique",
        "slow": "lent", "fast": "rapide", "dark": "sombre", "relaxing": "relaxant", "romantic": "romantique",
    },
    "Spanish": {
        "flute": "flauta", "violin": "violín", "piano": "piano", "trumpet": "trompeta", "guitar": "guitarra",
        "acoustic guitar": "guitarra acústica", "electric guitar": "guitarra eléctrica", "drums": "batería",
        "strings": "cuerdas", "choir": "coro", "happy": "alegre", "sad": "triste", "calm": "tranquilo",
        "energetic": "enérgico", "slow": "lento", "fast": "rápido", "dark": "oscuro", "relaxing": "relajante",
        "romantic": "romántico",
    },
}  # fmt: skip
"""Language -> English term -> the same in that language. Terms without a translation stay as they are: jazz, rock."""


def negated(text: str) -> str | None:
    """Turn "with" into "without" and back; or deny the first instrument."""
    for before, after in (("without", "with"), ("with", "without")):
        if re.search(rf"\b{before}\b", text):
            return re.sub(rf"\b{before}\b", after, text, count=1)
    if found := _instrument(text):
        return re.sub(rf"(?:\b(?i:an?|the)\s+)?\b{re.escape(found.group())}\b", f"no {found.group()}", text, count=1)
    return None


def other_instrument(
    text: str, *, names: Sequence[str] = INSTRUMENTS, barred: Collection[str] = (), seed: int = 0
) -> str | None:
    """Replace the first instrument by one that the caption does not name.

    Args:
        text: the caption.
        names: the instruments that are replaced, and by which they are.
        barred: those by which none is replaced.
        seed: of the choice.
    """
    if not (found := _instrument(text, names)):
        return None
    others = [name for name in names if name.lower() not in text.lower() and name not in barred]
    if not others:
        return None
    chosen = others[rank_key(seed, found.group().lower()) % len(others)]
    before = re.sub(r"\b([Aa])n? $", rf"\1{article(chosen)[1:]} ", text[: found.start()])
    return before + (capitalise(chosen) if found.group()[0].isupper() else chosen) + text[found.end() :]


def other_tempo(text: str) -> str | None:
    """Swap slow and fast, and halve or double beats per minute."""

    def other(match: re.Match[str]) -> str:
        beats = int(match.group(1) or match.group(2))
        return str(beats // 2 if beats > 110 else beats * 2)

    return _changed(text, _BPM.sub(other, _swapped(text, _TEMPO)))


def other_tempo_word(text: str) -> str | None:
    """Swap slow and fast; beats per minute stay, as half of them or twice as many are often as true."""
    return _changed(text, _swapped(text, _TEMPO))


def other_key(text: str) -> str | None:
    """Swap major and minor, and move a named key by a tritone."""
    moved = _KEY.sub(lambda match: _TRITONE.get(match.group(), match.group()), text)
    return _changed(text, _swapped(moved, _MODE))


def other_mood(text: str) -> str | None:
    """Replace moods by their opposites."""
    return _changed(text, _swapped(text, *_MOODS))


def other_voice(text: str) -> str | None:
    """Swap male and female."""
    return _changed(text, _swapped(text, _VOICE))


def shuffled(text: str) -> str | None:
    """Put the words in another order."""
    words = text.split()
    import numpy as np  # `train --help`, which lists the edits, stays without it

    order = np.random.default_rng(rank_key(0, text)).permutation(len(words))
    return _changed(text, " ".join(words[place] for place in order)) if len(words) > 2 else None


def first_half(text: str) -> str | None:
    """Keep the first half of the words."""
    words = text.split()
    return " ".join(words[: len(words) // 2]) if len(words) >= 4 else None


def as_tags(text: str) -> str | None:
    """Keep only the tags that the caption names."""
    return ", ".join(sorted(terms_in(text))) or None


def sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [part for part in _SENTENCE.split(text.strip()) if part]


def short(text: str) -> str | None:
    """Keep the beginning of the first sentence."""
    words = _SENTENCE.split(text)[0].split()[:SHORT_WORDS]
    return _changed(text, " ".join(words))


def in_language(text: str, words: Mapping[str, str]) -> str | None:
    """Translate the tags that the caption names; None if fewer than two have a translation."""
    named = sorted(terms_in(text))
    if sum(name in words for name in named) < 2:
        return None
    return ", ".join(words.get(name, name) for name in named)


OPPOSITES: dict[str, Edit] = {
    "negation": negated,
    "instrument": other_instrument,
    "tempo": other_tempo,
    "key and mode": other_key,
    "mood": other_mood,
    "voice": other_voice,
}
"""Edits after which a caption is false."""
OPPOSITIONS: dict[str, tuple[Mapping[str, str], ...]] = {
    "tempo": (_TEMPO,),
    "key": (_MODE,),
    "mood": _MOODS,
    "voice": (_VOICE,),
}
"""What is opposed to what, by kind: all words on the left of a table to all on its right."""
REWORDINGS: dict[str, Edit] = {
    "words shuffled": shuffled,
    "first half of the words": first_half,
    "tags only": as_tags,
    f"short: {SHORT_WORDS} words at most": short,
}
"""Edits after which a caption is as true as before."""


def keys_in(text: str) -> set[str]:
    """Return the keys that a text names, such as F#."""
    return {match.group() for match in _KEY.finditer(text)}


def says_both(text: str, kind: str) -> bool:
    """Return whether a text says a thing and its opposite, of a kind of `OPPOSITIONS`: slow and fast."""
    return any(
        _any_of(tuple(pairs)).search(text) and _any_of(tuple(pairs.values())).search(text)
        for pairs in OPPOSITIONS[kind]
    )


def _instrument(text: str, names: Sequence[str] = INSTRUMENTS) -> re.Match[str] | None:
    return _first_of(tuple(names)).search(text)


@lru_cache(maxsize=8)
def _first_of(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b", re.I)


def _swapped(text: str, *pairs: Mapping[str, str]) -> str:
    """Replace each word by its opposite, in both directions, all at once; a capital stays one."""
    opposite = {one: other for each in pairs for pair in each.items() for one, other in (pair, pair[::-1])}

    def other(match: re.Match[str]) -> str:
        found = opposite[match.group().lower()]
        return found.capitalize() if match.group()[0].isupper() else found

    return _any_of(tuple(opposite)).sub(other, text)


@lru_cache(maxsize=64)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of any of these words, the longest first."""
    names = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{names})(?![\w-])", re.I)


def _changed(before: str, after: str) -> str | None:
    return after if after and after != before else None
