"""English grammar for sentences made from tags."""

import re
from collections.abc import Sequence

_VOWEL_THOUGH_CONSONANT = re.compile(r"(?:hour|honest|honou?r|heir)", re.I)
_CONSONANT_THOUGH_VOWEL = re.compile(
    r"(?:eu|ew|one(?![a-z])|once|u(?:k|n(?:i(?!n|m|d)|anim)|s(?!h|t|u?r)|t[aeio]|tiliz|biq|ku)|ouija)", re.I
)
_SPELLED_OUT = re.compile(r"[A-Z][A-Z0-9&]*(?![a-z])")
_NUMBER = re.compile(r"\d+")


def article(words: str) -> str:
    """Return `a` or `an`, by the sound of the first word: an hour, a ukulele, an R&B song, an 80s song."""
    if number := _NUMBER.match(words):
        digits = number[0]
        return "an" if digits[0] == "8" or (digits in ("11", "18")) else "a"
    if acronym := _SPELLED_OUT.match(words):
        first = acronym[0]
        return "an" if first[0] in "AEFHILMNORSX" else "a"
    if _VOWEL_THOUGH_CONSONANT.match(words):
        return "an"
    if _CONSONANT_THOUGH_VOWEL.match(words):
        return "a"
    return "an" if words[:1].lower() in tuple("aeiou") else "a"


def with_article(words: str) -> str:
    """Return words with `a` or `an` in front: `an upbeat song`."""
    return f"{article(words)} {words}"


def enumerate_words(words: Sequence[str]) -> str:
    """Join words as a sentence does: `guitar`, `guitar and drums`, `guitar, bass and drums`."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def capitalise(sentence: str) -> str:
    """Make the first letter a capital and leave the others as they are."""
    return sentence[:1].upper() + sentence[1:]
