"""Song Describer as Zenodo serves it, unpacked: `song_describer.csv`, three side files, `audio/NN/<id>.2min.mp3`."""

import csv
import io
from pathlib import Path

from demo.captions import human_captions, tags
from demo.casting import Item
from unisono.base.files import write_whole
from unisono.base.seeded import rng

COLUMNS = (
    "caption_id", "track_id", "caption", "is_valid_subset", "familiarity", "artist_id", "album_id", "path", "duration",
)  # fmt: skip
INSTRUMENT_TAGS = {
    "acoustic guitar": "acousticguitar",
    "electric guitar": "electricguitar",
    "string orchestra": "strings",
}
LICENSE = (
    "Available under the terms in music21's corpus/license.txt license: "
    "https://github.com/cuthbertLab/music21/blob/master/music21/corpus/license.txt"
)


def write(folder: Path, items: list[Item], seed: int) -> int:
    """Write the metadata, add broken tracks like upstream's, and return their number."""
    rows: list[list[object]] = []
    for item in items:
        random_ = rng(seed, "song_describer", item.track_id)
        validity = random_.choices(("True", "", "False"), weights=(67, 30, 3))[0]
        rows += [
            [item.track_id, caption, validity, random_.randint(0, 2), *_shared(item)]
            for caption in human_captions(item.facts[0], random_.randint(3, 5), random_)
        ]
    broken = 0
    if items:
        missing, empty = 1_500_001, 1_500_002
        example = [42, 43, "42/42.mp3", 180.0]
        rows.append([missing, "A track whose audio is missing, as after a broken download.", "True", 0, *example])
        rows.append([empty, "A track whose audio file is empty.", "True", 0, *example])
        path = folder / "audio" / f"{empty % 100:02d}" / f"{empty}.2min.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        broken = 2
    rows.sort(key=lambda row: str(row[0]))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([number, *row] for number, row in enumerate(rows, 1))
    write_whole(folder / "song_describer.csv", text.getvalue())
    write_whole(folder / "audio_licenses.txt", "\n--\n".join(map(_license, items)) + "\n")
    write_whole(folder / "audio_metadata.tsv", "".join(map(_metadata, items)))
    write_whole(folder / "song_describer_14_04_23.mtg-jamendo.tsv", "".join(map(_tags, items)))
    return broken


def _path(item: Item) -> str:
    return f"{item.track_id % 100:02d}/{item.track_id}.mp3"


def _shared(item: Item) -> list[object]:
    return [item.artist_id, item.artist_id + 1000, _path(item), item.song_s]


def _license(item: Item) -> str:
    page = f"http://www.jamendo.com/track/{item.track_id}"
    return f"{_path(item)}\n{item.title} by {item.artist} from Jamendo: {page}\n{LICENSE}"


def _metadata(item: Item) -> str:
    page = f"http://www.jamendo.com/track/{item.track_id}"
    identity = [item.track_id, item.artist_id, item.artist_id + 1000]
    return "\t".join(map(str, [*identity, item.title, item.artist, item.work.collection, "2023-01-01", page])) + "\n"


def _tags(item: Item) -> str:
    genre = "classical" if item.work.form == "chorale" else "folk"
    found = [f"genre---{genre}"]
    found += [f"instrument---{INSTRUMENT_TAGS.get(name, name)}" for name in item.facts[0].players]
    found += [f"mood/theme---{tag}" for tag in tags(item.facts[0]) if tag in ("calm", "energetic")]
    identity = [f"track_{item.track_id:07d}", f"artist_{item.artist_id:06d}", f"album_{item.artist_id + 1000:06d}"]
    return "\t".join([*identity, _path(item), str(item.song_s), *found]) + "\n"
