"""Song Describer: descriptions of songs by people, for evaluation, 2023.

What:       706 songs of MTG-Jamendo with 1,106 captions, 1 to 5 each; excerpts of at most 120 s, mp3.
Captions:   written by people; 746 of them, of 547 songs, validated by others (`is_valid_subset`: true, false, not judged).
Licences:   captions CC BY-SA 4.0; audio per track, in `audio_licenses.txt`: Creative Commons, 497 of 706 non-commercial.
Splits:     none: the authors made it for evaluation and ask not to train on it.
Source:     https://zenodo.org/records/10072001 (paper: https://arxiv.org/abs/2311.10057)
Known defects:
- The csv's `duration` is the whole song's, and its `path` is MTG-Jamendo's: the excerpt is `<id>.2min.mp3`.
- `audio.zip` is unpacked to `audio/` or `audio/audio/`, as its two sets of instructions differ.
- Captions contain line breaks. All songs are in MTG-Jamendo and may be in JamendoMaxCaps; `recording` identifies them.

A plain `metadata.json` is read too: a list of items (or an object with `tracks`) with `id` (or `track_id`, `ytid`,
`youtube_id`), `captions` (or `caption`), `duration`, and `audio_path` or else `audio/<id>.mp3`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, Option, ParseOptions, RemoteFile
from unisono.sources.cells import seconds, tidy_tags, whole_number
from unisono.sources.datasets._jamendo import SideFacts, genre_and_tags, read_licenses, read_names, read_tags
from unisono.sources.readers import CsvTable, json_items
from unisono.tracks.track import Track, captions_of

EXCERPT_S = 120.0
_DOUBT = {"true": 0, "": 1, "false": 2}


def _zenodo(name: str, size: int, md5: str, unpack_to: str | None = None) -> RemoteFile:
    return RemoteFile(
        name=name,
        urls=(
            f"https://zenodo.org/records/10072001/files/{name}?download=1",
            f"https://zenodo.org/api/records/10072001/files/{name}/content",
        ),
        size=size,
        checksum=f"md5:{md5}",
        unpack_to=unpack_to,
        unpacked_size=3_350_000_000 if unpack_to else 0,
        audio=unpack_to is not None,
    )


FILES = (
    _zenodo("song_describer.csv", 186_208, "e90e9459c22bfbe69f5462dc1434d573"),
    _zenodo("audio_metadata.tsv", 97_667, "fa5d126659b08680719d189387d61e39"),
    _zenodo("audio_licenses.txt", 162_171, "cda13a080c03e14b8319430e1486ae6e"),
    _zenodo("song_describer_14_04_23.mtg-jamendo.tsv", 108_663, "3532f2df8b4c21a7ea85d9121eae244a"),
    _zenodo("audio.zip", 3_318_019_617, "2126b8facfe9468cf806c6154e09bbe5", unpack_to="."),
)
OPTIONS = (
    Option(name="valid_only", default=False, help="Only captions that upstream has validated (Song Describer)."),
)


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read `song_describer.csv` and the files next to it, or the plain `metadata.json`.

    Validated captions of a song come first (see `_RatedCaption`). The further field `caption_valid` states the judgement of
    each, in the same order.
    """
    path = root / "song_describer.csv"
    return _parse_csv(path, root, options) if path.exists() else _parse_json(root / "metadata.json", options)


@dataclass(order=True, frozen=True)
class _RatedCaption:
    """A caption; sorts by its judgement, then by number."""

    doubt: int
    """0: validated, 1: not judged, 2: found invalid."""
    number: int
    text: str

    @property
    def valid(self) -> bool | None:
        """Return upstream's judgement; None if there is none."""
        return (True, None, False)[self.doubt]


@dataclass
class _Song:
    artist_id: int | None
    duration_s: float
    captions: list[_RatedCaption] = field(default_factory=list)


def _parse_csv(path: Path, root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    table = CsvTable(
        path, root, ("track_id", "caption"), optional=("caption_id", "is_valid_subset", "artist_id", "duration")
    )
    songs: dict[int, _Song] = {}
    for row in table:
        if isinstance(row, Dropped):
            yield row
            continue
        number, (cell, text, caption_id, valid, artist_id, duration) = row
        track_id = whole_number(cell)
        if track_id is None:
            yield table.malformed(number, f"field 'track_id': expected a whole number, found {cell!r}")
        elif valid.strip().lower() not in _DOUBT:
            yield table.malformed(number, f"field 'is_valid_subset': expected True, False or nothing, found {valid!r}")
        elif not text.strip():
            yield Dropped(id=table.where(number), reason="empty caption")
        else:
            song = songs.setdefault(track_id, _Song(whole_number(artist_id), seconds(duration)))
            doubt = _DOUBT[valid.strip().lower()]
            song.captions.append(_RatedCaption(doubt, whole_number(caption_id) or 0, text.strip()))
    dropped: list[Dropped] = []
    sides = _read_side_files(root, dropped)
    yield from dropped
    for track_id, song in sorted(songs.items()):
        yield _track(track_id, song, sides.get(track_id, SideFacts()), options)


def _track(track_id: int, song: _Song, side: SideFacts, options: ParseOptions) -> Track | Dropped:
    captions = {caption.text: caption for caption in sorted(song.captions, reverse=True)}
    ordered = sorted(caption for caption in captions.values() if caption.valid or not options.own["valid_only"])
    if not ordered:
        return Dropped(id=f"song_describer_{track_id}", reason="no validated caption", fault=False)
    genre, tags = genre_and_tags(side.tags)
    return Track(
        id=f"song_describer_{track_id}",
        audio_path=f"{track_id % 100:02}/{track_id}.2min.mp3",
        captions=captions_of([caption.text for caption in ordered], "human"),
        duration=min(EXCERPT_S, song.duration_s),
        dataset="song_describer",
        artist=side.artist,
        title=side.title,
        genre=genre,
        tags=tags.copy(),
        license=side.license,
        recording=f"jamendo:{track_id}",
        artist_id=f"jamendo-artist:{song.artist_id}" if song.artist_id is not None else "",
        attribution=side.attribution,
        url=side.url,
        extra={"caption_valid": [caption.valid for caption in ordered]},
    )


def _read_side_files(root: Path, dropped: list[Dropped]) -> dict[int, SideFacts]:
    """Read licences, names and tags, of those files that are there; append rows that cannot be read to `dropped`."""
    facts: dict[int, SideFacts] = {}
    read_licenses(root / "audio_licenses.txt", facts)
    if (path := root / "audio_metadata.tsv").exists():
        read_names(path, root, facts, dropped)
    for path in sorted(root.glob("song_describer*.mtg-jamendo*.tsv")):
        read_tags(path, root, facts, dropped)
    return facts


class _Item(msgspec.Struct):
    """An item of the plain `metadata.json`."""

    id: str | int | None = None
    track_id: str | int | None = None
    ytid: str | None = None
    youtube_id: str | None = None
    captions: list[str] | str | None = None
    caption: list[str] | str | None = None
    duration: float | None = None
    audio_path: str | None = None
    artist: str | None = None
    title: str | None = None
    genre: str | None = None
    tags: list[str] | None = None
    license: str | None = None


def _parse_json(path: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    for row in json_items(path, path.parent, _Item):
        if isinstance(row, Dropped):
            yield row
            continue
        where, item = row
        key = next((key for key in (item.id, item.track_id, item.ytid, item.youtube_id) if key not in (None, "")), None)
        if key is None:
            yield Dropped(id=where, reason="no id", detail="expected id, track_id, ytid or youtube_id")
            continue
        given = item.captions or item.caption or []
        captions = list(dict.fromkeys(text.strip() for text in ([given] if isinstance(given, str) else given)))
        captions = [text for text in captions if text]
        if options.own["valid_only"]:
            yield Dropped(id=f"song_describer_{key}", reason="no validated caption", fault=False)
            continue
        youtube = item.ytid or item.youtube_id
        jamendo = None if youtube else whole_number(key)
        yield Track(
            id=f"song_describer_{key}",
            audio_path=item.audio_path or f"audio/{key}.mp3",
            captions=captions_of(captions, "human"),
            duration=seconds(item.duration),
            dataset="song_describer",
            artist=item.artist or "",
            title=item.title or "",
            genre=item.genre or "",
            tags=tidy_tags(item.tags or [], genre=item.genre or "", artist=item.artist or ""),
            license=item.license or "",
            recording=f"youtube:{youtube}" if youtube else f"jamendo:{jamendo}" if jamendo is not None else "",
        )


def _audio_names(track: Track) -> Iterable[str]:
    """Return the names that some tools use for the excerpt."""
    name = track.audio_path.removesuffix(".2min.mp3")
    return [f"{name}.mp3", f"{name.rpartition('/')[2]}.2min.mp3", f"{name.rpartition('/')[2]}.mp3"]


DATASET = Dataset(
    name="song_describer",
    title="Song Describer",
    homepage="https://zenodo.org/records/10072001",
    parse=parse,
    options=OPTIONS,
    marker_files=("song_describer.csv", "metadata.json"),
    audio_folders=("audio", "audio/audio", "."),
    audio_names=_audio_names,
    captions={"human": 1106},
    tracks=706,
    caption_license="CC BY-SA 4.0",
    audio_license="per track",
    evaluation_only=True,
    files=FILES,
)
