"""Read the tags of an audio file: all values of each field, whatever the file's ending says it is.

Tags are read by tinytag. What it does not know is read here: APE tags, genres by number, and those of CAF and its like.
"""

import os
import re
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import soundfile

from unisono.audio import ffmpeg
from unisono.audio.faults import foreign_format
from unisono.audio.mp3 import behind_tags
from unisono.audio.spliced import spliced
from unisono.sources.cells import name_of, text_of, tidy
from unisono.sources.own.encodings import repaired
from unisono.sources.own.id3 import as_seven_bits, seven_bits
from unisono.sources.own.ratings import popularimeters, rating_of
from unisono.sources.own.raw_texts import as_text, chunks, raw_texts

_NUMBERED = re.compile(r"\((\d{1,3}|RX|CR)\)")
_MISSING_GENRES = ((139, "Crossover"), (164, "Global"), (165, "IDM"))
"""tinytag's list lacks them, so that the later ones are off by one to three."""
_LARGEST_TAG = 1 << 20
_LARGEST_TAG_WITH_COVER = 1 << 26
_APE_FIELDS = {"artist": "artist", "title": "title", "album": "album", "genre": "genre", "comment": "comment",
               "year": "year", "mood": "mood", "license": "license", "copyright": "copyright", "weblink": "url",
               "album artist": "albumartist", "bpm": "bpm", "isrc": "isrc",
               "rating": "rating", "fmps_rating": "fmps_rating"}  # fmt: skip


class FileTags(NamedTuple):
    """What the tags of a file say."""

    duration_s: float
    values: dict[str, list[str]]
    """Field -> its values, repaired and tidy, without placeholders."""
    doubtful: dict[str, list[str]]
    """Field -> values in an encoding that cannot be told."""
    rating: float | None = None
    """Stars from 0 to 5."""

    def first(self, field: str) -> str:
        """Return the first value of a field, or an empty text."""
        return next(iter(self.values.get(field, ())), "")


def read_tags(path: Path, *, duration: bool = True) -> FileTags:
    """Read the tags of a regular file; raise whatever tinytag does with a damaged one.

    Without `duration` that is 0: of some formats, tinytag reads the whole file for it.
    """
    with path.open("rb") as file:
        tag = _tag(path, file, duration=duration)
        found = {
            field: [getattr(tag, field), *tag.other.get(field, ())] for field in ("title", "artist", "album", "genre")
        }
        found["comment"] = [tag.comment, *tag.other.get("comment", ())]
        for field in ("comment", "genre"):  # as text fields of a free name, such as ffmpeg writes
            found[field] = found[field] if any(found[field]) else list(tag.other.get(f"_{field}", ()))
        found["year"] = [tag.year]
        found["albumartist"] = [tag.albumartist, *tag.other.get("albumartist", ())]
        found["mood"] = [*tag.other.get("mood", ()), *tag.other.get("tmoo", ())]
        for field in ("license", "copyright", "url", "bpm", "isrc", "musicbrainz_trackid"):
            found[field] = list(tag.other.get(field, ()))
        found["genre"] = [name for text in _texts(found["genre"]) for name in _genres(text, by_number=_is_id3(tag))]
        if _is_id3(tag) or path.suffix.lower() in (".ape", ".mpc", ".wv", ".tak", ".tta"):
            ape = _ape(file)
            ape["genre"] = [name for text in ape.get("genre", ()) for name in _genres(text, by_number=False)]
            for field, texts in ape.items():
                if not any(found.get(field, ())):
                    found[field] = texts
            if not found["genre"]:
                found["genre"] = _first_version_genre(file)
        if any("\ufffd" in text for texts in found.values() for text in _texts(texts)):
            found |= {field: texts for field, texts in raw_texts(file).items() if any(found.get(field, ()))}
    rating = rating_of({**tag.other, **found})
    values: dict[str, list[str]] = {}
    doubtful: dict[str, list[str]] = {}
    for field, texts in found.items():
        for text in _texts(texts):
            right = repaired(text)
            plain = text_of(tidy(text if right is None else right))
            if plain := plain if field == "comment" else name_of(plain):
                (doubtful if right is None else values).setdefault(field, []).append(plain)
    return FileTags(
        tag.duration or 0, {field: list(dict.fromkeys(each)) for field, each in values.items()}, doubtful, rating
    )


def _texts(values: Iterable[Any]) -> list[str]:
    """Return the values of a field one by one; NUL separates those of ID3, two backslashes those of some players."""
    return [part for value in values if value for part in re.split(r"\0|\\\\", str(value)) if part]


def _is_id3(tag: Any) -> bool:
    return isinstance(tag, _id3_reader())


def _tag(path: Path, file: BinaryIO, *, duration: bool) -> Any:
    """Read a file by its first bytes; by its ending if they are not known."""
    from tinytag import TinyTag, UnsupportedFormatError

    head = file.read(12)
    file.seek(0)
    is_mpeg = head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
    try:
        tag = (_id3_reader() if is_mpeg else TinyTag).get(file_obj=file, duration=duration)
    except UnsupportedFormatError:
        try:
            is_mpeg = path.suffix.lower() in (".mp1", ".mp2", ".mp3")
            tag = (_id3_reader() if is_mpeg else TinyTag).get(path, duration=duration)
        except UnsupportedFormatError:
            tag = TinyTag()
            _add_from_libsndfile(tag, path)
            _add_from_ffmpeg(tag, path)
    content = _synchronised(file) if is_mpeg else b""
    if content:
        duration_s, tag = tag.duration, _id3_reader().get(file_obj=BytesIO(content), duration=False)
        tag.duration = duration_s
    if head[:3] == b"ID3":
        _add_from_behind(tag, file)
    if is_mpeg:
        tag.other["popm"] = list(map(str, popularimeters(BytesIO(content) if content else file)))
    if head[:4] in (b"RIFF", b"FORM") and (content := _id3_chunk(file, "little" if head[:4] == b"RIFF" else "big")):
        inner = _id3_reader().get(file_obj=BytesIO(content), duration=False)
        tag.other["popm"] = list(map(str, popularimeters(BytesIO(content))))
        if inner.genre:
            numbers = [name for text in _texts([inner.genre, *inner.other.get("genre", ())]) for name in _genres(text)]
            tag.genre, tag.other["genre"] = next(iter(numbers), None), numbers[1:]
    return tag


def _add_from_behind(tag: Any, file: BinaryIO) -> None:
    """Add the tags of an Ogg, WAV, MP4 or other file before which some program put an ID3 tag; tinytag does so for FLAC."""
    from tinytag import TinyTag, TinyTagException

    size, begin = file.seek(0, os.SEEK_END), behind_tags(file.fileno())
    if os.pread(file.fileno(), 1, begin) in (b"\xff", b""):  # MPEG
        return
    try:
        inner = TinyTag.get(file_obj=spliced(file.fileno(), [(begin, size - begin)]), duration=False)
    except TinyTagException:
        return
    for field in ("title", "artist", "album", "genre", "comment", "year", "albumartist"):
        if not getattr(tag, field):
            setattr(tag, field, getattr(inner, field))
    for name, texts in inner.other.items():
        tag.other.setdefault(name, texts)


@cache
def _id3_reader() -> Any:
    """Return tinytag's reader of ID3, told to leave numbers of genres as they are."""
    from tinytag import tinytag

    return type("_Id3", (tinytag._ID3,), {"_ID3V1_GENRES": ()})


@cache
def _genre_names() -> list[str]:
    from tinytag import tinytag

    names = list(tinytag._ID3._ID3V1_GENRES)
    for number, name in _MISSING_GENRES:
        if name not in names:
            names.insert(number, name)
    return names


def _synchronised(file: BinaryIO) -> bytes:
    """Return the ID3 tag of a file without an extended header, and without the zeros that keep its bytes from looking like
    sound; empty if it has neither.

    tinytag reads both wrongly. See https://id3.org/id3v2.4.0-structure, sections 3.2 and 6.1.
    """
    file.seek(0)
    head = file.read(10)
    if head[:3] != b"ID3" or not head[5] & 0xC0 or head[3] < 3:
        return b""
    content = file.read(min(seven_bits(head[6:]), _LARGEST_TAG_WITH_COVER))
    if head[5] & 0x80 and head[3] == 3:
        content = content.replace(b"\xff\0", b"\xff")
    if head[5] & 0x40:  # of a length that counts itself since version 2.4
        content = content[seven_bits(content[:4]) if head[3] >= 4 else 4 + int.from_bytes(content[:4], "big") :]
    if head[5] & 0x80 and head[3] >= 4:  # frame by frame
        content, frames = b"", content
        while len(frames) > 10 and frames[0]:
            size, flags = seven_bits(frames[4:8]), frames[9]
            body = frames[10 : 10 + size][4 if flags & 1 else 0 :].replace(b"\xff\0", b"\xff")
            content += frames[:4] + as_seven_bits(len(body)) + bytes([0, flags & 0xFC]) + body
            frames = frames[10 + size :]
    return head[:5] + bytes([head[5] & 0x3F]) + as_seven_bits(len(content)) + content


def _genres(text: str, *, by_number: bool = True) -> list[str]:
    """Return the genres of an ID3 field: `17`, `(51)(39)`, and `(4)Eurodisco`, which are a genre and its refinement.

    Not `by_number`, as in other tags than ID3, numbers count in parentheses only, as converters leave them.
    """
    text = text.strip()
    if not by_number and not _NUMBERED.match(text):
        return [text]
    found = [text] if text.isdecimal() else []
    rest = text if not found else ""
    while match := _NUMBERED.match(rest):
        found.append(match[1])
        rest = rest[match.end() :]
    if rest:
        found.append(rest[1:] if rest.startswith("((") else rest)
    return [_genre_of(each) for each in found]


def _genre_of(text: str) -> str:
    if text.isdecimal() and int(text) < len(_genre_names()):
        return _genre_names()[int(text)]
    return {"RX": "Remix", "CR": "Cover"}.get(text, text)


def _first_version_genre(file: BinaryIO) -> list[str]:
    """Return the genre of an ID3v1 tag, the last 128 bytes of a file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 128))
    content = file.read(128)
    if len(content) == 128 and content.startswith(b"TAG") and content[127] < len(_genre_names()):
        return [_genre_names()[content[127]]]
    return []


def _ape(file: BinaryIO) -> dict[str, list[str]]:
    """Return the texts of an APE tag at the end of a file, before an ID3v1 tag if there is one."""
    size = file.seek(0, os.SEEK_END)
    for end in (size, size - 128):
        if end < 32:
            continue
        file.seek(end - 32)
        footer = file.read(32)
        length, count = int.from_bytes(footer[12:16], "little"), int.from_bytes(footer[16:20], "little")
        if footer.startswith(b"APETAGEX") and 32 <= length <= min(end, _LARGEST_TAG):
            file.seek(end - length)
            return _ape_items(file.read(length - 32), count)
    return {}


def _ape_items(content: bytes, count: int) -> dict[str, list[str]]:
    """Parse the items of an APE tag; see https://wiki.hydrogenaud.io/index.php?title=APE_Tag_Item."""
    found: dict[str, list[str]] = {}
    at = 0
    for _ in range(count):
        length, flags = int.from_bytes(content[at : at + 4], "little"), content[at + 4 : at + 5]
        key_end = content.find(b"\0", at + 8)
        if key_end < 0 or not flags:
            break
        field = _APE_FIELDS.get(content[at + 8 : key_end].decode("latin-1").lower())
        at = key_end + 1 + length
        if field and not flags[0] & 0b110:  # a text
            found[field] = as_text(content[key_end + 1 : at]).split("\0")
    return found


def _id3_chunk(file: BinaryIO, order: Any) -> bytes:
    """Return the ID3 tag in a WAV or AIFF file."""
    for name, length in chunks(file, order):
        if name.lower() == b"id3 ":
            return file.read(min(length, _LARGEST_TAG))
    return b""


def _add_from_libsndfile(tag: Any, path: Path) -> None:
    """Add what libsndfile knows of a format that tinytag does not read."""
    try:
        with soundfile.SoundFile(str(path)) as sound:
            texts = {
                field: getattr(sound, field) for field in ("title", "artist", "album", "genre", "comment", "license")
            }
            tag.year, tag.duration = sound.date or None, sound.frames / sound.samplerate
    except (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError):
        return
    license = texts.pop("license")
    if license:
        tag.other["license"] = [license]
    for field, text in texts.items():
        setattr(tag, field, text or None)


def _add_from_ffmpeg(tag: Any, path: Path) -> None:
    """Add what ffmpeg, where it is installed, knows of a format that no other one reads."""
    with path.open("rb") as file:
        foreign = foreign_format(file.read(64))
    if not foreign:
        return
    for name, text in ffmpeg.tags(str(path), foreign).items():
        if name in ("title", "artist", "album", "genre", "comment") and not getattr(tag, name):
            setattr(tag, name, text)
        elif name in ("date", "year"):
            tag.year = text
        else:
            tag.other.setdefault(name, [text])
