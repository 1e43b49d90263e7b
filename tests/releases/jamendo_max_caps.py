"""JamendoMaxCaps as the hub serves it: caption rows in no order, dated metadata files, audio by id."""

import json
from pathlib import Path
from typing import Any

from tests.releases import audio

SECONDS = {1001: 65.0, 1002: 32.0, 1003: 20.0, 1004: 31.0, 1005: 12.0}
"""Id -> length of the audio on disk."""

# id, caption, start_time, end_time
CAPTIONS: list[tuple[str, str, float, float]] = [
    ("1002", "A gentle acoustic guitar piece with a calm mood", 0.0, 30.0),
    ("1001", "An energetic electronic track with synthesizers", 0.0, 30.0),
    ("1001", "The beat drops and a lead synthesizer takes over", 30.0, 60.0),
    ("1001", "An energetic electronic track with synthesizers", 0.0, 30.0),  # an exact duplicate
    ("1001", "Driving synthesizer arpeggios over a four-on-the-floor beat", 0.0, 30.0),  # the same excerpt once more
    ("1001", "The last notes fade away", 60.0, 90.0),  # beyond the end: 65 s; a full 5 s are left
    ("1002", "Two seconds of silence", 30.0, 60.0),  # 2 s are left
    ("1003", "A solo piano plays a slow melody", 0.0, 30.0),  # beyond the end: 20 s
    ("1004", "An orchestral soundtrack with strings", 0.0, 30.0),
    ("1005", "A field recording of a street musician", 0.0, 12.0),  # no metadata row
    ("1006", "Ambient pads, slowly moving", 0.0, 30.0),  # no audio
    ("1007", "A lively fiddle tune", 0.0, 30.0),  # broken audio
]
GOOD = [
    "jamendo_max_caps_1001_0-30",
    "jamendo_max_caps_1001_30-60",
    "jamendo_max_caps_1001_60-90",
    "jamendo_max_caps_1002_0-30",
    "jamendo_max_caps_1003_0-30",
    "jamendo_max_caps_1004_0-30",
    "jamendo_max_caps_1005_0-12",
]
BAD_AUDIO = {"jamendo_max_caps_1006_0-30": "missing", "jamendo_max_caps_1007_0-30": "not audio"}
DROPPED = {"excerpt shorter than 5 s": 1, "no caption": 1}


def metadata(number: int, name: str, artist: str, **more: Any) -> dict[str, Any]:
    """Make a row of the Jamendo API with its 21 keys in upstream's order."""
    tags = {
        "genres": more.pop("genres", []),
        "instruments": more.pop("instruments", []),
        "vartags": more.pop("vartags", []),
    }
    info = {"vocalinstrumental": "instrumental", "lang": "", "gender": "", "acousticelectric": "", "speed": "medium"}
    info |= {key: more.pop(key) for key in list(more) if key in info}
    row: dict[str, Any] = {
        "id": str(number),
        "name": name,
        "duration": int(SECONDS.get(number, 180)),
        "artist_id": str(number + 300000),
        "artist_name": artist,
        "artist_idstr": artist.replace(" ", "_"),
        "album_name": "",
        "album_id": "7",
        "license_ccurl": "http://creativecommons.org/licenses/by-nc-sa/3.0/",
        "position": 1,
        "releasedate": "2008-01-01",
        "album_image": "",
        "audio": "https://example.org/?from=a%3D%3D",
        "audiodownload": "",
        "prourl": "",
        "shorturl": f"https://jamen.do/t/{number}",
        "shareurl": f"https://www.jamendo.com/track/{number}",
        "waveform": json.dumps({"peaks": [number % 100] * 200}),
        "image": "",
        "musicinfo": {**info, "tags": tags},
        "audiodownload_allowed": True,
    }
    return row | more


METADATA = {
    "2008-01-01.jsonl": [
        metadata(1001, "An Older Name", "Robo"),  # repeated in a later file, which wins
        metadata(1002, "Dawn", "Guitar Guy", genres=["folk"], instruments=["acousticguitar"], vartags=["calm"]),
        metadata(1003, 'Étude "No. 1"', "Zoë", genres=["classical"], instruments=["piano"],
                 speed="verylow", license_ccurl=""),
        metadata(1008, "Never Described", "Nobody"),  # no caption row
    ],
    "2021-03-27.jsonl": [
        metadata(
            1001, "Drop", "Robo", genres=["electronic"], instruments=["synthesizer"], vartags=["energetic", "robo"],
            speed="high", license_ccurl="http://creativecommons.org/licenses/by-sa/2.0/fr/",
        ),
        metadata(1004, "Titles &amp; Themes", "Film Orchestra", genres=["soundtrack", "orchestral"], vartags=["film"],
                 license_ccurl="http://artlibre.org/licence/lal/"),
        metadata(1006, "Pads", "Drifter", genres=["ambient"]),
        metadata(1007, "Reel", "Fiddler", genres=["celtic"]),
    ],
}  # fmt: skip


def build(root: Path) -> None:
    """Write the release."""
    root.mkdir(parents=True, exist_ok=True)
    keys = ("id", "caption", "start_time", "end_time")
    write_jsonl(root / "final_caption30sec.jsonl", [dict(zip(keys, row, strict=True)) for row in CAPTIONS])
    for name, rows in METADATA.items():
        write_jsonl(root / name, rows)
    for number, seconds in SECONDS.items():
        audio.tone(root / "audio" / "part-0" / f"{number}.mp3", seconds, 100 + (number - 1000) * 110)
    audio.broken(root / "audio" / "part-1" / "1007.mp3", "not audio")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


EXPORT_GOOD = ["jamendo_max_caps_2001", "jamendo_max_caps_2002", "jamendo_max_caps_2003"]


def build_export(root: Path) -> None:
    """Write the simpler export: one list of items for each split."""
    for split, numbers in (("train", (2001, 2002)), ("validation", (2003,))):
        items = [
            {
                "id": str(number),
                "caption": f"A {'slow' if number % 2 else 'fast'} song with flute and harp",
                "audio_path": f"audio/{number}.mp3",
                "duration": 6.0,
                "artist": f"Artist {number}",
                "title": f"Title {number}",
                "tags": ["flute", "harp"],
                "license": "CC BY-SA 3.0",
            }
            for number in numbers
        ]
        path = root / "metadata" / f"{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(items), encoding="utf-8")
        for number in numbers:
            audio.tone(root / "audio" / f"{number}.mp3", 6, number - 1500)
