"""Write releases of full size with invented content for the benchmarks: shapes, sizes and defects of the real ones.

python -m benchmarks.generated fma FOLDER [--share 1]
python -m benchmarks.generated jamendo_max_caps FOLDER [--share 1]
"""

import argparse
import csv
import json
import math
import os
import random
from pathlib import Path

import numpy as np
import soundfile

FMA_ROWS = 106_574
FMA_PRESENT = 8_000
FMA_MEDIUM = 25_000
CAPTIONS = 362_000
CAPTIONS_A_TRACK = 7
CLIP_S = 30.0

FMA_FIELDS = {
    "album": "comments date_created date_released engineer favorites id information listens producer tags title tracks type",
    "artist": "active_year_begin active_year_end associated_labels bio comments date_created favorites id latitude location "
    "longitude members name related_projects tags website wikipedia_page",
    "set": "split subset",
    "track": "bit_rate comments composer date_created date_recorded duration favorites genre_top genres genres_all "
    "information interest language_code license listens lyricist number publisher tags title",
}
_GENRES = "Hip-Hop Pop Rock Experimental Folk Jazz Electronic International Instrumental Blues Classical Country"
GENRES = _GENRES.split()
LICENSES = [
    "Attribution-Noncommercial-Share Alike 3.0 United States",
    "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International",
    "Attribution-NonCommercial 3.0 International",
    "Attribution",
    "Attribution-Noncommercial-No Derivative Works 2.0 UK: England & Wales",
]
_WORDS = (
    "the band began in a small room with two guitars and a broken organ, then moved to the coast; "
    "recordings of rain, voices and old synthesizers went into every album since, and “the long winter” "
    "of 1998 is on all of them - improvised, quiet, loud again, never the same twice, played by friends "
    "from Köln, Montréal and São Paulo"
)
WORDS = _WORDS.split()
_CAPTION_WORDS = (
    "this is a slow calm electronic piece with soft synth pads and warm bass that builds into an "
    "energetic driving rhythm featuring acoustic guitar piano strings drums and gentle female vocals "
    "creating a dreamy nostalgic atmosphere in"
)
CAPTION_WORDS = _CAPTION_WORDS.split()


def text(source: random.Random, words: int) -> str:
    return " ".join(source.choices(WORDS, k=words))


def html(source: random.Random, words: int) -> str:
    return f'<p>{text(source, words)}</p>\n<p class="note">{text(source, words // 4)}, "{text(source, 2)}"</p>'


def clip(path: Path) -> Path:
    """Write one clip of 30 s in stereo, for many hard links."""
    noise = np.random.default_rng(0).standard_normal((round(44_100 * CLIP_S), 2)).astype(np.float32) * 0.05
    soundfile.write(path, noise, 44_100, format="MP3")
    return path


def fma(root: Path, share: float) -> None:
    """Write `fma_metadata` with all rows and `fma_small` with its 8,000 files, or a share of both."""
    source = random.Random(2)
    rows, present, medium_rows = (math.ceil(share * count) for count in (FMA_ROWS, FMA_PRESENT, FMA_MEDIUM))
    metadata = root / "fma_metadata"
    metadata.mkdir(parents=True)
    artists = [_fma_artist(source, number) for number in range(1, 16_342)]
    columns = [(group, field) for group, fields in FMA_FIELDS.items() for field in fields.split()]
    ids = sorted(source.sample(range(2, 155_321), rows))
    small = set(source.sample(ids, present))
    medium = set(source.sample(ids, medium_rows)) - small
    with (metadata / "tracks.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *(group for group, _ in columns)])
        writer.writerow(["", *(field for _, field in columns)])
        writer.writerow(["track_id", *([""] * len(columns))])
        for track_id in ids:
            subset = "small" if track_id in small else "medium" if track_id in medium else "large"
            cells = _fma_cells(source, subset) | source.choice(artists)
            writer.writerow([track_id, *(cells.get(column, "") for column in columns)])
    with (metadata / "genres.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["genre_id", "#tracks", "parent", "title", "top_level"])
        writer.writerows([number, 100, 0, title, number] for number, title in enumerate(GENRES, 1))
    sound = clip(root / "clip.mp3")
    for track_id in sorted(small):
        path = root / "fma_small" / f"{track_id:06}"[:3] / f"{track_id:06}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(sound, path)


def _fma_artist(source: random.Random, number: int) -> dict[tuple[str, str], object]:
    name = text(source, 2).title()
    return {
        ("artist", "bio"): html(source, source.choice([0, 30, 90, 300])),
        ("artist", "date_created"): "2008-11-26 01:42:32",
        ("artist", "favorites"): source.randrange(100),
        ("artist", "id"): number,
        ("artist", "location"): "Montréal",
        ("artist", "members"): text(source, 6),
        ("artist", "name"): name,
        ("artist", "tags"): repr([name.lower()]),
        ("artist", "website"): f"http://www.example.org/{number}",
    }


def _fma_cells(source: random.Random, subset: str) -> dict[tuple[str, str], object]:
    genres = source.sample(range(1, len(GENRES) + 1), source.randint(1, 3))
    return {
        ("album", "comments"): 0,
        ("album", "date_created"): "2008-11-26 01:44:45",
        ("album", "date_released"): "2009-01-05 00:00:00",
        ("album", "id"): source.randrange(14_854),
        ("album", "information"): html(source, source.choice([0, 20, 60, 200])),
        ("album", "listens"): source.randrange(10**6),
        ("album", "tags"): "[]",
        ("album", "title"): text(source, 3),
        ("album", "tracks"): 7,
        ("album", "type"): "Album",
        ("set", "split"): source.choices(["training", "validation", "test"], [8, 1, 1])[0],
        ("set", "subset"): subset,
        ("track", "bit_rate"): 256_000,
        ("track", "date_created"): "2008-11-26 01:48:12",
        ("track", "duration"): source.randint(20, 600),
        ("track", "genre_top"): GENRES[genres[0] - 1] if subset != "large" or source.random() < 0.3 else "",
        ("track", "genres"): repr(genres[:1]),
        ("track", "genres_all"): repr(genres),
        ("track", "interest"): source.randrange(10_000),
        ("track", "language_code"): "en",
        ("track", "license"): source.choice(LICENSES),
        ("track", "listens"): source.randrange(10_000),
        ("track", "number"): source.randint(1, 12),
        ("track", "tags"): repr(source.sample(["ambient", "lo-fi", "noise", "spoken"], source.choice([0, 0, 0, 2]))),
        ("track", "title"): text(source, source.randint(1, 5)),
    }


def jamendo_max_caps(root: Path, share: float) -> None:
    """Write 362,000 captions of excerpts or a share of them, their tracks' metadata in dated files, and linked audio."""
    source = random.Random(3)
    root.mkdir(parents=True)
    captions = math.ceil(share * CAPTIONS)
    ids = source.sample(range(1_000, 2_300_000), captions // CAPTIONS_A_TRACK + 1)
    rows = [(number, turn) for number in ids for turn in range(CAPTIONS_A_TRACK)][:captions]
    source.shuffle(rows)
    with (root / "final_caption30sec.jsonl").open("w", encoding="utf-8") as file:
        for number, turn in rows:
            caption = " ".join(source.choices(CAPTION_WORDS, k=source.randint(25, 60)))
            row = {"id": str(number), "caption": caption, "start_time": 30.0 * turn, "end_time": 30.0 * turn + 30}
            file.write(json.dumps(row) + "\n")
    for year in range(20):
        with (root / f"{2004 + year}-03-27.jsonl").open("w", encoding="utf-8") as file:
            for number in ids[year::20]:
                file.write(json.dumps(_jamendo_track(source, number)) + "\n")
    sound = root / "clip.mp3"
    noise = np.random.default_rng(0).standard_normal((8_000 * 30 * CAPTIONS_A_TRACK, 1)).astype(np.float32) * 0.05
    soundfile.write(sound, noise, 8_000, format="MP3")
    for number in ids:
        path = root / "audio" / f"{number % 100:02}" / f"{number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(sound, path)


def _jamendo_track(source: random.Random, number: int) -> dict[str, object]:
    peaks = json.dumps({"peaks": [source.randrange(100) for _ in range(800)]}, separators=(",", ":"))
    return {
        "id": str(number),
        "name": text(source, 3),
        "duration": 30 * CAPTIONS_A_TRACK,
        "artist_id": str(number % 40_000),
        "artist_name": text(source, 2),
        "artist_idstr": "artist",
        "album_name": text(source, 2),
        "album_id": str(number % 60_000),
        "license_ccurl": f"http://creativecommons.org/licenses/{source.choice(['by', 'by-nc-sa', 'by-nc-nd'])}/3.0/",
        "position": 1,
        "releasedate": "2015-03-29",
        "album_image": "https://images.jamendo.com/albums/s145/145774/covers/1.200.jpg",
        "audio": f"https://mp3l.jamendo.com/?trackid={number}&format=mp31",
        "audiodownload": "",
        "prourl": "",
        "shorturl": f"https://jamen.do/t/{number}",
        "shareurl": f"https://www.jamendo.com/track/{number}",
        "waveform": peaks,
        "image": "",
        "musicinfo": {
            "vocalinstrumental": "instrumental", "lang": "", "gender": "", "acousticelectric": "", "speed": "medium",
            "tags": {"genres": ["electronic", "ambient"], "instruments": ["synthesizer"], "vartags": ["calm"]},
        },
        "audiodownload_allowed": True,
    }  # fmt: skip


RELEASES = {"fma": fma, "jamendo_max_caps": jamendo_max_caps}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", choices=RELEASES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=1, help="share of the full size")
    arguments = parser.parse_args()
    RELEASES[arguments.release](arguments.folder, arguments.share)
