"""From a description to weights over the axes of the tags: phrases, negations, known words, and MiniLM for the rest.

    "a slow choir without drums" -> choir +, slow +, drums -

A phrase that names an axis asks for it outright. What is left is compared with the names of the axes by MiniLM: a softmax
of the similarities, less its mean over all names, so that an axis that resembles everything is not preferred.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings.encoders.text import TextEncoder
from unisono.retrieval.models._tag_table import axes, related, words
from unisono.tracks.vocabulary import key, look_up, spell

Floats = NDArray[np.float32]
TEMPERATURE = 0.05
"""Of the softmax over the similarities."""
RESEMBLANCE = 0.5
"""Weight of what MiniLM says of a phrase, where a word that names an axis has the weight 1."""
NEAREST = 0.5
"""Weight of each axis that is near an instrument or a genre."""
LONGEST = 4
"""Words in a name."""

_WORD = re.compile(r"[^\W_]+(?:['’&-][^\W_]+)*")
_BREAKS = re.compile(
    r"[,;:.!?()\n]+|\b(?:but|with|while|over|backed by|played by|performed by|sung by)\b", re.IGNORECASE
)
_NEGATIONS = frozenset(
    [
        "no",
        "not",
        "without",
        "never",
        "neither",
        "nor",
        "lacking",
        "lacks",
        "excluding",
        "except",
        "minus",
        "free-of",
        "non",
        "isn't",
        "aren't",
        "doesn't",
        "don't",
    ]
)
_EMPTY = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "and",
        "or",
        "in",
        "on",
        "at",
        "by",
        "for",
        "to",
        "is",
        "are",
        "was",
        "it",
        "its",
        "this",
        "that",
        "these",
        "there",
        "some",
        "any",
        "very",
        "rather",
        "quite",
        "more",
        "most",
        "much",
        "music",
        "track",
        "piece",
        "recording",
        "sound",
        "sounds",
        "like",
        "playing",
        "plays",
        "played",
        "performed",
        "featuring",
        "features",
        "style",
        "kind",
        "type",
    ]
)
"""Words that say nothing about the music."""

_SAID = {
    "rock": "music of a rock band",
    "metal": "distorted heavy metal band",
    "house": "house club music",
    "country": "American country music",
    "soul": "soul singer",
    "solo": "one player alone",
    "beat": "a strong beat",
    "Indian": "classical music of India",
    "60s": "music of the 1960s",
    "70s": "music of the 1970s",
    "80s": "music of the 1980s",
    "90s": "music of the 1990s",
    "00s": "music of the 2000s",
}
"""Axes whose names mean something else as well -> the text that stands for them."""


@dataclass(frozen=True)
class Phrase:
    """A part of a description."""

    text: str
    sign: int
    """-1 if it is denied."""
    named: tuple[tuple[int, int], ...]
    """(axis, sign) of the axes that it names."""
    nearest: tuple[tuple[int, int], ...]
    """(axis, sign) of the axes that are near the instruments and genres that it names."""
    rest: tuple[str, ...]
    """What it says besides: known terms, and the other words together."""


def phrases(description: str) -> list[Phrase]:
    """Take a description apart.

    A negation holds until the next comma, full stop, `but` or `with`: `no drums or bass, but a flute`.
    """
    found = []
    text = re.sub(r"\b(?:free of|absence of|devoid of)\b", "without", description.lower().replace("’", "'"))
    for part in _BREAKS.split(text):
        sign = 1
        run: list[str] = []
        for word in _WORD.findall(part):
            if word in _NEGATIONS:
                if run:
                    found.append(_phrase(run, sign))
                sign, run = -1, []
            else:
                run.append(word)
        if run:
            found.append(_phrase(run, sign))
    return [phrase for phrase in found if phrase.named or phrase.nearest or phrase.rest]


def _phrase(run: list[str], sign: int) -> Phrase:
    named: dict[tuple[int, int], None] = {}
    nearest: list[tuple[int, int]] = []
    terms, others = [], []
    start = 0
    while start < len(run):
        for length in range(min(LONGEST, len(run) - start), 0, -1):
            name = " ".join(run[start : start + length])
            spelt = spell(name)
            asked = words().get(key(name)) or words().get(key(spelt))
            near = related().get(key(name)) or related().get(key(spelt))
            if not (asked or near or look_up(name)):
                continue
            named.update(dict.fromkeys(asked or ()))
            nearest += near or ()
            if not (asked or near):
                terms.append(spelt)
            break
        else:
            length = 1
            if run[start] not in _EMPTY:
                others.append(run[start])
        start += length
    rest = (*terms, " ".join(others)) if others else tuple(terms)
    return Phrase(" ".join(run), sign, tuple(named), tuple(nearest), rest)


class TagReader:
    """Turns descriptions into weights over the axes."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder

    @cached_property
    def _names(self) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
        """Return the embeddings [K, D] of the names of axes and opposites, the axis [K] and sign [K] of each, and the mean
        softmax [K] over all names."""
        listed = [(place, sign, axis.called(sign)) for place, axis in enumerate(axes()) for sign in (1, -1)]
        listed = [(place, sign, name) for place, sign, name in listed if sign > 0 or axes()[place].opposite]
        embedded = self.encoder.embed([_SAID.get(name, f"{name} music") for _, _, name in listed])
        place = np.array([each[0] for each in listed])
        signs = np.array([each[1] for each in listed], dtype=np.float32)
        return embedded, place, signs, _softmax(embedded @ embedded.T / TEMPERATURE).mean(axis=0)

    def weights(self, descriptions: list[str]) -> Floats:
        """Return the weights [n, A] over the axes; each row depends on its description alone."""
        taken_apart = [phrases(text) for text in descriptions]
        asked = dict.fromkeys(text for found in taken_apart for phrase in found for text in phrase.rest)
        resembling = dict(zip(asked, self._resembling([f"{text} music" for text in asked]), strict=True))
        weights = np.zeros((len(descriptions), len(axes())), dtype=np.float32)
        for row, found in zip(weights, taken_apart, strict=True):
            for phrase in found:
                for place, sign in phrase.named:
                    row[place] += phrase.sign * sign
                for place, sign in phrase.nearest if phrase.sign > 0 or not phrase.named else ():
                    row[place] += phrase.sign * sign * NEAREST
                for text in phrase.rest:
                    row += RESEMBLANCE * phrase.sign * resembling[text]
        return weights

    def bridge(self, known: NDArray[np.bool_]) -> Floats:
        """Return how axes [A] that are not known follow from those that are, by the resemblance of their names: [A, A].

        Column a is what axis a is made of; an axis that is known is itself.
        """
        embedded, place, signs, _ = self._names
        plus = (signs > 0) & known[place]
        shares = _softmax(embedded @ embedded[plus].T / TEMPERATURE)
        shares -= shares.mean(axis=0)
        made_of = np.diag(known.astype(np.float32))
        for name in np.flatnonzero(~known[place]):
            made_of[place[plus], place[name]] += signs[name] * shares[name]
        return made_of

    def _resembling(self, texts: list[str]) -> Floats:
        """Compare texts with the names of the axes: [n, A]."""
        found = np.zeros((len(texts), len(axes())), dtype=np.float32)
        if texts:
            embedded, place, signs, usual = self._names
            shares = _softmax(self.encoder.embed(texts) @ embedded.T / TEMPERATURE) - usual
            np.add.at(found.T, place, (shares * signs).T)
        return found


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found
