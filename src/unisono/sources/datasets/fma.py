"""FMA: a dataset for music analysis (Free Music Archive), 2017.

What:       106,574 tracks of 16,341 artists in nested subsets: small (8,000 clips, 8 genres), medium (25,000), large (all,
            as clips) and full (all, whole tracks); mp3, clips of 30 s cut from the middle.
Captions:   none. They are made here from the genre and the tags, with the origin `tags`.
Licences:   metadata CC BY 4.0; audio per track, as free text in `tracks.csv` (`track.license`), mostly non-commercial.
Splits:     upstream's training, validation and test, without a shared artist.
Source:     https://github.com/mdeff/fma (paper: https://arxiv.org/abs/1612.01840)
Known defects:
- `track.duration` is the whole track's, from an API that is sometimes wrong; clips cut past the end are short or empty.
  The 21 that upstream lists are known here; the others are found only by measuring the audio.
- `genre_top` is empty for about half of the tracks; their genre is then the root of their first genre in `genres.csv`.
- `artist.tags` mostly holds the artist's own name; only genres and instruments among these tags are used.
- `tracks.csv` has three header rows and cells with line breaks; lists are written as Python literals.
- 937 files of the full set are byte for byte copies of others.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, Option, ParseOptions, RemoteFile
from unisono.sources.cells import list_literal, seconds, text_of, tidy_tags, whole_number, year_field
from unisono.sources.readers import CsvTable
from unisono.tracks.track import Split, Track
from unisono.tracks.vocabulary import look_up

CLIP_S = 30.0
SUBSETS = ("small", "medium", "large")
SPLITS: dict[str, Split] = {"training": "train", "validation": "val", "test": "test"}
# https://github.com/mdeff/fma/wiki: clips of the small and medium subsets that are not 30 s long. 0: nothing can be decoded.
SHORT_CLIPS_S = {
    98565: 1.6, 98567: 0.5, 98569: 1.5, 99134: 0, 108925: 0, 133297: 0, 1486: 0, 5574: 0, 65753: 0, 80391: 0, 98558: 0,
    98559: 0, 98560: 0, 98566: 6.2, 98568: 6.6, 98571: 0, 105247: 0, 108924: 27.4, 126981: 0, 127336: 0, 143992: 0,
}  # fmt: skip

_COLUMNS = (
    "track_id", "set.split", "set.subset", "artist.id", "artist.name", "artist.tags", "track.duration", "track.genre_top",
    "track.genres", "track.license", "track.tags", "track.title",
)  # fmt: skip


def _zip(name: str, sha1: str, unpacked_size: int, *, size: int = 0, about: int = 0) -> RemoteFile:
    """Describe one of the zips. Their members are compressed with bzip2, which some tools cannot unpack."""
    subset = name.removeprefix("fma_")
    known_bad = {
        f"{name}/{clip:06}"[: len(name) + 4] + f"/{clip:06}.mp3": f"{clip_s:g} s long" if clip_s else "holds no sound"
        for clip, clip_s in SHORT_CLIPS_S.items()
    }
    return RemoteFile(
        name=f"{name}.zip",
        urls=(f"https://os.unil.cloud.switch.ch/fma/{name}.zip",),
        size=size,
        about=about,
        checksum=f"sha1:{sha1}",
        unpack_to=".",
        unpacked_size=unpacked_size,
        audio=subset != "metadata",
        parts=frozenset() if subset == "metadata" else frozenset({subset}),
        known_bad=known_bad if subset in ("small", "medium", "large") else {},
    )


FILES = (
    _zip("fma_metadata", "f0df49ffe5f2a6008d7dc83c6915b31835dfe733", 1_500_000_000, size=358_412_441),
    _zip("fma_small", "ade154f733639d52e35e32f5593efe5be76c6d70", 7_900_000_000, size=7_679_594_875),
    _zip("fma_medium", "c67b69ea232021025fca9231fc1c7c1a063ab50b", 24_500_000_000, about=23_800_000_000),
    _zip("fma_large", "497109f4dd721066b5ce5e5f250ec604dc78939e", 103_000_000_000, size=100_306_112_191),
    _zip("fma_full", "0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab", 960_000_000_000, about=943_600_000_000),
)
CHOICES = (
    Option(
        name="size",
        flag="fma_size",
        default="small",
        values=("small", "medium", "large", "full"),
        help="Which FMA: 8,000 (small), 25,000 (medium) or 106,574 clips of 30 s (large), or the untrimmed tracks (full).",
    ),
)


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read `fma_metadata/`; yield the tracks of the largest subset whose folder is there; all for a plan, or if none is."""
    folder = root / "fma_metadata" if (root / "fma_metadata" / "tracks.csv").exists() else root
    titles, roots = _read_genres(folder / "genres.csv", root)
    more = ("album.date_released",) if options.years else ()
    table = CsvTable(folder / "tracks.csv", root, _COLUMNS, optional=more, header_rows=3)
    subsets, is_clip = _on_disk(root)
    for row in table:
        if isinstance(row, Dropped):
            yield row
            continue
        number, cells = row
        cell, split, subset, artist_id, artist, artist_tags, length, genre, genres, license, tags, title, *released = (
            cells
        )
        track_id = whole_number(cell)
        if track_id is None:
            yield table.malformed(number, f"field 'track_id': expected a whole number, found {cell!r}")
            continue
        if subset not in subsets and not options.planning:
            yield Dropped(id=f"fma_{track_id}", reason="not in the subset on disk", detail=subset, fault=False)
            continue
        try:
            genre_ids, own_tags = list_literal(genres), list_literal(tags)
        except ValueError as error:
            yield table.malformed(number, f"field 'track.genres' or 'track.tags': {error}")
            continue
        artist = text_of(artist)
        genre = text_of(genre) or (roots.get(genre_ids[0], "") if genre_ids else "")
        genres_below = tuple(titles.get(genre_id, "") for genre_id in genre_ids)
        padded = f"{track_id:06}"
        yield Track(
            id=f"fma_{track_id}",
            audio_path=f"{padded[:3]}/{padded}.mp3",
            duration=_clip_seconds(track_id, seconds(length)) if is_clip else seconds(length),
            dataset="fma",
            artist=artist,
            title=(title := text_of(title)),
            genre=genre,
            tags=list(_tags(genre, genres_below, own_tags, _artist_tags(artist_tags), artist)),
            license=license,
            recording=f"fma:{track_id}",
            artist_id=f"fma-artist:{artist_id}" if artist_id else "",
            split=SPLITS.get(split),
            attribution=f"{title} by {artist} (Free Music Archive)" if title and artist else "",
            extra=year_field(released[0]) if released else {},
        )


def _read_genres(path: Path, root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return id -> title, and id -> title of the root genre; ids are text."""
    table = CsvTable(path, root, ("genre_id", "title", "top_level"))
    rows: list[tuple[str, ...]] = []
    for row in table:
        if isinstance(row, Dropped):
            raise DataError(f"{path}: {row.id}: {row.detail}.")
        rows.append(row[1])
    titles = {genre_id: text_of(title) for genre_id, title, _ in rows}
    return titles, {genre_id: titles.get(top, "") for genre_id, _, top in rows}


def _on_disk(root: Path) -> tuple[tuple[str, ...], bool]:
    """Return the subsets on disk (small is part of medium, medium of large), and whether they are clips."""
    clips = [subset for subset in SUBSETS if (root / f"fma_{subset}").is_dir()]
    has_whole_tracks = (root / "fma_full").is_dir()
    if has_whole_tracks or not clips:
        return SUBSETS, not has_whole_tracks or bool(clips)
    return SUBSETS[: SUBSETS.index(clips[-1]) + 1], True


def _clip_seconds(track_id: int, track_s: float) -> float:
    return SHORT_CLIPS_S.get(track_id, min(CLIP_S, track_s))


@lru_cache(maxsize=65536)
def _tags(
    genre: str, genres: tuple[str, ...], own: tuple[str, ...], artist_tags: tuple[str, ...], artist: str
) -> tuple[str, ...]:
    """Join genres and free tags; only free tags are compared with the artist's name."""
    return tuple(tidy_tags([*genres, *tidy_tags([*own, *artist_tags], artist=artist)], genre=genre))


@lru_cache(maxsize=65536)
def _artist_tags(text: str) -> tuple[str, ...]:
    """Return the genres and instruments among an artist's tags; moods, places and names do not describe one track."""
    try:
        tags = list_literal(text)
    except ValueError:
        return ()
    return tuple(tag for tag in tags if (term := look_up(tag)) and term.kind in ("genre", "instrument"))


DATASET = Dataset(
    name="fma",
    title="FMA (Free Music Archive)",
    homepage="https://github.com/mdeff/fma",
    parse=parse,
    marker_files=("fma_metadata/tracks.csv", "tracks.csv"),
    audio_folders=("fma_large", "fma_medium", "fma_small", "fma_full", "."),
    captions={"tags": 106_574},
    tracks=106_574,
    caption_license="CC BY 4.0 (metadata; the captions are made from it)",
    audio_license="per track",
    files=FILES,
    choices=CHOICES,
)
