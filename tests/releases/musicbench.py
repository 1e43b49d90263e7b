"""MusicBench: JSON Lines named .json, several rows a file, augmented copies, the tar's folder `datashare`."""

import json
from pathlib import Path
from typing import Any

from tests.releases import audio


def row(location: str, main: str, alt: str, **more: Any) -> dict[str, Any]:
    """Make a row with the keys of the release."""
    return {
        "dataset": "MusicBench", "location": location, "main_caption": main, "alt_caption": alt, "prompt_aug": "",
        "prompt_ch": "The chord sequence is E.", "prompt_bt": "", "prompt_bpm": "", "prompt_key": "",
        "beats": [[0.5], [1.0]],
        "bpm": 118.0, "chords": ["E", "B"], "chords_time": [0.4, 2.2], "key": ["E", "major"], "keyprob": [0.9],
        "is_audioset_eval_mcaps": False, **more,
    }  # fmt: skip


ROWS = {
    "MusicBench_train.json": [
        row("data_aug2/-0SdAVK79lg_1.wav", "A guitar plays, rephrased", "A guitar plays. The bpm is 118."),
        row("data_aug2/-0SdAVK79lg_1.wav", "A guitar plays, rephrased again", "A guitar plays. The bpm is 118."),
        row("data/-0SdAVK79lg.wav", "A guitar", "A guitar. The key is E major.", is_audioset_eval_mcaps=True),
        row("data_aug2/__aaaaaaaaa_10.wav", "Techno that slows down", "", bpm=None, key=[None, None], chords=[]),
        row("data/bbbbbbbbbbb.wav", "A flute", "A flute, alone"),
        row("data/no.wav", "Not a YouTube id", ""),
    ],
    "MusicBench_test_A.json": [row("data/ccccccccccc.wav", "A harp", "")],
    "MusicBench_test_B.json": [row("data/ccccccccccc.wav", "A harp. The key is E major.", "A harp")],
}
GOOD = [
    "musicbench_data_aug2_-0SdAVK79lg_1",
    "musicbench_data_-0SdAVK79lg",
    "musicbench_data_aug2___aaaaaaaaa_10",
    "musicbench_data_ccccccccccc",
]
BAD_AUDIO = {"musicbench_data_bbbbbbbbbbb": "not audio"}
DROPPED = {"malformed row": 1}


def build(root: Path) -> None:
    """Write the release."""
    root.mkdir(parents=True, exist_ok=True)
    for name, rows in ROWS.items():
        (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    locations = sorted({row["location"] for rows in ROWS.values() for row in rows} - {"data/no.wav"})
    for number, location in enumerate(locations):
        if location == "data/bbbbbbbbbbb.wav":
            audio.broken(root / "datashare" / location, "not audio")
        else:
            audio.tone(root / "datashare" / location, 2, 250 + 60 * number)
