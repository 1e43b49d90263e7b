"""The record of a unified file: the shape that a track has on disk, and the check of it.

A record names the primary caption, the alternatives, and one origin for all captions, or, where the origins differ, a
list of them. Fields that the format does not know stand among the others and are kept in
`Track.extra`.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from unisono.base.errors import DataError
from unisono.base.storage import is_absolute
from unisono.tracks.track import (
    CAPTION_ORIGINS,
    SPLITS,
    UNKNOWN_LICENSE,
    WHOLE_FILE,
    Caption,
    CaptionOrigin,
    Split,
    Track,
)

Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(ge=0)]
ListedOrigin = Literal["human", "model", "tags", "unknown"]


class Record(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """A track as it is written; the fields are described at `Track`. Their order is that of the file."""

    id: Text
    audio_path: Text
    caption: Text
    duration: Annotated[float, Meta(gt=0)]
    alt_captions: list[Text] = []
    dataset: str = ""
    artist: str = ""
    title: str = ""
    genre: str = ""
    tags: list[str] = []
    license: str = UNKNOWN_LICENSE
    start: Seconds = WHOLE_FILE
    recording: str = ""
    artist_id: str = ""
    split: Split | None = None
    caption_origin: CaptionOrigin | None = None
    attribution: str = ""
    url: str = ""
    sha256: str = ""
    caption_origins: list[ListedOrigin] = []

    @property
    def texts(self) -> list[str]:
        """All descriptions without their origins."""
        return [self.caption, *self.alt_captions]

    @property
    def origins(self) -> list[CaptionOrigin | None]:
        """The origin of each description."""
        if self.caption_origins:
            return [None if origin == "unknown" else origin for origin in self.caption_origins]
        return [self.caption_origin] * (1 + len(self.alt_captions))

    @property
    def captions(self) -> tuple[Caption, ...]:
        """All descriptions with their origins."""
        return tuple(map(Caption, self.texts, self.origins))

    @property
    def extra(self) -> dict[str, Any]:
        """No fields: a record with some that the format does not know is read as a track."""
        return _NO_EXTRA


Entry = Record | Track
"""A track as it is read from a file: a record that is sound and is written as it was read, or else a track, which takes four
times as long to make. Both have the attributes of a track."""
_NO_EXTRA: dict[str, Any] = {}
FIELDS = frozenset(Record.__struct_fields__)
ORIGINS = "caption_origins"
COLUMNS = tuple(name for name in Record.__struct_fields__ if name != ORIGINS)
"""The fields that have a column of their own in tables."""
_CHOICES: dict[str, tuple[str, ...]] = {
    "split": SPLITS,
    "caption_origin": CAPTION_ORIGINS,
    ORIGINS: (*CAPTION_ORIGINS, "unknown"),
}
_INFINITE = float("inf")


def to_record(track: Entry) -> Record:
    """Return the record of a track, without its unknown fields.

    Raises:
        DataError: the track has no caption.
    """
    if isinstance(track, Record):
        return track
    if not track.captions:
        raise DataError(f"The track {track.id!r} has no caption; a unified file needs one for each track.")
    origins = track.origins
    differ = len(set(origins)) > 1
    return Record(
        id=track.id,
        audio_path=track.audio_path,
        caption=track.captions[0].text,
        duration=track.duration,
        alt_captions=[caption.text for caption in track.captions[1:]],
        dataset=track.dataset,
        artist=track.artist,
        title=track.title,
        genre=track.genre,
        tags=track.tags,
        license=track.license,
        start=track.start,
        recording=track.recording,
        artist_id=track.artist_id,
        split=track.split,
        caption_origin=origins[0],
        attribution=track.attribution,
        url=track.url,
        sha256=track.sha256,
        caption_origins=[origin or "unknown" for origin in origins] if differ else [],
    )


def to_fields(track: Entry) -> dict[str, Any]:
    """Return a track as plain values, without fields that hold their defaults, and with its unknown fields."""
    record: dict[str, Any] = msgspec.to_builtins(to_record(track))
    origins = record.pop(ORIGINS, None)
    record |= {name: value for name, value in track.extra.items() if name not in FIELDS}
    return record | ({ORIGINS: origins} if origins else {})


def are_plain(records: Iterable[Record]) -> bool:
    """Return whether no record breaks a rule, and each is written as it is: it equals the record of its track."""
    return all(  # a list, as a generator takes twice as long
        [  # noqa: C419
            (record.audio_path[0] == "/" or is_absolute(record.audio_path))
            and record.duration < _INFINITE
            and record.start < _INFINITE
            and not record.caption.isspace()
            and not (record.alt_captions and any(map(str.isspace, record.alt_captions)))
            and not (record.caption_origins and _are_misstated(record))
            for record in records
        ]
    )


def _are_misstated(record: Record) -> bool:
    """Return whether the origins of captions are too few or too many, or would be written in another way."""
    listed = record.caption_origins
    return (
        len(listed) != 1 + len(record.alt_captions)
        or len(set(listed)) == 1
        or listed[0] != (record.caption_origin or "unknown")
    )


def to_track(entry: Entry, extra: dict[str, Any] | None = None) -> Track:
    """Return the track of a sound record, with fields that the format does not know."""
    if isinstance(entry, Track):
        return entry
    return Track(
        id=entry.id,
        audio_path=entry.audio_path,
        duration=entry.duration,
        captions=entry.captions,
        dataset=entry.dataset,
        artist=entry.artist,
        title=entry.title,
        genre=entry.genre,
        tags=entry.tags,
        license=entry.license,
        start=entry.start,
        recording=entry.recording,
        artist_id=entry.artist_id,
        split=entry.split,
        attribution=entry.attribution,
        url=entry.url,
        sha256=entry.sha256,
        extra=extra or {},
    )


def checked(path: Path, number: int, record: Record, extra: dict[str, Any] | None = None) -> Entry:
    """Return the entry of a record, checked for what its types cannot say.

    Args:
        path: of the file, for messages.
        number: of the record in the file, from 1.
        record: with values of the right types.
        extra: fields that the format does not know.

    Raises:
        DataError: the record breaks a rule; names its number, id, field, what was found and what was expected.
    """
    if are_plain([record]):
        return to_track(record, extra) if extra else record
    if not is_absolute(record.audio_path):
        raise _broken(path, number, record.id, "audio_path", "expected an absolute path", record.audio_path)
    if record.duration == _INFINITE:
        raise _broken(path, number, record.id, "duration", "expected seconds", record.duration)
    if record.start == _INFINITE:
        raise _broken(path, number, record.id, "start", "expected seconds", record.start)
    if record.caption_origins and len(record.caption_origins) != len(record.texts):
        expected = f"expected an origin for each of the {len(record.texts)} captions"
        raise _broken(path, number, record.id, ORIGINS, expected, record.caption_origins)
    for field, text in zip(("caption", *["alt_captions"] * len(record.alt_captions)), record.texts, strict=True):
        if text.isspace():
            raise _broken(path, number, record.id, field, "expected words", text)
    return to_track(record, extra)


def from_fields(path: Path, number: int, fields: Any) -> Track:
    """Return the track of a record as plain values; null is no value.

    Raises:
        DataError: it breaks a rule; names its number, id, field, what was found and what was expected.
    """
    if not isinstance(fields, Mapping):
        raise DataError(f"{path}: record {number}: expected an object, found {_say(fields)}.")
    known = {name: value for name, value in fields.items() if name in FIELDS and value is not None}
    extra = {name: value for name, value in fields.items() if name not in FIELDS}
    try:
        record = msgspec.convert(known, Record)
    except msgspec.ValidationError as error:
        raise _fault(path, number, known, str(error)) from error
    for field, value in known.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (found := _unstorable(text)):
                expected = f"expected text without {found}, which no later stage can store"
                raise _broken(path, number, record.id, field, expected, text)
    for field, value in extra.items():
        try:
            msgspec.json.encode({field: value})
        except UnicodeEncodeError as error:
            expected = "expected text without halves of a surrogate pair, which no file can hold"
            raise _broken(path, number, record.id, field, expected, value) from error
    return to_track(checked(path, number, record, extra))


def _unstorable(text: str) -> str:
    """Return what of a text neither HDF5 nor a file can hold, if there is anything."""
    if "\0" in text:
        return "NUL characters"
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        return "halves of a surrogate pair"
    return ""


def _fault(path: Path, number: int, record: dict[str, Any], reason: str) -> DataError:
    expected, _, place = reason.partition(" - at `$.")
    field = place.rstrip("`").partition("[")[0]
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", expected):
        field, expected = missing[1], "required, but it is missing or null"
    elif field in _CHOICES:
        expected = "expected one of " + ", ".join(_CHOICES[field])
    elif expected[:1] == "E":
        expected = "e" + expected[1:]
    return _broken(path, number, record.get("id"), field, expected, record.get(field, ...))


def _broken(path: Path, number: int, id: object, field: str, expected: str, found: object) -> DataError:
    found = "" if found is ... else f", found {_say(found)}"
    return DataError(f"{path}: record {number} (id {_say(id)}), field {field!r}: {expected}{found}.")


def _say(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
