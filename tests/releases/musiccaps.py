"""MusicCaps: the csv, and clips under the names that various tools give them."""

import csv
from pathlib import Path

from tests.releases import audio

CLIPS = {
    "-0Gj8-vB1q4": (
        30,
        "['low quality', 'sad', 'piano', 'soft female vocal']",
        "A ballad,\nsung softly",
        "False",
        "True",
    ),
    "-0SdAVK79lg": (30, "['electric guitar', \"it's slow\"]", 'A "slow" electric guitar', "False", "False"),
    "__aaaaaaaaa": (120, "['techno', 'fast tempo']", "Fast techno with “curly” quotes", "True", "True"),
    "bbbbbbbbbbb": (0, "['flute']", "A flute at the very beginning", "False", "False"),
    "ccccccccccc": (7, "['harp']", "A harp that nobody has kept", "False", "False"),
    "ddddddddddd": (10, "[]", "Noise", "False", "False"),
}
NAMES = {
    "-0Gj8-vB1q4": "-0Gj8-vB1q4.wav",
    "-0SdAVK79lg": "[-0SdAVK79lg]-[30-40].wav",
    "__aaaaaaaaa": "__aaaaaaaaa_120.flac",
    "bbbbbbbbbbb": "bbbbbbbbbbb_0_10.mp3",
}
GOOD = [f"musiccaps_{youtube_id}" for youtube_id in NAMES]
BAD_AUDIO = {"musiccaps_ccccccccccc": "missing", "musiccaps_ddddddddddd": "empty"}
DROPPED = {"malformed row": 1}


def build(root: Path) -> None:
    """Write the release."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "musiccaps-public.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ytid", "start_s", "end_s", "audioset_positive_labels", "aspect_list", "caption", "author_id",
                         "is_balanced_subset", "is_audioset_eval"])  # fmt: skip
        for youtube_id, (start, aspects, caption, balanced, is_eval) in CLIPS.items():
            writer.writerow(
                [youtube_id, start, start + 10, "/m/0140xf,/m/02cjck", aspects, caption, 4, balanced, is_eval]
            )
        writer.writerow(
            ["=too-short", 0, 10, "", "[]", "Somebody opened the file in a spreadsheet", 4, "False", "False"]
        )
    for number, name in enumerate(NAMES.values()):
        audio.tone(root / "audio" / name, 2, 300 + 50 * number)
    audio.broken(root / "audio" / "ddddddddddd.wav", "empty")
