"""False captions: a caption of which one thing was changed, so that it is no longer true of its recording.

They are the hard negatives of a training. An edit is left out if anything said of the recording, its captions and its tags,
makes the result true or doubtful. What nobody says of a recording is not known here: an instrument that is neither named nor
implied may still be heard in it.

Sources: Manco et al. 2024 (arXiv 2409.11498), text swap; arXiv 2601.13931, negated captions.
"""

import re
from collections.abc import Collection, Iterable
from functools import partial
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
_INSTRUMENTS = sorted(set(words_of("instrument")) - _NO_INSTRUMENT, key=lambda name: (-len(name), name))
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
_CLAUSE = re.compile(r"[.,;!?]")


def instruments_in(texts: Iterable[str]) -> frozenset[str]:
    """Return the instruments that texts name and that may replace others."""
    return frozenset(_INSTRUMENTS) & {term for text in texts for term in terms_in(text)}


def false_captions(
    text: str,
    said: Collection[str],
    kinds: Collection[Falsehood],
    seed: int,
    instruments: Collection[str] = _INSTRUMENTS,
) -> dict[Falsehood, str]:
    """Return a false caption of each kind that applies.

    Args:
        text: a caption, or a part of one.
        said: all that is said of its recording: captions and tags.
        kinds: what may be changed.
        seed: of what replaces an instrument.
        instruments: those that may replace others: one that no true caption of the data names would be told from the true
            ones without listening.
    """
    if _DENIAL.search(text):
        return {}
    everything = "\n".join([text, *said])
    known = {each.strip().lower() for each in (text, *said)}
    edits = {
        "instrument": partial(_instrument, everything=everything, instruments=instruments, seed=seed),
        "mood": partial(_opposite, kind="mood", edit=wording.other_mood, everything=everything),
        "tempo": partial(_opposite, kind="tempo", edit=wording.other_tempo_word, everything=everything),
        "key": partial(_key, everything=everything),
        "voice": partial(_opposite, kind="voice", edit=wording.other_voice, everything=everything),
        "negation": partial(_negation, said=said),
    }
    possible = FALSEHOODS if "without" not in text.lower() else ("negation",)
    made = {kind: edits[kind](text) for kind in possible if kind in kinds}
    return {kind: false for kind, false in made.items() if false and false.strip().lower() not in known}


def _opposite(text: str, *, kind: str, edit: wording.Edit, everything: str) -> str | None:
    """Return the opposite, unless the recording is said to be both."""
    return None if wording.says_both(everything, kind) else edit(text)


def _key(text: str, *, everything: str) -> str | None:
    false = _opposite(text, kind="key", edit=wording.other_key, everything=everything)
    return None if false is None or wording.keys_in(false) & wording.keys_in(everything) else false


def _instrument(text: str, *, everything: str, instruments: Collection[str], seed: int) -> str | None:
    named = terms_in(everything)
    barred = {
        name for name in _INSTRUMENTS if name not in instruments or any(_is_related(name, term) for term in named)
    }
    if named & _ORCHESTRAL:
        barred |= _OF_AN_ORCHESTRA
    return wording.other_instrument(text, names=_INSTRUMENTS, barred=barred.union(_OFTEN_UNSAID), seed=seed)


def _is_related(one: str, other: str) -> bool:
    """Return whether one of two instruments may be a name of the other, or of a group that it is in."""
    if one in other or other in one:
        return True
    return any(narrower in IMPLIED.get(wider, "").split(", ") for narrower, wider in ((one, other), (other, one)))


def _negation(text: str, *, said: Collection[str]) -> str | None:
    """Return the negated caption, unless what it then claims to be there is said elsewhere of the recording."""
    if found := re.search(r"\bwithout\b", text):
        claimed = terms_in(_CLAUSE.split(text[found.end() :])[0])
        elsewhere = {term for other in said if "without" not in other for term in terms_in(other)}
        if any(_is_related(one, other) for one in claimed for other in elsewhere):
            return None
    return wording.negated(text)
