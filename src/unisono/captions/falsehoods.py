"""False captions: a caption of which one thing was changed, so that it is no longer true of its recording.

They are the hard negatives of a training. An edit is left out if anything said of the recording, its captions and its tags,
makes the result true or doubtful. What nobody says of a recording is not known here: an instrument that is neither named nor
implied may still be heard in it.

Sources: Manco et al. 2024 (arXiv 2409.11498), text swap; arXiv 2601.13931, negated captions.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from unisono.captions import wording
from unisono.captions.lint import IMPLIED
from unisono.tracks.vocabulary import terms_in, words_of

Falsehood = Literal["instrument", "mood", "tempo", "key", "voice", "negation"]
FALSEHOODS: tuple[Falsehood, ...] = get_args(Falsehood)

_NO_INSTRUMENT = {
    *("beats", "bells", "celesta", "claps", "computer", "pads", "recorder", "sampler", "triangle", "turntables"),
    *(
        "guitars",
        "background vocals",
        "female vocals",
        "male vocals",
        "soprano voice",
        "whistle",
        "whistling",
        "bass guitar",
    ),
    *("electric bass", "synth bass", "synth lead", "synth pad", *IMPLIED),
} - {"drums"}
"""Words of the vocabulary for groups, for voices, and for what has other meanings: they are not replaced."""
_INSTRUMENTS = tuple(sorted(set(words_of("instrument")) - _NO_INSTRUMENT, key=lambda name: (-len(name), name)))
_OFTEN_UNSAID = ("drums", "drum kit", "drum machine", "synthesizer", "cymbals", "hi-hats", "snare drum", "bass drum")
"""Instruments that are in much music whose captions do not name them: they replace none."""
_OF_AN_ORCHESTRA = {
    *("flute", "piccolo", "oboe", "clarinet", "bassoon", "violin", "viola", "cello", "double bass", "harp", "timpani"),
    *("trumpet", "trombone", "tuba", "horn", "French horn", "string section", "brass section", "tubular bells"),
}
_ORCHESTRAL = {"orchestra", "Orchestral", "Symphony", "Symphonic", "Classical", "Soundtrack"}
_DENIAL = re.compile(
    r"\b(?:no|not|never|neither|nor|lacks?|lacking|absent|absence|devoid|free of|few|little)\b|n['’]t\b", re.I
)
"""What a caption denies is not known to be there: to change it may make another true caption."""
_OPPOSITES: dict[Falsehood, wording.Edit] = {
    "mood": wording.other_mood,
    "tempo": wording.other_tempo_word,
    "key": wording.other_key,
    "voice": wording.other_voice,
}
_CLAUSE = re.compile(r"[.,;!?]")


def instruments_in(texts: Iterable[str]) -> frozenset[str]:
    """Return the instruments that texts name and that may replace others."""
    return frozenset(_INSTRUMENTS) & {term for text in texts for term in terms_in(text)}


@dataclass(frozen=True)
class Said:
    """What is said of a recording, as far as it decides what is false of it."""

    texts: frozenset[str]
    """All captions and tags, in lower case."""
    claimed: frozenset[str]
    """The terms that they name, but for those with `without`."""
    both: frozenset[Falsehood]
    """In what it is said to be one thing and its opposite."""
    keys: frozenset[str]
    barred: frozenset[str]
    """The instruments that may not replace another: those that are named or implied, or are often there unsaid."""


def what_is_said(texts: Collection[str], instruments: Collection[str] = _INSTRUMENTS) -> Said:
    """Find what is said of a recording.

    Args:
        texts: all its captions and tags.
        instruments: those that may replace others: one that no true caption of the data names would be told from the true
            ones without listening.
    """
    everything = "\n".join(texts)
    terms = {text: terms_in(text) for text in texts}
    named = {term for found in terms.values() for term in found}
    barred = (set(_INSTRUMENTS) - set(instruments)).union(_OFTEN_UNSAID, *map(_related, named))
    return Said(
        texts=frozenset(text.strip().lower() for text in texts),
        claimed=frozenset(term for text, found in terms.items() if "without" not in text for term in found),
        both=frozenset(
            kind for kind in FALSEHOODS if kind in wording.OPPOSITIONS and wording.says_both(everything, kind)
        ),
        keys=frozenset(wording.keys_in(everything)),
        barred=frozenset(barred | _OF_AN_ORCHESTRA if named & _ORCHESTRAL else barred),
    )


def false_captions(text: str, said: Said, kinds: Collection[Falsehood], seed: int) -> dict[Falsehood, str]:
    """Return a false caption of each of the kinds that apply to a caption, or a part of one, of a recording."""
    if _DENIAL.search(text):
        return {}
    possible = FALSEHOODS if "without" not in text.lower() else ("negation",)
    made = {kind: _edited(text, kind, said, seed) for kind in possible if kind in kinds and kind not in said.both}
    return {kind: false for kind, false in made.items() if false and false.strip().lower() not in said.texts}


def _edited(text: str, kind: Falsehood, said: Said, seed: int) -> str | None:
    if kind == "instrument":
        return wording.other_instrument(text, names=_INSTRUMENTS, barred=said.barred, seed=seed)
    if kind == "negation":
        return _negation(text, said)
    false = _OPPOSITES[kind](text)
    moved = wording.keys_in(false) - wording.keys_in(text) if false and kind == "key" else set()
    return None if moved & said.keys else false


def _negation(text: str, said: Said) -> str | None:
    """Return the negated caption, unless what it then claims to be there is said elsewhere of the recording."""
    if found := re.search(r"\bwithout\b", text):
        now_claimed = terms_in(_CLAUSE.split(text[found.end() :])[0])
        if any(_is_related(one, other) for one in now_claimed for other in said.claimed):
            return None
    return wording.negated(text)


@lru_cache(maxsize=4096)
def _related(term: str) -> frozenset[str]:
    return frozenset(name for name in _INSTRUMENTS if _is_related(name, term))


def _is_related(one: str, other: str) -> bool:
    """Return whether one of two instruments may be a name of the other, or of a group that it is in."""
    if one in other or other in one:
        return True
    return any(narrower in IMPLIED.get(wider, "").split(", ") for narrower, wider in ((one, other), (other, one)))
