"""Whether what was found fits the query at all. Every query has a best hit; that alone says nothing.

How this was decided: 111 short descriptions of music and 59 texts that are none ("xyzzy qwerty", "car insurance") were
searched for in three collections with two models (`tags`, and a trained one). The scores of their best hits, as cosines
or as standard deviations above the mean, hardly differ: those of nonsense are as high as those of good descriptions.
What tells them apart is the text itself, as the text encoder of the model sees it. So:

1. A text that has a word for music (`tracks.vocabulary`, `TERMS`, or a tag of this collection) is a description. Any
   other must be near `USUAL` and `SCENES`, descriptions of music, and not much nearer to `OTHER`, texts about anything
   else. Its cosine with the nearest phrase of the former, and the difference from that with the nearest of the latter,
   must be above the medians that the phrases of `OTHER` have, each compared with all but itself. So 110 of the 111 pass (106
   without `TERMS`), and 12 of the 59 ("parking ticket"). A ridge classifier of the same phrases was no better: 101 and 7.
2. The best hit of a description must reach half of the lowest best score of the `USUAL` descriptions in this
   collection. That finds what the model hears nothing in ("the"), and music that is far from all that is here. None of
   the 111 fails; with nine tenths in place of half, 3 do.
3. With conditions, the best hit must fit better than half of the whole collection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np

from unisono.base.words import counted
from unisono.retrieval.collection import Collection, Hit
from unisono.retrieval.columns import folded
from unisono.retrieval.indexes import Floats
from unisono.retrieval.models import JointModel
from unisono.tracks.vocabulary import look_up

USUAL = (
    "calm acoustic guitar", "fast loud metal", "solo piano", "female vocals", "male vocals", "strings", "hip-hop beat",
    "ambient synthesizer", "happy pop", "sad violin", "choir", "dance", "techno", "jazz", "country", "flute", "rock guitar",
    "loud drums", "slow harp", "harpsichord", "blues", "folk", "opera", "Indian sitar", "electronic", "punk", "soul", "funk",
    "classical", "mellow", "experimental", "party", "new age", "house", "cello",
)  # fmt: skip
"""Descriptions in plain words, with which every model can do something."""
SCENES = (
    "a lullaby for a baby", "music for a rainy evening", "music to concentrate and work to", "energetic music for running",
    "a party on the beach in summer", "spooky music for a haunted house", "battle music of a fantasy game",
    "a Christmas carol", "melancholic and lonely mood", "the sound of rain and birds", "music for driving at night",
    "medieval tavern music with a lute", "the theme of a hero in a film", "the title screen of a video game",
    "singing children", "a waltz in a ballroom", "a song about lost love", "an angry and scary mood",
    "hands clapping a rhythm", "a song of sailors", "the wedding dance", "the sunrise over the sea", "a march of soldiers",
    "a song by a famous band",
)  # fmt: skip
TERMS = frozenset((
    "arpeggio", "call and response", "chord", "chords", "concerto", "counterpoint", "crescendo", "fugue", "glissando",
    "harmonies", "harmony", "hymn", "legato", "major key", "melodies", "melody", "minor key", "music", "musical",
    "musician", "musicians", "octave", "ostinato", "overture", "pentatonic", "pizzicato", "polyrhythm", "refrain",
    "remix", "reverb", "rhythm", "rhythms", "riff", "riffs", "sonata", "song", "songs", "staccato", "sung",
    "syncopation", "tempo", "time signature", "tremolo", "tune", "vibrato", "wah",
))  # fmt: skip
"""Words of musicians that are no tags, and mean little else."""
OTHER = (
    "asdf jkl qwer", "qwertz uiop", "xyz abc", "foo bar", "lorem ipsum", "1234567890", "aaaaaa", "hello", "test",
    "a recipe for apple pie", "the price of a used car", "how to file a tax return", "a bug in the computer program",
    "the capital of a country", "tomorrow's weather forecast", "medicine for a headache", "a football match result",
    "a washing machine that is broken", "news about the election", "a phone number", "flights and hotels", "a red bicycle",
    "mathematics homework", "the history of the Roman empire", "buy shoes online", "a job in an office",
    "insurance and bank account", "how to fix a leaking pipe", "chemical formula of water", "a password reset email",
    "a database query", "furniture for the kitchen", "vegetables and fruit", "a letter to the landlord", "an invoice",
    "server configuration", "a printer",
)  # fmt: skip
ENOUGH = 0.5
"""Of the lowest best score of the usual descriptions."""
LOOKED_AT = 20_000
"""The most vectors of a collection that the usual descriptions are compared with."""
OWN_TAGS = 50
"""The most tags of a collection that can be named as reasons."""
REASONS = 3
LEAST_Z = 1.0
"""Standard deviations above the mean from which a word is named as a reason."""
LONGEST = 4
"""Words in a term."""


@dataclass(frozen=True)
class _Words:
    """Words that a model can hear, and how a collection answers to them."""

    names: list[str]
    vectors: Floats
    """[K, D]."""
    mean: Floats
    spread: Floats
    """[K]: of the scores."""
    usual_best: float
    """The lowest best score of the usual descriptions."""


_of_collection: "WeakKeyDictionary[Collection, tuple[JointModel, _Words]]" = WeakKeyDictionary()
_of_model: "WeakKeyDictionary[JointModel, _Borders]" = WeakKeyDictionary()


def doubts(
    model: JointModel, collection: Collection, texts: Sequence[str], hits: Sequence[Hit], *, is_alone: bool
) -> str:
    """Return in a sentence why what was found, best first, does not fit; empty if nothing speaks against it.

    `is_alone`: a single description is all that was asked for, so that the scores are its cosines.
    """
    if strange := [text for text in texts if not reads_like_music(model, collection, text)]:
        listed = " and ".join(f"“{text}”" for text in strange)
        return f"{listed} {'do' if len(strange) > 1 else 'does'} not read like a description of music."
    if not hits or hits[0].percentile is None:
        return ""
    best = max(hits, key=lambda hit: hit.score)
    if is_alone and can_read(model) and best.score < ENOUGH * _words(model, collection).usual_best:
        return "The best is much less near to it than the best of any usual description of music is."
    if best.percentile is not None and best.percentile < 50:
        return (
            f"The best of what fulfils the conditions fits no better than half of {counted(len(collection), 'track')}."
        )
    return ""


def can_read(model: JointModel) -> bool:
    """Return whether the model has a text encoder that can be asked."""
    return hasattr(model, "text_encoder")


def reads_like_music(model: JointModel, collection: Collection, text: str) -> bool:
    """Return whether a text is a description of music, as far as its words and the text encoder of the model tell."""
    words = "".join(letter if letter.isalnum() or letter in "-'&" else " " for letter in text).split()
    terms = [" ".join(words[at : at + count]) for count in range(1, LONGEST + 1) for at in range(len(words))]
    own = [TERMS] + [collection.columns.words(name).known for name in ("tags", "genre")]
    if not can_read(model) or any(look_up(term) or any(folded(term) in known for known in own) for term in terms):
        return True
    if model not in _of_model:
        _of_model[model] = _Borders.of(_unit(model, [*SCENES, *USUAL]), _unit(model, OTHER))
    return _of_model[model].is_music(_unit(model, [text])[0])


@dataclass(frozen=True)
class _Borders:
    """What tells descriptions of music from other texts, in the space of a text encoder."""

    music: Floats
    other: Floats
    least_near: float
    least_nearer: float

    @classmethod
    def of(cls, music: Floats, other: Floats) -> Self:
        """Find the borders from the embeddings of music [M, T] and of other texts [O, T]."""
        near = (other @ music.T).max(axis=1)
        nearer = near - (other @ other.T - 2 * np.eye(len(other), dtype=np.float32)).max(axis=1)
        return cls(music, other, float(np.median(near)), float(np.median(nearer)))

    def is_music(self, vector: Floats) -> bool:
        """Return whether the embedding [T] of a text is on the side of music."""
        near = float((self.music @ vector).max())
        return near > self.least_near and near - float((self.other @ vector).max()) > self.least_nearer


def _unit(model: JointModel, texts: Sequence[str]) -> Floats:
    vectors = model.text_encoder.embed(list(texts))
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def nearest_words(model: JointModel, collection: Collection, place: int) -> dict[str, float]:
    """Return the words that the music of a vector is nearest to, compared with other music here: name -> deviations.

    For models that cannot say themselves what spoke for a track.
    """
    if not can_read(model):
        return {}
    words = _words(model, collection)
    deviations = (words.vectors @ collection.vectors[place] - words.mean) / words.spread
    order = np.argsort(-deviations, kind="stable")[:REASONS]
    return {words.names[at]: round(float(deviations[at]), 2) for at in order if deviations[at] > LEAST_Z}


def _words(model: JointModel, collection: Collection) -> _Words:
    known = _of_collection.get(collection)
    if known is None or known[0] is not model:
        tags = collection.columns.words("tags")
        counts = tags.counts()
        frequent = sorted(np.flatnonzero(counts).tolist(), key=lambda at: (-counts[at], tags.values[at]))[:OWN_TAGS]
        names = [*USUAL, *(tags.spelt[at] for at in frequent if tags.values[at] and tags.values[at] not in USUAL)]
        vectors = model.embed_text(names if collection.explain is None else USUAL, cached=True)
        sample = collection.vectors[:: max(1, -(-len(collection.vectors) // LOOKED_AT))]
        scores = sample @ vectors.T
        usual_best = float(scores[:, : len(USUAL)].max(axis=0).min())
        spread = np.maximum(scores.std(axis=0), 1e-6)
        known = model, _Words(names, vectors, scores.mean(axis=0), spread, usual_best)
        _of_collection[collection] = known
    return known[1]
