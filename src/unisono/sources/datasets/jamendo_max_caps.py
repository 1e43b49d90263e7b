"""JamendoMaxCaps: instrumental music of Jamendo with machine captions of 30-second excerpts, 2025.

What:       362,238 tracks, mp3, in Parquet shards; each becomes a file `audio/<id>.mp3`.
Captions:   by a model (Qwen2-Audio), of 30 seconds: `final_caption30sec.jsonl` has several rows for each track, in no
            order. A track here is one distinct excerpt, with all its captions.
Licences:   captions CC BY-SA 3.0; audio per track, in the metadata's `license_ccurl`, often non-commercial.
Splits:     none.
Source:     https://huggingface.co/datasets/amaai-lab/JamendoMaxCaps (paper: https://arxiv.org/abs/2502.07461)
Known defects:
- Excerpts reach past the end of their track (clamped here), repeat exactly (merged), or last less than 5 s (dropped).
- Metadata rows recur in the dated files: the row of the latest file counts. Some tracks have captions but no row, others
  a row but no captions.
- The music is meant to be instrumental; some captions mention vocals, and `vocalinstrumental` may be `vocal`.

A simpler export is read too: `metadata/<split>.json`, a list of items with `id`, `caption`, `audio_path` (relative to the
dataset's folder), `duration`, `artist`, `title`, `tags` and `license`.
"""

import html
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, HubFiles, Option, ParseOptions
from unisono.sources.cells import LONGEST_S, one_genre, seconds, tidy_tags, whole_number, year_field
from unisono.sources.readers import JsonLines, json_items
from unisono.tracks.track import Split, Track, captions_of, replace

SHORTEST_EXCERPT_S = 5.0
SPLITS: dict[str, Split] = {"train": "train", "validation": "val", "valid": "val", "val": "val", "test": "test"}
SPEEDS = {"verylow": "very slow", "low": "slow", "high": "fast", "veryhigh": "very fast"}


FILES = (
    # Its files were replaced more than once, and no publication names a commit: the first download pins it.
    HubFiles(
        repo="amaai-lab/JamendoMaxCaps",
        revision="main",
        patterns=("final_caption30sec.jsonl", "[12][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].jsonl"),
        size=2_000_000_000,
    ),
    HubFiles(
        repo="amaai-lab/JamendoMaxCaps",
        revision="main",
        patterns=("data/train-*.parquet",),
        size=1_060_000_000_000,
        audio_column="audio",
        limit="shards",
        unpacked_size=1_060_000_000_000,
        audio=True,
    ),
)
CHOICES = (
    Option(
        name="shards",
        help="For datasets whose audio comes in shards (JamendoMaxCaps): fetch only this many, from the first one on.",
    ),
)


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read the captions and join them with the dated metadata files; or read the simpler export."""
    for path in (root / "final_caption30sec.jsonl", root / "data" / "final_caption30sec.jsonl"):
        if path.exists():
            return _parse_captions(path, root, years=options.years)
    return _parse_export(root)


_Caption = tuple[float, float, str]
"""Start and end of the excerpt in seconds, and its caption."""


class _CaptionRow(msgspec.Struct, gc=False):
    id: str | int | float
    caption: str | None
    start_time: float
    end_time: float


class _Tags(msgspec.Struct, gc=False):
    genres: list[str] = []
    instruments: list[str] = []
    vartags: list[str] = []


class _MusicInfo(msgspec.Struct, gc=False):
    vocalinstrumental: str | None = None
    speed: str | None = None
    tags: _Tags | None = None


class _MetadataRow(msgspec.Struct, gc=False):
    """The used fields of a track of the Jamendo API; the others, above all `waveform`, are skipped while parsing."""

    id: str | int | float
    name: str | None = None
    duration: float | None = None
    artist_id: str | int | None = None
    artist_name: str | None = None
    license_ccurl: str | None = None
    shareurl: str | None = None
    releasedate: Any = None
    musicinfo: _MusicInfo | None = None


def _parse_captions(path: Path, root: Path, *, years: bool) -> Iterator[Track | Dropped]:
    described: defaultdict[str, list[_Caption]] = defaultdict(list)
    rows = JsonLines(path, root, _CaptionRow)
    for item in rows:
        if isinstance(item, Dropped):
            yield item
            continue
        number, row = item
        jamendo_id = _jamendo_id(row.id)
        if not jamendo_id:
            yield rows.malformed(number, f"field 'id': expected a Jamendo id, found {row.id!r}")
        elif not 0 <= row.start_time < row.end_time < LONGEST_S:
            yield rows.malformed(
                number, f"expected 0 <= start_time < end_time, found {row.start_time} and {row.end_time}"
            )
        elif not row.caption or row.caption.isspace():
            yield Dropped(id=rows.where(number), reason="empty caption")
        else:
            described[jamendo_id].append((row.start_time, row.end_time, row.caption))
    songs: dict[str, Track] = {}
    for song in _read_songs(root, years=years):
        if isinstance(song, Dropped):
            yield song
        else:
            songs[song.recording.removeprefix("jamendo:")] = song
    for jamendo_id, captions in described.items():
        yield from _excerpts(songs.get(jamendo_id) or _song(_MetadataRow(id=jamendo_id), jamendo_id), captions)
    for jamendo_id, undescribed in songs.items():
        if jamendo_id not in described:
            yield Dropped(id=undescribed.id, reason="no caption", detail="upstream has none", fault=False)


def _excerpts(song: Track, captions: list[_Caption]) -> Iterator[Track | Dropped]:
    """Yield one track for each distinct excerpt of a song, with its distinct captions in alphabetical order."""
    texts_of: dict[tuple[float, float], list[str]] = {}
    for start_s, end_s, text in sorted(set(captions)):
        texts_of.setdefault((start_s, end_s), []).append(text)
    for (start_s, end_s), texts in texts_of.items():
        yield _track(song, start_s, end_s, texts)


def _read_songs(root: Path, *, years: bool) -> Iterator[Track | Dropped]:
    """Yield the rows of the dated files, oldest file first, as whole tracks without captions."""
    for path in sorted([*root.glob("[12][0-9][0-9][0-9]-*.jsonl"), *root.glob("data/[12][0-9][0-9][0-9]-*.jsonl")]):
        rows = JsonLines(path, root, _MetadataRow)
        for item in rows:
            if isinstance(item, Dropped):
                yield item
                continue
            number, row = item
            if jamendo_id := _jamendo_id(row.id):
                yield _song(row, jamendo_id, years=years)
            else:
                yield rows.malformed(number, f"field 'id': expected a Jamendo id, found {row.id!r}")


def _song(row: _MetadataRow, jamendo_id: str, *, years: bool = False) -> Track:
    artist, title = html.unescape(row.artist_name or ""), html.unescape(row.name or "")
    info = row.musicinfo or _MusicInfo()
    tags = info.tags or _Tags()
    genre = one_genre(tags.genres)
    others = [SPEEDS.get(info.speed or "", ""), "instrumental" if info.vocalinstrumental == "instrumental" else ""]
    free = tidy_tags(tags.vartags, artist=artist) if tags.vartags else []
    return Track(
        id=f"jamendo_max_caps_{jamendo_id}",
        audio_path=f"{jamendo_id}.mp3",
        duration=seconds(row.duration),
        dataset="jamendo_max_caps",
        artist=artist,
        title=title,
        genre=genre,
        tags=tidy_tags([*tags.genres, *tags.instruments, *free, *others], genre=genre),
        license=row.license_ccurl or "",
        recording=f"jamendo:{jamendo_id}",
        artist_id=f"jamendo-artist:{row.artist_id}" if row.artist_id else "",
        attribution=f"{title} by {artist} (Jamendo)" if title and artist else "",
        url=row.shareurl or "",
        extra=year_field(row.releasedate) if years else {},
    )


def _track(song: Track, start_s: float, end_s: float, captions: list[str]) -> Track | Dropped:
    track_id = f"{song.id}_{_span(start_s, end_s)}"
    song_s = song.duration or end_s
    duration_s = min(end_s, song_s) - start_s
    if duration_s < SHORTEST_EXCERPT_S:
        return Dropped(
            id=track_id,
            reason=f"excerpt shorter than {SHORTEST_EXCERPT_S:g} s",
            detail=f"from {start_s:g} s of {song_s:g} s",
            fault=False,
        )
    return replace(song, id=track_id, captions=captions_of(captions, "model"), duration=duration_s, start=start_s)


@lru_cache(maxsize=65536)
def _span(start_s: float, end_s: float) -> str:
    return f"{start_s:g}-{end_s:g}"


def _jamendo_id(value: str | float) -> str:
    """Return the id as upstream writes it, an unpadded number; empty if it is none."""
    if isinstance(value, str) and value.isdecimal() and value[0] != "0":
        return value
    number = whole_number(value)
    return "" if number is None else str(number)


class _ExportItem(msgspec.Struct):
    """An item of the simpler export."""

    id: str | int
    caption: str | None = None
    audio_path: str | None = None
    duration: float | None = None
    artist: str | None = None
    title: str | None = None
    tags: list[str] | str | None = None
    license: str | None = None


def _parse_export(root: Path) -> Iterator[Track | Dropped]:
    for path in sorted((root / "metadata").glob("*.json")):
        for row in json_items(path, root, _ExportItem):
            if isinstance(row, Dropped):
                yield row
                continue
            item = row[1]
            jamendo_id = whole_number(item.id)
            tags = item.tags.split(",") if isinstance(item.tags, str) else item.tags or []
            caption = (item.caption or "").strip()
            yield Track(
                id=f"jamendo_max_caps_{item.id}",
                audio_path=item.audio_path or f"audio/{item.id}.mp3",
                captions=captions_of([caption], "model"),
                duration=seconds(item.duration),
                dataset="jamendo_max_caps",
                artist=item.artist or "",
                title=item.title or "",
                tags=tidy_tags(tags, artist=item.artist or ""),
                license=item.license or "",
                recording=f"jamendo:{jamendo_id}" if jamendo_id is not None else "",
                split=SPLITS.get(path.stem.lower()),
            )


_ENDS_IN_SPAN = re.compile(r"_[\d.]+-[\d.]+$")


def _is_excerpt(track: Track) -> bool:
    """Return whether a track is from the captions file, whose ids end in a span of seconds, and not from the export."""
    return _ENDS_IN_SPAN.search(track.id) is not None


DATASET = Dataset(
    name="jamendo_max_caps",
    title="JamendoMaxCaps",
    homepage="https://huggingface.co/datasets/amaai-lab/JamendoMaxCaps",
    parse=parse,
    marker_files=("final_caption30sec.jsonl", "data/final_caption30sec.jsonl", "metadata/*.json"),
    audio_folders=(".", "audio/**"),
    is_excerpt=_is_excerpt,
    captions={"model": 0},
    tracks=362_238,
    caption_license="CC BY-SA 3.0",
    audio_license="per track",
    files=FILES,
    choices=CHOICES,
)
