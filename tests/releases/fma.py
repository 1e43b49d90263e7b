"""FMA as its zips unpack: `tracks.csv` with three header rows and 53 columns, `genres.csv`, and `fma_small`."""

import csv
from pathlib import Path

from tests.releases import audio

SECONDS = 3.0
"""Length of the clips on disk."""

GROUPS = {
    "album": "comments,date_created,date_released,engineer,favorites,id,information,listens,producer,tags,title,tracks,type",
    "artist": "active_year_begin,active_year_end,associated_labels,bio,comments,date_created,favorites,id,latitude,location,"
    "longitude,members,name,related_projects,tags,website,wikipedia_page",
    "set": "split,subset",
    "track": "bit_rate,comments,composer,date_created,date_recorded,duration,favorites,genre_top,genres,genres_all,"
    "information,interest,language_code,license,listens,lyricist,number,publisher,tags,title",
}
COLUMNS = [(group, field) for group, fields in GROUPS.items() for field in fields.split(",")]

Row = dict[tuple[str, str], str]


def row(**cells: str) -> Row:
    """Make a row; cells are named `group__field`, the others get what upstream mostly has."""
    usual = {
        ("album", "id"): "1",
        ("album", "information"): '<p>Made in "one" night,\nwith friends</p>',
        ("album", "tags"): "[]",
        ("artist", "id"): "1",
        ("artist", "name"): "AWOL",
        ("artist", "bio"): "<p>A Way Of Life,\n\n a collective</p>",
        ("artist", "tags"): "['awol']",
        ("set", "split"): "training",
        ("set", "subset"): "small",
        ("track", "duration"): "168",
        ("track", "genre_top"): "Hip-Hop",
        ("track", "genres"): "[21]",
        ("track", "genres_all"): "[21]",
        ("track", "license"): "Attribution-NonCommercial-ShareAlike 3.0 International",
        ("track", "tags"): "[]",
        ("track", "title"): "Food",
    }
    changed = {(name.split("__", 1)[0], name.split("__", 1)[1]): text for name, text in cells.items()}
    return usual | changed


ROWS: dict[int, Row] = {
    2: row(),
    5: row(set__split="validation", track__title='This "World"', track__tags="['piano', 'sad']"),
    10: row(
        artist__id="6", artist__name="Kurt Vile", artist__tags="['philly', 'kurt vile', 'electric guitar']",
        set__split="test", track__genre_top="Pop", track__genres="[10]", track__genres_all="[10]",
        track__license="Attribution-Noncommercial-No Derivative Works 2.0 UK: England & Wales",
    ),
    140: row(
        artist__id="54", artist__name="Alec K. Redfearn & the Eyesores", track__title="Queen Of The Wires",
        artist__tags="['alec k redfearn and the eyesores']", track__genre_top="Folk", track__genres="[17]",
        track__genres_all="[17]", track__license="Attribution",
    ),
    98565: row(artist__id="9", artist__name="Short", artist__tags="[]", track__title="", track__duration="1832"),
    99134: row(artist__id="9", artist__name="Short", artist__tags="[]", track__title="Nothing of It"),
    133297: row(artist__id="9", artist__name="Short", artist__tags="[]", track__license="Public Domain"),
    3: row(set__subset="medium", track__title="Electric Ave"),
    20: row(
        artist__id="4", artist__name="Nicky Cook", set__subset="large", track__genre_top="", track__genres="[76, 103]",
        artist__tags="['instrumentals', 'experimental pop', 'nicky', 'cook', 'tabla', 'fun']",
        track__genres_all="[17, 10, 76, 103]",
        track__title="Spiritual Level", track__license="FMA-Limited: Download Only",
    ),
    155320: row(
        artist__id="7", artist__name="ZZZone", set__subset="large", track__genre_top="", track__genres="[]",
        artist__tags="['zzzone']", track__genres_all="[]", track__license="", track__title="Last",
    ),
}  # fmt: skip
GENRES = [
    (10, "2332", 0, "Pop", 10),
    (17, "2803", 0, "Folk", 17),
    (21, "8389", 0, "Hip-Hop", 21),
    (76, "1952", 10, "Experimental Pop", 10),
    (103, "2500", 17, "Singer-Songwriter", 17),
]
GOOD = ["fma_2", "fma_5", "fma_10", "fma_140"]
BAD_AUDIO = {"fma_98565": "truncated", "fma_99134": "missing", "fma_133297": "empty"}
DROPPED = {"not in the subset on disk": 3}


def build(root: Path) -> None:
    """Write the metadata and `fma_small`."""
    write_metadata(root / "fma_metadata")
    for number in ROWS:
        if ROWS[number]["set", "subset"] == "small":
            path = root / "fma_small" / f"{number:06}"[:3] / f"{number:06}.mp3"
            if how := BAD_AUDIO.get(f"fma_{number}"):
                audio.broken(path, how)
            else:
                audio.tone(path, SECONDS, 200 + number)


def write_metadata(folder: Path, rows: dict[int, Row] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tracks.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *(group for group, _ in COLUMNS)])
        writer.writerow(["", *(field for _, field in COLUMNS)])
        writer.writerow(["track_id", *([""] * len(COLUMNS))])
        for number, cells in sorted((ROWS if rows is None else rows).items()):
            writer.writerow([number, *(cells.get(column, "") for column in COLUMNS)])
    with (folder / "genres.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["genre_id", "#tracks", "parent", "title", "top_level"])
        writer.writerows(GENRES)
