"""The unified record, and reading and writing files of it: the contract between `unify` and all later stages.

A unified file is a JSON array (`.json`), the same records one a line (`.jsonl`) or a Parquet table (`.parquet`); the
file's ending decides. Fields that this module does not know are kept in `Track.extra` and written back as they were.
"""

import gc
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from unisono.base.errors import DataError, UsageError
from unisono.base.files import whole_file

Split = Literal["train", "val", "test"]
CaptionOrigin = Literal["human", "model", "tags"]
SPLITS: tuple[Split, ...] = get_args(Split)
CAPTION_ORIGINS: tuple[CaptionOrigin, ...] = get_args(CaptionOrigin)
UNKNOWN_LICENSE = "unknown"

Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(ge=0)]


class Track(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One described piece of audio: a whole file, or the excerpt of it that begins at `start`.

    Parsers yield tracks whose `audio_path` is relative to the dataset's audio folders and whose `caption` may be empty
    where it is to be made from tags; `unify` completes them. In a unified file every path is absolute and every
    caption says something.
    """

    id: Text
    """`<dataset>_<upstream id>`, unique in the file."""
    audio_path: Text
    """Absolute path of the audio file."""
    caption: Text
    """The primary description."""
    duration: Annotated[float, Meta(gt=0)]
    """Seconds of audio that this record stands for, of the file as it is on disk."""
    alt_captions: list[Text] = []
    """Further descriptions of the same audio."""
    dataset: str = ""
    artist: str = ""
    title: str = ""
    genre: str = ""
    """The one main genre, where upstream names one; it is not repeated in `tags`."""
    tags: list[str] = []
    license: str = UNKNOWN_LICENSE
    """Canonical licence of this track, e.g. `CC-BY-NC-SA-3.0`; `unknown` when unknown."""
    start: Seconds = 0.0
    """Seconds into the file where the described excerpt begins."""
    recording: str = ""
    """Identity of the recording across datasets, e.g. `jamendo:1004034` or `youtube:<id>@30`."""
    artist_id: str = ""
    """Identity of the artist across datasets, e.g. `jamendo-artist:368880`."""
    split: Split | None = None
    caption_origin: CaptionOrigin | None = None
    """Who wrote the captions: people, a model, or a template filled with tags."""
    attribution: str = ""
    """The line that the licence obliges a user to show."""
    url: str = ""
    sha256: str = ""
    extra: dict[str, Any] = {}
    """Fields of a hand-made file, or of upstream, that the format does not know. In a file they stand beside the rest."""

    @property
    def captions(self) -> list[str]:
        """All descriptions, the primary one first."""
        return [self.caption, *self.alt_captions]

    @property
    def origins(self) -> list[str]:
        """The origin of each of `captions`; empty where it is not known.

        They are all `caption_origin`, unless the further field `caption_origins` lists one for each caption.
        """
        listed = self.extra.get("caption_origins")
        if isinstance(listed, list) and len(listed) == 1 + len(self.alt_captions):
            return [origin if origin in CAPTION_ORIGINS else "" for origin in listed]
        return [self.caption_origin or ""] * (1 + len(self.alt_captions))


def with_captions(track: Track, origin_of: Mapping[str, str]) -> Track:
    """Give a track these captions, the primary one first; they are listed with their origins where those differ."""
    captions, origins = list(origin_of), list(origin_of.values())
    extra = {name: value for name, value in track.extra.items() if name != "caption_origins"}
    if len(set(origins)) > 1:
        extra["caption_origins"] = [origin or "unknown" for origin in origins]
    return replace(
        track, caption=captions[0], alt_captions=captions[1:], caption_origin=origins[0] or None, extra=extra
    )


FIELDS = frozenset(Track.__struct_fields__) - {"extra"}
replace: Callable[..., Track] = msgspec.structs.replace

RECORDS_A_BLOCK = 1024
_encoder = msgspec.json.Encoder()
_CHOICES: dict[str, tuple[str, ...]] = {"split": SPLITS, "caption_origin": CAPTION_ORIGINS}
_INFINITE = float("inf")


def read_tracks(path: Path) -> list[Track]:
    """Read a whole unified file and check it against the contract.

    Raises:
        UsageError: the file is missing or its ending is none of .json, .jsonl, .parquet.
        DataError: a record breaks a rule; names its number, id, field, what was found and what was expected.
    """
    with without_garbage_collection():
        tracks = list(iter_tracks(path))
    _refuse_duplicates(path, tracks)
    return tracks


def iter_tracks(path: Path) -> Iterator[Track]:
    """Yield the records of a unified file one by one; `.jsonl` and `.parquet` are read in bounded memory.

    Checks each record like `read_tracks`, but cannot see duplicate ids.
    """
    kind = file_kind(path)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", hint="Make one with: unisono unify --output " + str(path))
    if kind == "json":
        yield from _read_json(path)
    elif kind == "jsonl":
        yield from _read_jsonl(path)
    else:
        from unisono.tracks.formats.parquet import read_parquet  # pyarrow is an extra, and slow to import

        for number, row in enumerate(itertools.chain.from_iterable(read_parquet(path)), 1):
            yield checked_record(path, number, row)


def checked_record(path: Path, number: int, record: Any) -> Track:
    """Check one record of a file, a track or what should become one, against the contract.

    Raises:
        DataError: it breaks a rule; names its number, id, field, what was found and what was expected.
    """
    return _checked(path, number, record) if isinstance(record, Track) else _from_dict(path, number, record)


def write_tracks(path: Path, tracks: Iterable[Track]) -> int:
    """Write a unified file, whole or not at all, and return the number of records. Memory stays bounded.

    The same tracks give the same bytes. Strings that no encoding can hold (lone surrogates) are refused.
    """
    kind = file_kind(path)
    with whole_file(path) as partial:
        try:
            if kind == "parquet":
                from unisono.tracks.formats.parquet import write_parquet

                return write_parquet(partial, tracks)
            return _write_json(partial, tracks, lines=kind == "jsonl")
        except UnicodeEncodeError as error:
            raise DataError(f"{path}: text that cannot be encoded as UTF-8: {_say(error.object)}.") from error


def _write_json(path: Path, tracks: Iterable[Track], *, lines: bool) -> int:
    opening, between, closing = (b"", b"\n", b"\n") if lines else (b"[\n", b",\n", b"\n]\n")
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        file.write(opening)
        for batch in batched(tracks, RECORDS_A_BLOCK):
            block = _encoder.encode_lines([to_record(track) if track.extra else track for track in batch])
            if count:
                file.write(between)
            file.write(block[:-1] if lines else block[:-1].replace(b"\n", between))  # within a record it is escaped
            count += len(batch)
        file.write(closing if count or not lines else b"")
    return count


def file_kind(path: Path) -> str:
    """Say which kind of unified file a path names: json, jsonl or parquet.

    Raises:
        UsageError: it names none of them.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("json", "jsonl", "parquet"):
        raise UsageError(f"{path}: a unified file ends in .json, .jsonl or .parquet, not in {path.suffix!r}.")
    return kind


def _read_json(path: Path) -> Iterator[Track]:
    content = path.read_bytes()
    try:
        tracks = msgspec.json.decode(content, type=list[Track])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        tracks = None  # a field that is kept in `extra`, or a fault: the slow way tells which
    if tracks is None:
        records = _parse(path, content)
        if not isinstance(records, list):
            raise DataError(f"{path}: expected a JSON array of records, found {_say(records)}.")
        yield from (_from_dict(path, number, record) for number, record in enumerate(records, 1))
        return
    for number, track in enumerate(tracks, 1):
        yield _checked(path, number, _nested(track))


def _read_jsonl(path: Path) -> Iterator[Track]:
    decoder = msgspec.json.Decoder(Track)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                track = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                yield _from_dict(path, number, _parse(path, line, f" line {number}"))
            else:
                yield _checked(path, number, _nested(track))


def _nested(track: Track) -> Track:
    """Undo what the decoder makes of a field that happens to be called `extra`: it is one unknown field among others."""
    return replace(track, extra={"extra": track.extra}) if track.extra else track


def _parse(path: Path, content: bytes, where: str = "") -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise DataError(f"{path}{where}: nested too deeply to be a unified file.") from error
    except json.JSONDecodeError as error:
        where = where or f" line {error.lineno} column {error.colno}"
        raise DataError(f"{path}{where}: not valid JSON: {error.msg}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}{where}: not UTF-8 (byte {error.start}).") from error


def _from_dict(path: Path, number: int, record: Any) -> Track:
    if not isinstance(record, dict):
        raise DataError(f"{path}: record {number}: expected an object, found {_say(record)}.")
    known = {name: value for name, value in record.items() if name in FIELDS and value is not None}
    extra = {name: value for name, value in record.items() if name not in FIELDS}
    try:
        track = msgspec.convert({**known, "extra": extra}, Track)
    except msgspec.ValidationError as error:
        raise _fault(path, number, known, str(error)) from error
    return _checked(path, number, track)


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


def _checked(path: Path, number: int, track: Track) -> Track:
    """Check what the types cannot say."""
    if not os.path.isabs(track.audio_path):  # noqa: PTH117 - called once a record
        raise _broken(path, number, track.id, "audio_path", "expected an absolute path", track.audio_path)
    if track.caption.isspace():
        raise _broken(path, number, track.id, "caption", "expected words", track.caption)
    if track.duration == _INFINITE:
        raise _broken(path, number, track.id, "duration", "expected seconds", track.duration)
    if track.start == _INFINITE:
        raise _broken(path, number, track.id, "start", "expected seconds", track.start)
    return track


def _refuse_duplicates(path: Path, tracks: list[Track]) -> None:
    if len({track.id for track in tracks}) == len(tracks):
        return
    first: dict[str, int] = {}
    for number, track in enumerate(tracks, 1):
        if track.id in first:
            raise DataError(
                f"{path}: record {number}: the id {track.id!r} already stands in record {first[track.id]}; "
                "ids must be unique in a file."
            )
        first[track.id] = number


def to_record(track: Track) -> dict[str, Any]:
    """Give a track as plain values, without the fields that hold their defaults, what is in `extra` beside the rest."""
    record: dict[str, Any] = msgspec.to_builtins(track)
    return record | {name: value for name, value in record.pop("extra", {}).items() if name not in FIELDS}


def _say(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Loading millions of objects that hold no cycles is several times faster without the collector's passes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def batched(tracks: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most `size` items."""
    iterator = iter(tracks)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
