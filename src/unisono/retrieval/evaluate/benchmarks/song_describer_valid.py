"""Song Describer, with the captions that people found valid, among the tracks that have one."""

from dataclasses import replace

from unisono.retrieval.evaluate.benchmarks import song_describer

CARD = replace(
    song_describer.CARD,
    name="song-describer-valid",
    title="Song Describer, captions found valid",
    options={"valid_only": True},
    split="is_valid_subset is true",
    queries=746,
    candidates=547,
    protocol="Each caption that people found valid is a query, among the tracks that have one. Papers differ in the tracks "
    "that they rank: 547, 706, or not stated. The data card says 546 tracks, the csv has 547.",
)
