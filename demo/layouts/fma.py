"""FMA's small set: `fma_metadata/tracks.csv` (three header rows, 53 columns), `genres.csv`, `fma_small/NNN/NNNNNN.mp3`.

It has no captions; tags and genres describe a track.
"""

import csv
import io
from pathlib import Path

from demo.captions import tags
from demo.casting import Item
from unisono.base.files import write_whole
from unisono.base.seeded import rank_key

FIELDS = {
    "album": "comments,date_created,date_released,engineer,favorites,id,information,listens,producer,tags,title,tracks,"
    "type",
    "artist": "active_year_begin,active_year_end,associated_labels,bio,comments,date_created,favorites,id,latitude,"
    "location,longitude,members,name,related_projects,tags,website,wikipedia_page",
    "set": "split,subset",
    "track": "bit_rate,comments,composer,date_created,date_recorded,duration,favorites,genre_top,genres,genres_all,"
    "information,interest,language_code,license,listens,lyricist,number,publisher,tags,title",
}
COLUMNS = [(group, field) for group, fields in FIELDS.items() for field in fields.split(",")]
GENRES = ((2, 0, "International"), (5, 0, "Classical"), (12, 0, "Rock"), (17, 0, "Folk"), (443, 5, "Choral Music"))
"""(genre_id, parent, title) of upstream's genres that are used here, and two that are not."""
HELD_OUT = {"test": 0.3, "validation": 0.1}
"""Upstream holds out a tenth for each; a measurement on so few compositions needs more."""
KNOWN_SHORT = {98567: b"", 133297: b"ID3\x03\x00" + bytes(1747)}
"""Two broken clips of upstream's small set; these have the same length in bytes."""


def write(folder: Path, items: list[Item], seed: int) -> int:
    """Write the metadata, add broken tracks like upstream's, and return their number."""
    rows = {item.track_id: _row(item, split) for item, split in zip(items, _splits(items, seed), strict=True)}
    broken = 0
    if items:
        for track_id, content in KNOWN_SHORT.items():
            rows[track_id] = {**next(iter(rows.values())), ("track", "title"): "A clip cut past the end of its song"}
            path = folder / "fma_small" / f"{track_id:06d}"[:3] / f"{track_id:06d}.mp3"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        rows[150_000] = {**next(iter(rows.values())), ("track", "title"): "A song of which no clip was made"}
        broken = len(KNOWN_SHORT) + 1
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["", *(group for group, _ in COLUMNS)])
    table.writerow(["", *(field for _, field in COLUMNS)])
    table.writerow(["track_id", *("" for _ in COLUMNS)])
    for track_id, row in sorted(rows.items()):
        table.writerow([track_id, *(row.get(column, "") for column in COLUMNS)])
    write_whole(folder / "fma_metadata" / "tracks.csv", text.getvalue())
    lines = ["genre_id,#tracks,parent,title,top_level"]
    lines += [f"{genre},100,{parent},{title},{parent or genre}" for genre, parent, title in GENRES]
    write_whole(folder / "fma_metadata" / "genres.csv", "\n".join(lines) + "\n")
    return broken


def _splits(items: list[Item], seed: int) -> list[str]:
    """Assign splits by artist, which here means by composition."""
    artists = sorted({item.artist_id for item in items}, key=lambda artist: rank_key(seed, "fma split", artist))
    split_of = dict.fromkeys(artists, "training")
    first = 0
    for split, share in HELD_OUT.items():
        last = first + round(len(artists) * share)
        split_of.update(dict.fromkeys(artists[first:last], split))
        first = last
    return [split_of[item.artist_id] for item in items]


def _row(item: Item, split: str) -> dict[tuple[str, str], object]:
    facts = item.facts[0]
    genres = [443] if facts.lead == "choir" and facts.form == "chorale" else [5] if facts.form == "chorale" else [17]
    top = 17 if genres == [17] else 5
    names_top = item.track_id % 8 > 0  # upstream leaves it empty for many
    return {
        ("album", "comments"): 0,
        ("album", "date_created"): "2008-11-26 01:44:45",
        ("album", "id"): -1 if item.track_id % 5 == 0 else item.artist_id + 1000,
        ("album", "information"): f"<p>{item.work.title},\nin several arrangements</p>",
        ("album", "listens"): 0,
        ("album", "tags"): "[]",
        ("album", "title"): item.work.title,
        ("album", "type"): "Album",
        ("artist", "bio"): f"<p>Plays nothing but {item.work.title}.</p>",
        ("artist", "id"): item.artist_id,
        ("artist", "name"): item.artist,
        ("artist", "tags"): repr([item.artist.lower()]),  # the artist's own name, as upstream
        ("set", "split"): split,
        ("set", "subset"): "small",
        ("track", "bit_rate"): 256000,
        ("track", "composer"): item.work.collection,
        ("track", "date_created"): "2008-11-26 01:48:12",
        ("track", "duration"): round(item.song_s),
        ("track", "genre_top"): {5: "Classical", 17: "Folk"}[top] if names_top else "",
        ("track", "genres"): repr(genres),
        ("track", "genres_all"): repr(sorted({*genres, top})),
        ("track", "interest"): 0,
        ("track", "license"): "see music21 corpus/license.txt",
        ("track", "listens"): 0,
        ("track", "number"): item.number + 1,
        ("track", "tags"): repr(tags(facts)),
        ("track", "title"): item.title,
    }
