"""Clotho: captions with CRLF (LF in evaluation), metadata in ISO-8859-1, names that must stay as they are."""

import csv
from pathlib import Path

from tests.releases import audio

NAMES = {
    "development": [" typical neighborhood in Porto.wav", "Chris&#39; Elevator.wav", "Rain, 100%.wav", "Café #2 .wav"],
    "validation": ["Rain, 100%.wav", "gone.wav"],
    "evaluation": ["Bus(Drive_Reverse)_1-2.wav"],
}
GOOD = [f"clotho_{part}_{name}" for part, names in NAMES.items() for name in names if name != "gone.wav"]
BAD_AUDIO = {"clotho_validation_gone.wav": "missing"}
DROPPED: dict[str, int] = {}


def build(root: Path) -> None:
    """Write the release."""
    root.mkdir(parents=True, exist_ok=True)
    for part, names in NAMES.items():
        ending = "\n" if part == "evaluation" else "\r\n"
        with (root / f"clotho_captions_{part}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator=ending)
            writer.writerow(["file_name", *(f"caption_{number}" for number in range(1, 6))])
            for name in names:
                writer.writerow(
                    [name, *(f"Sound {number} of {name[:4].strip()}, {part}" for number in (1, 2, 3, 4, 4))]
                )
        with (root / f"clotho_metadata_{part}.csv").open("w", encoding="latin-1", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(
                ["file_name", "keywords", "sound_id", "sound_link", "start_end_samples", "manufacturer", "license"]
            )
            for number, name in enumerate(names):
                sound_id = str(1000 + number) if number != 1 else "Not found"
                link = "NA" if number == 1 else f"https://freesound.org/s/{number}"
                samples = "[0, 661500]" if number else ""
                license = "http://creativecommons.org/licenses/by/3.0/"
                writer.writerow([name, "rain;café", sound_id, link, samples, "José", license])
        for number, name in enumerate(names):
            if name != "gone.wav":
                audio.tone(root / part / name, 1, 200 + 70 * number)
