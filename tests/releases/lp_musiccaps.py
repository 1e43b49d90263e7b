"""LP-MusicCaps: Parquet files of its three sets, one folder each."""

from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from tests.releases import audio


def captions(text: str) -> dict[str, Any]:
    return {
        "caption_writing": text,
        "caption_summary": f"In short: {text}" if text else "",
        "caption_paraphrase": text,  # upstream repeats itself now and then
        "caption_attribute_prediction": "Not recommended",
        "pseudo_attribute": ["x"],
    }


ROWS: dict[str, list[dict[str, Any]]] = {
    "MC/data/train-00000-of-00001.parquet": [
        {
            "fname": "[-0Gj8-vB1q4]-[30-40]",
            "ytid": "-0Gj8-vB1q4",
            "aspect_list": ["sad", "piano"],
            **captions("Sad piano"),
        },
        {"fname": "[ccccccccccc]-[7-17]", "ytid": "ccccccccccc", "aspect_list": ["harp"], **captions("A harp")},
    ],
    "MTT/data/valid-00000-of-00001.parquet": [
        {
            "track_id": "10",
            "title": "Aria",
            "artist_name": "Anne",
            "tag": ["opera"],
            "path": "f/10.mp3",
            **captions("An aria"),
        },
        {"track_id": "11", "title": "Rien", "artist_name": "Anne", "tag": [], "path": "f/11.mp3", **captions("")},
        {"track_id": None, "title": "", "artist_name": "", "tag": [], "path": "", **captions("Nobody's")},
    ],
    "MSD/data/test-00000-of-00001.parquet": [
        {
            "track_id": "TRIHXPZ128F1466744",
            "title": "Song",
            "artist_name": "Band",
            "tag": ["rock", "band"],
            **captions("Rock"),
        },
    ],
}
GOOD = ["lp_musiccaps_-0Gj8-vB1q4", "lp_musiccaps_10", "lp_musiccaps_TRIHXPZ128F1466744"]
BAD_AUDIO = {"lp_musiccaps_ccccccccccc": "missing", "lp_musiccaps_11": "missing"}
DROPPED = {"no id": 1}


def build(root: Path) -> None:
    """Write the three sets."""
    for name, rows in ROWS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(rows), root / name)
    audio.tone(root / "audio" / "[-0Gj8-vB1q4]-[30-40].wav", 2, 300)
    audio.tone(root / "audio" / "f" / "10.mp3", 2, 400)
    audio.tone(root / "audio" / "TRIHXPZ128F1466744.mp3", 2, 500)
