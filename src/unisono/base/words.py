"""Texts for people."""

import os


def counted(count: int, thing: str, plural: str = "") -> str:
    """Write a count with what is counted: "1 track", "3,000 tracks"."""
    return f"{count:,} {thing if count == 1 else plural or f'{thing}s'}"


def rate_in_words(per_second: float, unit: str) -> str:
    """Write a rate with a number from 1 on: "23 tracks/s", "7 tracks/min", "2 tracks/h"."""
    for seconds, name in ((1, "s"), (60, "min"), (3600, "h")):
        if (rate := per_second * seconds) >= 1:
            return f"{_short(rate)} {unit}/{name}"
    return ""


def speed_in_words(factor: float) -> str:
    """Write how much faster than it sounds audio is worked on: "23x real time"."""
    return f"{_short(factor)}x real time"


def _short(number: float) -> str:
    return f"{number:,.1f}" if number < 9.95 else f"{number:,.0f}"


def plain_markdown(text: str) -> str:
    """Return a text that stays as it is in Markdown, on one line: special characters are escaped."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in " ".join(text.split()))


def is_text(text: str) -> bool:
    """Return whether a text can be written as UTF-8: bytes that are not become lone surrogates when they are read."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_typed(text: str) -> str:
    """Return a text of the command line; one in UTF-8 is read as such where the locale is not."""
    try:
        return text if is_text(text) else os.fsencode(text).decode()
    except UnicodeError:
        return text
