"""Song Describer as Zenodo serves it: csv sorted by id as a string, excerpts named `<id>.2min.mp3`, side files."""

import csv
import json
from pathlib import Path

from tests.releases import audio

SECONDS = 4.0
"""Length of the audio on disk; the csv gives the whole song's."""

# caption_id, track_id, caption, is_valid_subset, artist_id, album_id, duration
CAPTIONS = [
    (859, 1004034, "Electronic music with a constant melody, heard in a casual setting", "True", 368880, 118196, 202.5),
    (233, 1009671, 'A rock song with a "country" vibe,\nmale vocals and acoustic guitar', "", 7063, 118858, 160.1),
    (159, 1009671, "Uplifting English rock  and roll song with a positive feeling.", "True", 7063, 118858, 160.1),
    (622, 1009671, "A classic chord progression, used playfully", "False", 7063, 118858, 160.1),
    (12, 226, "Métal énergique – fast drums and distorted guitars", "True", 14, 31, 44.5),
    (13, 226, "Loud metal with screaming", "", 14, 31, 44.5),
    (77, 24837, "A slow piano piece that only people outside the valid subset described", "", 2534, 3112, 300.0),
    (78, 3112, "A dreamy electronic soundscape", "True", 286, 485, 341.0),
    (79, 3453, "Heavy riffs and shouting", "False", 14, 545, 242.4),
    (80, 4880, "Smooth jazzy lounge with funk guitar", "True", 696, 751, 214.8),
    (81, 5084, "Groovy bass with wah guitar", "True", 696, 786, 205.7),
]
BAD_AUDIO = {
    "song_describer_3112": "empty",
    "song_describer_3453": "not audio",
    "song_describer_4880": "missing",
    "song_describer_5084": "truncated",
}
GOOD = ["song_describer_226", "song_describer_24837", "song_describer_1004034", "song_describer_1009671"]
DROPPED: dict[str, int] = {}
TRACKS = {track_id: (artist, album, duration) for _, track_id, _, _, artist, album, duration in CAPTIONS}

LICENSES = {
    226: ("JLP vs momomatic by David TMX", "License Art Libre: http://artlibre.org/licence/lal/"),
    3112: ("Mystic light by The 17 Sons of Abraxas", "by-nc-sa/2.5"),
    3453: ("John Kafé disjoncte by David TMX", "by-nc-sa/3.0"),
    4880: ("What Cool by Tom La Meche", "by-nc-nd/2.5"),
    5084: ("Groovy E-T Funk by Tom La Meche", "by-nc-sa/2.5"),
    24837: ("Stand by Me by Bill by Bob", "by-sa/3.0"),
    1004034: ("Casual by Ünïted", "by/2.0/fr"),
    1009671: ("Positive Feeling by The Country Vibe", "by-nc-sa/3.0"),
}
TAGS = {
    226: ["genre---metal", "instrument---drums", "instrument---electricguitar", "mood/theme---energetic"],
    3112: ["genre---electronic", "genre---minimal"],
    3453: ["genre---metal"],
    4880: ["genre---easylistening", "genre---jazz", "genre---lounge"],
    5084: ["genre---funk", "mood/theme---cool"],
    1004034: ["genre---electronic", "instrument---synthesizer"],
    1009671: ["genre---rock", "genre---rocknroll", "mood/theme---positive"],
}


def build(root: Path) -> None:
    """Write the release."""
    root.mkdir(parents=True, exist_ok=True)
    write_csv(root / "song_describer.csv")
    write_side_files(root)
    for number, track_id in enumerate(sorted(TRACKS)):
        path = root / "audio" / f"{track_id % 100:02}" / f"{track_id}.2min.mp3"
        if how := BAD_AUDIO.get(f"song_describer_{track_id}"):
            audio.broken(path, how)
        else:
            audio.tone(path, SECONDS, 220 + 40 * number)


def write_csv(path: Path) -> None:
    header = ["caption_id", "track_id", "caption", "is_valid_subset", "familiarity"]
    header += ["artist_id", "album_id", "path", "duration"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for caption_id, track_id, caption, valid, artist, album, duration in sorted(
            CAPTIONS, key=lambda row: str(row[1])
        ):
            path_cell = f"{track_id % 100:02}/{track_id}.mp3"
            writer.writerow([caption_id, track_id, caption, valid, 1, artist, album, path_cell, duration])


def write_side_files(root: Path) -> None:
    blocks = []
    for track_id, (line, license) in LICENSES.items():
        if license.startswith("by"):
            license = f"a Creative Commons license: http://creativecommons.org/licenses/{license}/"
        url = f"http://www.jamendo.com/track/{track_id}"
        blocks.append(f"{track_id % 100:02}/{track_id}.mp3\n{line} from Jamendo: {url}\nAvailable under {license}\n")
    (root / "audio_licenses.txt").write_text("--\n".join(blocks), encoding="utf-8")
    rows, metadata = [], []
    for track_id, (artist, album, duration) in sorted(TRACKS.items()):
        cells = [
            f"track_{track_id:07}",
            f"artist_{artist:06}",
            f"album_{album:06}",
            f"{track_id % 100:02}/{track_id}.mp3",
        ]
        rows.append("\t".join([*cells, str(duration), *TAGS.get(track_id, [])]))
        if track_id != 1004034:  # one that only the licence file knows
            title, _, name = LICENSES[track_id][0].rpartition(" by ")
            url = f"http://www.jamendo.com/track/{track_id}"
            metadata.append("\t".join([*cells[:3], title, name, "An Album", "2008-01-01", url]))
    (root / "song_describer_14_04_23.mtg-jamendo.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "audio_metadata.tsv").write_text("\n".join(metadata) + "\n", encoding="utf-8")


JSON_GOOD = ["song_describer_a1", "song_describer_226", "song_describer_-0Gj8_vB1q4"]


def build_json(root: Path, *, wrapped: bool = False) -> None:
    """Write the plain variant: `metadata.json` and `audio/<id>.mp3`."""
    items = [
        {
            "id": "a1",
            "captions": ["A calm flute", "Somebody plays a flute"],
            "duration": 3.0,
            "audio_path": "audio/one.mp3",
        },
        {"track_id": 226, "caption": "Fast metal", "duration": 3},
        {"ytid": "-0Gj8_vB1q4", "captions": "A ballad with piano", "duration": 10, "tags": ["piano"]},
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / "metadata.json").write_text(json.dumps({"tracks": items} if wrapped else items), encoding="utf-8")
    for name, hertz in (("one", 300), ("226", 400), ("-0Gj8_vB1q4", 500)):
        audio.tone(root / "audio" / f"{name}.mp3", 3, hertz)
