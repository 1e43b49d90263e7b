"""Write the golden files of the formats as they are now: `python -m tests.golden.make FOLDER`, once for each new format.

What is written is kept: later versions must read it as `test_formats.py` says.
"""

import sys
from pathlib import Path

import numpy as np

from tests.making import make_record
from unisono.embeddings.file import create_embeddings
from unisono.tracks.files import write_tracks
from unisono.tracks.track import Caption, Split, Track

DIM = 4
TRACKS = [
    Track(
        id="fma_2",
        audio_path="/music/fma/000002.mp3",
        duration=29.98,
        captions=(Caption("A Hip-Hop track", "tags"),),
        dataset="fma",
        artist="AWOL",
        title="Food",
        genre="Hip-Hop",
        tags=["energetic", "drums"],
        license="CC-BY-NC-SA-3.0",
        recording="fma:2",
        artist_id="fma-artist:1",
        split="train",
        attribution="Food by AWOL",
        url="https://example.org/2",
        sha256="0" * 64,
        extra={"bpm": 92.5, "mood": ["bright", None]},
    ),
    Track(
        id="jamendo_max_caps_7_30",
        audio_path="/music/jamendo/7.flac",
        duration=30,
        captions=(
            Caption("Twee fluiten – 二つの笛", "human"),
            Caption("Two flutes, slow", "model"),
            Caption("flute", None),
        ),
        start=30,
        split="val",
    ),
    Track(id="mine_1", audio_path="/music/one.wav", duration=183.2, captions=(Caption("A waltz", None),), split="test"),
]
RECORD = make_record("dsp", DIM)


def embedding(row: int) -> np.ndarray:
    """Return the row's embedding [4]; every number is exact in float16."""
    return np.arange(DIM, dtype=np.float32) / 8 + row


def main(folder: Path) -> None:
    """Write one file of each format."""
    folder.mkdir(parents=True)
    for ending in ("json", "jsonl", "parquet"):
        write_tracks(folder / f"unified.{ending}", TRACKS)
    with create_embeddings(folder / "embeddings.h5", {"seed": 42}, 1) as writer:
        for row, track in enumerate(TRACKS):
            split: Split = track.split or "train"
            writer.add_split(split, [track])
            writer.add_embeddings(split, RECORD, iter([embedding(row)[None].astype(np.float16)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
