"""What a file of one's own says of itself: its tags, its length, the identity of its audio, and whether it can be played."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from unisono.audio.faults import NEEDS_FFMPEG, Fault
from unisono.audio.packets import content_key
from unisono.audio.probe import probe
from unisono.library.sources import TrackFacts
from unisono.sources.cells import year_field
from unisono.sources.own.folder import genre_and_words
from unisono.sources.own.tags import FileTags, read_tags

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


class Looked(NamedTuple):
    """What was found in a file."""

    size: int
    changed: int
    content: bytes
    duration_s: float
    facts: TrackFacts
    fault: Fault | None


def look(path: Path) -> Looked | None:
    """Look into a file; None if it cannot be read now, or is being written.

    Tags that cannot be read are as good as none: the music is what counts.
    """
    try:
        before = path.stat()
        content = content_key(path)
        measured = probe(str(path))
        facts = read_facts(path)
        after = path.stat()
    except OSError:
        return None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return None
    fault = Fault(measured.fault, measured.detail) if measured.fault else None
    if fault and fault.reason.endswith(NEEDS_FFMPEG):
        fault = fault._replace(lasting=False)
    return Looked(before.st_size, before.st_mtime_ns, content, measured.duration_s, facts, fault)


def read_facts(path: Path) -> TrackFacts:
    """Return what the tags of a file say; without a title, its name is the title."""
    try:
        tags = read_tags(path, duration=False)
    except Exception:  # whatever the library does with a damaged file
        tags = FileTags(0, {}, {})
    genre, words = genre_and_words(tags)
    year = year_field(tags.first("year")).get("year")
    mbid, isrc = tags.first("musicbrainz_trackid"), tags.first("isrc")
    return TrackFacts(
        title=tags.first("title") or os.fsencode(path.stem).decode(errors="replace"),
        artist=", ".join(tags.values.get("artist", ())),
        album=tags.first("album"),
        album_artist=tags.first("albumartist"),
        genre=genre,
        tags=words,
        year=int(year) if year else None,
        bpm=_number(tags.first("bpm"), 1000.0),
        rating=tags.rating,
        license=tags.first("license") or "unknown",
        recording=f"musicbrainz:{mbid}" if mbid else f"isrc:{isrc}" if isrc else "",
    )


def _number(text: str, most: float) -> float | None:
    found = _NUMBER.search(text)
    value = float(found[0].replace(",", ".")) if found else 0.0
    return value if 0 < value <= most else None
