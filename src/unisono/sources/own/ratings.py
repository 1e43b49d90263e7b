"""Ratings in the tags of audio files, as stars from 0 to 5: players write them on many scales."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from unisono.sources.own.id3 import frames

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_OF_ONE = re.compile(r"fmps_rating|rating:.+")
"""Of free desktop players (FMPS), and of Quod Libet, which names the user."""
_SCALES = {
    "rate": ((0, 100), (0, 5)),
    "shareduserrating": ((0, 1, 25, 50, 75, 99), (0, 1, 2, 3, 4, 5)),
    "popm": ((0, 13, 32, 54, 64, 118, 128, 186, 196, 242, 255), (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)),
}
"""Field -> numbers and their stars. `popm`, of ID3, is what Windows Media Player, Winamp, MusicBee and others write for
whole stars, and MediaMonkey for halves."""


def rating_of(cells: Mapping[str, Sequence[object]]) -> float | None:
    """Return the rating of a file; None if it has none.

    Args:
        cells: field, in lower case -> values, as they were read; `popm` are the numbers of the ID3 frames of that name.
    """
    for field, values in cells.items():
        is_of_one = bool(_OF_ONE.fullmatch(field))
        for value in values if is_of_one or field == "rating" or field in _SCALES else ():
            found = _NUMBER.search(str(value))
            number = float(found[0].replace(",", ".")) if found else 0.0
            if stars := _stars(field, number, is_of_one=is_of_one):
                return stars
    return None


def _stars(field: str, number: float, *, is_of_one: bool) -> float:
    """Return a number as stars; 0 if it is none. One of no known scale is of 5, 10, 100 or 255, the least that holds it."""
    most = 1.0 if is_of_one else next((each for each in (5.0, 10.0, 100.0) if number <= each), 255.0)
    scale = _SCALES.get(field, ((0, most), (0, 5)))
    if not 0 < number <= scale[0][-1]:
        return 0.0
    stars = round(float(np.interp(number, *scale)), 2)
    return stars if field != "popm" else 1.0 if number == 1 else max(0.5, round(2 * stars) / 2)


def popularimeters(tag: BinaryIO) -> Iterator[int]:
    """Yield the numbers of the frames POPM of an ID3 tag: https://id3.org/id3v2.4.0-frames, section 4.17."""
    for content in frames(tag, (b"POPM", b"POP")):
        _, _, numbers = content.partition(b"\0")
        yield from numbers[:1]
