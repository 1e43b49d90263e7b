"""What a way to caption is: the protocol of its module, and what goes in and out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from unisono.captions.language_model import LanguageModel
from unisono.tracks.track import CaptionOrigin, Track
from unisono.tracks.vocabulary import Facts, sort_tags

Sentence = Callable[[Track, Facts, int], str]
"""(track, its sorted tags, seed) -> a caption, or "" if there is nothing to say."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the captions of a run share."""

    seed: int = 42
    described: frozenset[str] = frozenset()
    """Ids of the tracks that upstream has described: only their captions may be told to a language model."""
    model: LanguageModel = field(default_factory=LanguageModel)


@dataclass(frozen=True)
class Written:
    """The captions that a way made."""

    captions: dict[str, list[str]]
    """Id of a track -> its captions; tracks about which there is nothing to say may be left out."""
    report: dict[str, Any] = field(default_factory=dict)
    """For the report of the run, as plain values."""


class Way(Protocol):
    """What the module of a way provides. A module with a function `sentence` gets `write` from `one_each`."""

    ORIGIN: CaptionOrigin
    """The origin of its captions: tags, or model."""

    def write(self, tracks: Sequence[Track], request: Request, /) -> Written:
        """Return captions of tracks. The same tracks and request give the same captions.

        Raises:
            UnisonoError: nothing can be written at all.
        """
        ...


def one_each(sentence: Sentence) -> Callable[[Sequence[Track], Request], Written]:
    """Return the `write` of a way that makes one sentence a track."""

    def write(tracks: Sequence[Track], request: Request) -> Written:
        found = ((track.id, sentence(track, sort_tags(track.genre, track.tags), request.seed)) for track in tracks)
        return Written({id: [text] for id, text in found if text})

    return write
