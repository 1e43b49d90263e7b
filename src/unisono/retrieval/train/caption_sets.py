"""What a training makes of the captions of its data: partial views that are as true, and false ones to tell from them.

Both are made before the training, so that each text is embedded once, like any other.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unisono.captions.falsehoods import Falsehood, false_captions, instruments_in, what_is_said
from unisono.captions.views import views
from unisono.embeddings.file import SplitRows

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def with_views(rows: SplitRows, seed: int) -> tuple[SplitRows, Floats]:
    """Replace each caption by its views.

    Args:
        rows: a split, with M captions.
        seed: of the views.

    Returns:
        The split, and of each of its captions its share of the caption that it is a view of [M']. All kinds of views of a
        caption have the same share.
    """
    captions: list[str] = []
    origins: list[str] = []
    of: list[int] = []
    shares: list[float] = []
    for text, row, origin in zip(rows.captions, rows.caption_of.tolist(), rows.caption_origin, strict=True):
        kinds = views(text, seed)
        for texts in kinds.values():
            captions += texts
            shares += [1 / len(kinds) / len(texts)] * len(texts)
        of += [row] * (len(captions) - len(of))
        origins += [origin] * (len(captions) - len(origins))
    found = replace(rows, captions=captions, caption_of=np.array(of, dtype=np.int64), caption_origin=origins)
    return found, np.array(shares)


@dataclass(frozen=True)
class FalseCaptions:
    """False captions of the M captions of a split."""

    texts: list[str]
    """Each distinct one once."""
    places: Ints
    """[F]: places in `texts`, those of each caption after those of the one before."""
    begin: Ints
    """[M + 1]: the false captions of caption m are `places[begin[m] : begin[m + 1]]`."""


def make_false(rows: SplitRows, said: SplitRows, kinds: Collection[Falsehood], seed: int) -> FalseCaptions:
    """Make false captions of all captions of a split.

    Args:
        rows: the captions, possibly views.
        said: the same split with the captions that it came with; what is said of all excerpts of a recording counts.
        kinds: what may be changed.
        seed: of the edits.
    """
    known: dict[str, dict[str, None]] = defaultdict(dict)
    names = [name or f"\0{row}" for row, name in enumerate(rows.texts["recording"])]
    for row, text in zip(said.caption_of.tolist(), said.captions, strict=True):
        known[names[row]].setdefault(text)
    for row, tags in enumerate(said.tags):
        known[names[row]] |= dict.fromkeys(tag for tag in [*tags, said.texts["genre"][row]] if tag)
    instruments = instruments_in(dict.fromkeys(said.captions))
    sayings = {name: what_is_said(texts, instruments) for name, texts in known.items()}
    place: dict[str, int] = {}
    places: list[int] = []
    begin = [0]
    for text, row in zip(rows.captions, rows.caption_of.tolist(), strict=True):
        made = false_captions(text, sayings[names[row]], kinds, seed)
        places += [place.setdefault(false, len(place)) for false in made.values()]
        begin.append(len(places))
    return FalseCaptions(list(place), np.array(places, dtype=np.int64), np.array(begin, dtype=np.int64))


@dataclass(frozen=True)
class FalseDraw:
    """Draws a false caption of each caption of a batch."""

    made: FalseCaptions
    first: int
    """The place of the first of the texts among those of the text source."""

    def __call__(self, rng: np.random.Generator, captions: Ints) -> Ints:
        """Draw false captions [B] of captions [B], all kinds with equal chance; -1 for a caption that has none."""
        low, high = self.made.begin[captions], self.made.begin[captions + 1]
        drawn = np.minimum(low + (rng.random(len(captions)) * (high - low)).astype(np.int64), len(self.made.places) - 1)
        return np.where(high > low, self.first + self.made.places[drawn], -1)
