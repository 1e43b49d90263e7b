"""A track and its captions, as all stages hold them in memory."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar, get_args

import msgspec

from unisono.base.errors import DataError

Split = Literal["train", "val", "test"]
CaptionOrigin = Literal["human", "model", "tags"]
SPLITS: tuple[Split, ...] = get_args(Split)
CAPTION_ORIGINS: tuple[CaptionOrigin, ...] = get_args(CaptionOrigin)
UNKNOWN_LICENSE = "unknown"
WHOLE_FILE = 0.0
"""The default of `start`. Encoders recognise a default by its identity, so that all must use this object."""

Item = TypeVar("Item")


class Caption(msgspec.Struct, frozen=True, gc=False):
    """A description of a track, and who wrote it.

    Raises:
        DataError: the text is empty, or the origin is none of `CAPTION_ORIGINS`.
    """

    text: str
    origin: CaptionOrigin | None = None
    """human, model, or tags (a sentence made from tags); None where it is not known."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text or self.text.isspace():
            raise DataError(f"A caption must have words, found {self.text!r}.")
        if self.origin is not None and self.origin not in CAPTION_ORIGINS:
            raise DataError(f"The origin of a caption is human, model, tags or None, found {self.origin!r}.")


class Track(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, repr_omit_defaults=True, gc=False):
    """One described piece of audio: a whole file, or the excerpt of it that begins at `start`.

    In a unified file every path is absolute and every track has a caption. Parsers of datasets yield tracks whose
    `audio_path` is relative to the dataset's audio folders, whose `duration` is 0 where upstream documents none, and which
    have no captions where these are to be made from tags; `unify` completes them.

    Raises:
        DataError: the id or the path is empty, a number is negative or infinite, or the captions are not `Caption`s.
    """

    id: str
    """`<dataset>_<upstream id>`, unique in a file."""
    audio_path: str
    """Absolute path of the audio file."""
    duration: float
    """Seconds of audio that this track stands for, of the file as it is on disk."""
    captions: tuple[Caption, ...] = ()
    """All descriptions, the primary one first."""
    dataset: str = ""
    artist: str = ""
    title: str = ""
    genre: str = ""
    """The main genre, where upstream names one; it is not repeated in `tags`."""
    tags: list[str] = []
    license: str = UNKNOWN_LICENSE
    """Canonical licence of this track, such as `CC-BY-NC-SA-3.0`; `unknown` when unknown."""
    start: float = WHOLE_FILE
    """Seconds into the file where the described excerpt begins."""
    recording: str = ""
    """Identity of the recording across datasets, such as `jamendo:1004034` or `youtube:<id>@30`."""
    artist_id: str = ""
    """Identity of the artist across datasets, such as `jamendo-artist:368880`."""
    split: Split | None = None
    attribution: str = ""
    """The line that the licence obliges a user to show."""
    url: str = ""
    sha256: str = ""
    extra: dict[str, Any] = {}
    """Fields of a hand-made file, or of upstream, that the format does not know."""

    def __post_init__(self) -> None:
        if not self.id or not isinstance(self.id, str):
            raise DataError(f"A track needs an id, found {self.id!r}.")
        if not self.audio_path or not isinstance(self.audio_path, str):
            raise DataError(f"The track {self.id!r} needs the path of its audio as a text, found {self.audio_path!r}.")
        for name in ("duration", "start"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise DataError(f"The track {self.id!r}: {name} must be a number of seconds from 0, found {value!r}.")
        if type(self.captions) is not tuple or not all(isinstance(each, Caption) for each in self.captions):
            raise DataError(f"The track {self.id!r}: captions must be a tuple of Caption, found {self.captions!r}.")

    @property
    def caption(self) -> str:
        """The primary description; empty if there is none."""
        return self.captions[0].text if self.captions else ""

    @property
    def texts(self) -> list[str]:
        """All descriptions without their origins."""
        return [caption.text for caption in self.captions]

    @property
    def origins(self) -> list[CaptionOrigin | None]:
        """The origin of each description."""
        return [caption.origin for caption in self.captions]


replace: Callable[..., Track] = msgspec.structs.replace


def captions_of(texts: Iterable[str], origin: CaptionOrigin | None) -> tuple[Caption, ...]:
    """Return the distinct texts that have words as captions of one origin, in order."""
    return tuple(Caption(text, origin) for text in dict.fromkeys(texts) if text and not text.isspace())


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of at most `size` items."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
