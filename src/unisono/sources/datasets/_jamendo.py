"""Read the files about songs of Jamendo that MTG-Jamendo and Song Describer publish."""

from functools import lru_cache
from pathlib import Path

import msgspec

from unisono.base.tally import Dropped
from unisono.sources.cells import one_genre, seconds, tidy_tags, whole_number
from unisono.sources.readers import good_rows, refuse_lfs_pointer, tab_rows


class SideFacts(msgspec.Struct, gc=False):
    """The facts that these files state about a song."""

    artist_id: int | None = None
    duration_s: float = 0.0
    """Seconds of the whole song."""
    tags: tuple[str, ...] = ()
    """All tags in order, each after its category, possibly repeated: `genre---metal`."""
    title: str = ""
    artist: str = ""
    license: str = ""
    """As spelled in the licence file."""
    attribution: str = ""
    url: str = ""
    released: str = ""
    """A date, if it was asked for."""


@lru_cache(maxsize=1 << 16)
def genre_and_tags(tags: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the main genre, if there is exactly one, and the other tags. The list is cached: do not change it."""
    distinct: list[str] = []
    genres: list[str] = []
    for cell in tags:
        category, _, tag = cell.partition("---")
        if tag and tag not in distinct:
            distinct.append(tag)
            if category == "genre":
                genres.append(tag)
    genre = one_genre(genres)
    return genre, tidy_tags(distinct, genre=genre)  # a controlled vocabulary, without names of artists


def read_tags(path: Path, root: Path, facts: dict[int, SideFacts], dropped: list[Dropped]) -> list[int]:
    """Read rows of `track_0000226 artist_000014 album_000031 26/226.mp3 222.8 genre---metal ...`; return the ids.

    The header is optional, the number of tags varies, and tags of several rows of one song are joined.
    """
    ids = []
    for number, cells in good_rows(tab_rows(path, root), dropped):
        track_id = _number(cells[0], "track_")
        if track_id is None or len(cells) < 5:
            if cells[0] != "TRACK_ID":
                detail = f"expected track, artist, album, path, duration and tags, found {cells[:3]}"
                dropped.append(Dropped(id=f"{path.name}:{number}", reason="malformed row", detail=detail))
            continue
        ids.append(track_id)
        song = facts.setdefault(track_id, SideFacts())
        song.artist_id = _artist_id(cells[1])
        song.duration_s = seconds(cells[4])
        tags = tuple(cells[5:])
        if not song.tags:
            song.tags = tags
        elif song.tags != tags:  # most tables repeat the rows of others
            song.tags += tuple(tag for tag in tags if tag not in song.tags)
    return ids


def read_licenses(path: Path, facts: dict[int, SideFacts]) -> None:
    """Read blocks of three lines (path, attribution, licence), separated by lines of `--`, if the file is there."""
    if not path.exists():
        return
    refuse_lfs_pointer(path)
    for block in path.read_text(encoding="utf-8-sig", errors="replace").split("--\n"):
        lines = block.strip().splitlines()
        track_id = whole_number(lines[0].rpartition("/")[2].partition(".")[0]) if len(lines) == 3 else None
        if track_id is None:
            continue
        song = facts.setdefault(track_id, SideFacts())
        song.attribution, song.license = lines[1].strip(), lines[2].strip()
        names, _, song.url = song.attribution.rpartition(" from Jamendo: ")
        title, _, artist = names.partition(" by ")
        if " by " not in artist:  # else it is unclear where the title ends
            song.title, song.artist = title, artist


def read_names(
    path: Path, root: Path, facts: dict[int, SideFacts], dropped: list[Dropped], *, released: int | None = None
) -> None:
    """Read ids, titles and artists from the first, fourth and fifth column, and dates from `released`."""
    for _, cells in good_rows(tab_rows(path, root), dropped):
        track_id = _number(cells[0], "track_")
        if track_id is not None and len(cells) > 4:
            song = facts.setdefault(track_id, SideFacts())
            song.title, song.artist = cells[3].strip(), cells[4].strip()
            if released is not None and len(cells) > released:
                song.released = cells[released]


@lru_cache(maxsize=1 << 16)
def _artist_id(cell: str) -> int | None:
    return _number(cell, "artist_")


def _number(cell: str, prefix: str) -> int | None:
    return whole_number(cell.removeprefix(prefix))
