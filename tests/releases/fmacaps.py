"""FMACaps: three wordings of the same clips, as JSON Lines named .json."""

import json
from pathlib import Path

from tests.releases import audio
from tests.releases.musicbench import row

WORDINGS = {
    "A": {"2": "A hip-hop beat", "140": "A folk song", "977": "Noise"},
    "B": {
        "2": "A hip-hop beat. The bpm is 90. The key is C minor.",
        "140": "A folk song. The bpm is 80.",
        "977": "Noise",
    },
    "C": {"2": "A hip-hop beat. The bpm is 90.", "140": "A folk song", "977": "Noise"},
}
GOOD = ["fmacaps_2", "fmacaps_140"]
BAD_AUDIO = {"fmacaps_977": "empty"}
DROPPED: dict[str, int] = {}


def build(root: Path) -> None:
    """Write the release."""
    folder = root / "FMACaps_eval_set"
    folder.mkdir(parents=True, exist_ok=True)
    for wording, captions in WORDINGS.items():
        rows = [row(f"audiodata/{number}.wav", caption, "") for number, caption in captions.items()]
        (folder / f"FMACaps_{wording}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    audio.tone(folder / "audiodata" / "2.wav", 2, 310)
    audio.tone(folder / "audiodata" / "140.wav", 2, 410)
    audio.broken(folder / "audiodata" / "977.wav", "empty")
