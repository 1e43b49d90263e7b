"""Song Describer, with all captions: people's descriptions of 706 songs."""

from unisono.retrieval.evaluate.benchmarks import BenchmarkCard

OVERLAPS = (
    "MTG-Jamendo: all of its tracks; only split 0 keeps them, and their artists, out of the train split",
    "JamendoMaxCaps: tracks of the same Jamendo ids",
    "FGMCaps: its training part holds about 90 % of MTG-Jamendo",
)
CARD = BenchmarkCard(
    name="song-describer",
    title="Song Describer, all captions",
    music="song-describer",
    homepage="https://zenodo.org/records/10072001",
    dataset="song_describer",
    revision="Zenodo record 10072001, version 1.0.0",
    license="captions CC BY-SA 4.0; audio per track, mostly non-commercial",
    split="all: its authors ask not to train on it",
    queries=1106,
    candidates=706,
    protocol="Each caption is a query; the track that it describes is relevant. Audio: the first 120 s of a track at most.",
    overlaps=OVERLAPS,
)
