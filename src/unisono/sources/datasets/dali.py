"""DALI: songs with lyrics aligned in time, 2018 (v1) and 2020 (v2).

What:       5,358 songs (v1) or 7,756 (v2), from YouTube.
Captions:   none. They are made here from genre and language (`A Pop track featuring vocals sung in English`), with
            the origin `tags`. Lyrics are kept only on request, line by line with their times.
Licences:   annotations CC BY-NC-SA 4.0, for research; audio: from YouTube, no licence stated.
Splits:     none.
Source:     https://github.com/gabolsgabs/DALI (paper: https://arxiv.org/abs/1906.10606)
Known defects:
- The release is restricted: Zenodo grants access on request (records 2577915 and 3576083), and audio is the user's own.
- Each annotation is a gzipped Python pickle. It is read here without executing anything: only plain
  containers and the one class that upstream pickles are accepted.
- 42 videos are used twice, genres are in French, and a few languages are wrong.
"""

import gzip
import pickle
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from unisono.base.tally import Dropped
from unisono.captions.ways.template import caption
from unisono.sources.base import Dataset, Option, ParseOptions
from unisono.sources.cells import tidy_tags, year_field
from unisono.sources.readers import read_json
from unisono.tracks.track import Track, captions_of

LARGEST_ANNOTATION_BYTES = 64 << 20
"""Unpacked; the largest published ones have a few megabytes."""
FOLDERS = ("DALI_v1.0", "DALI_v2.0", "annot_tismir", ".")
GROUND_TRUTH = "gt_"
"""The beginning of the name of upstream's file of manual offsets, which lies among the annotations."""
GENRES = {
    "Rock indé": "Indie Rock",
    "Pop indé/Folk": "Indie Pop",
    "Pop Indé": "Indie Pop",
    "Rock Indé/Pop Rock": "Indie Rock",
    "Pop internationale": "Pop",
    "Variété Internationale": "Pop",
    "Singer & Songwriter": "Singer-Songwriter",
    "Rock & Roll/Rockabilly": "Rock and Roll",
    "Rap/Hip Hop": "Hip-Hop",
    "Films/Jeux vidéo": "Soundtrack",
    "Musiques de films": "Soundtrack",
    "Bandes originales": "Soundtrack",
    "Jeunesse": "Children's Music",
    "Chanson française": "Chanson",
    "Comédies musicales": "Musical Theatre",
    "R&B contemporain": "R&B",
    "Chill Out/Trip-Hop/Lounge": "Chill-Out",
    "Rock français": "Rock",
    "Techno/House": "Techno",
    "Jazz vocal": "Vocal Jazz",
    "Soul & Funk": "Soul",
    "Musique brésilienne": "Brazilian",
}


OPTIONS = (Option(name="lyrics", default=False, help="Keep DALI's lyrics, line by line with their times."),)


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read the annotations; if there are none, the published metadata of v1, which has no lyrics."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.gz"))]
    paths = [path for path in found if not path.name.startswith(GROUND_TRUTH)]
    if not paths:
        for info in read_json(root / "dali_v1_metadata.json", dict[str, dict[str, Any]]).values():
            yield _track(info, [], years=options.years)
        return
    seen: set[str] = set()
    for path in paths:
        try:
            entry = load_annotation(path)
            lyrics = _lyrics(entry.annotations) if options.own["lyrics"] else []
            track = _track(entry.info, lyrics, years=options.years)
        except Exception as error:  # whatever the unpickler does with a hostile file is that file's fault
            yield Dropped(id=path.name, reason="unreadable annotation", detail=f"{type(error).__name__}: {error}")
            continue
        if track.id not in seen:  # a song may be in both versions
            seen.add(track.id)
            yield track


class Annotations:
    """The stand-in for `DALI.Annotations.Annotations`: it has the pickled attributes and no behaviour."""

    info: dict[str, Any]
    annotations: dict[str, Any]


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes) -> None:
        super().__init__(BytesIO(content))
        self._stand_in = type("Annotations", (Annotations,), {})  # new each time: a pickle may set its attributes

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for the one class that upstream pickles; refuse all others."""
        if (module, name) == ("DALI.Annotations", "Annotations"):
            return self._stand_in
        raise pickle.UnpicklingError(f"refused to load {module}.{name}: annotations hold nothing but plain values")


def load_annotation(path: Path) -> Annotations:
    """Read an annotation without executing anything in it.

    Raises:
        pickle.UnpicklingError: it contains anything but plain values and the one class, or is no annotation.
        OSError: it is not gzip.
        ValueError: it is larger than any annotation.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST_ANNOTATION_BYTES + 1)
    except (EOFError, zlib.error) as error:
        raise OSError(f"not a whole gzip file: {error}") from error
    if len(content) > LARGEST_ANNOTATION_BYTES:
        raise ValueError(f"unpacks to more than {LARGEST_ANNOTATION_BYTES:,} bytes")
    entry = _Unpickler(content).load()
    if not isinstance(entry, Annotations) or not isinstance(getattr(entry, "info", None), dict):
        raise pickle.UnpicklingError("it is no annotation of DALI")
    return entry


def _track(info: dict[str, Any], lyrics: list[dict[str, Any]], *, years: bool) -> Track:
    metadata = info.get("metadata") or {}
    youtube_id = str((info.get("audio") or {}).get("url") or "")
    song_id = str(info["id"])
    genres = [GENRES.get(genre, genre) for genre in metadata.get("genres") or []]
    tags = tidy_tags([*genres, "vocals"], artist="")
    language = str(metadata.get("language") or "").strip().title()
    return Track(
        id=f"dali_{song_id}",
        audio_path=f"{song_id}.mp3",
        captions=captions_of([caption("", tags) + (f" sung in {language}" if language.isalpha() else "")], "tags"),
        duration=0,
        dataset="dali",
        artist=str(info.get("artist") or ""),
        title=str(info.get("title") or ""),
        tags=tags,
        recording=f"youtube:{youtube_id}" if youtube_id else "",
        url=f"https://www.youtube.com/watch?v={youtube_id}" if youtube_id else "",
        extra=({"lyrics": lyrics} if lyrics else {}) | (year_field(metadata.get("release_date")) if years else {}),
    )


def _lyrics(annotations: dict[str, Any]) -> list[dict[str, Any]]:
    lines = (annotations.get("annot") or {}).get("lines") or []
    return [{"text": str(line["text"]), "time": [float(time) for time in line["time"]]} for line in lines]


def _audio_names(track: Track) -> Iterator[str]:
    youtube_id = track.recording.removeprefix("youtube:")
    for stem in (track.audio_path.removesuffix(".mp3"), youtube_id):
        yield from (f"{stem}.{ending}" for ending in ("mp3", "wav", "flac", "ogg", "opus"))


DATASET = Dataset(
    name="dali",
    title="DALI",
    homepage="https://github.com/gabolsgabs/DALI",
    parse=parse,
    options=OPTIONS,
    marker_files=("DALI_v1.0/*.gz", "DALI_v2.0/*.gz", "annot_tismir/*.gz", "dali_v1_metadata.json"),
    audio_folders=("audio", "DALI_v2.0/audio", "."),
    audio_names=_audio_names,
    captions={"tags": 7756},
    tracks=7756,
    caption_license="CC BY-NC-SA 4.0 (annotations; the captions are made from them)",
    audio_license="not given (YouTube)",
    not_fetched="DALI is restricted: ask for access at https://zenodo.org/records/3576083 and bring the audio yourself.",
)
