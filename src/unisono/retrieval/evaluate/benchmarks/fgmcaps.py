"""FGMCaps, test set: captions by a model with tempo, key, chords and metre, for 10,000 clips of 10 s."""

from pathlib import Path

from unisono.retrieval.evaluate.benchmarks import BenchmarkCard
from unisono.tracks.track import Track


def _test_set(_: Path, tracks: list[Track]) -> list[Track]:
    return [track for track in tracks if track.split in ("test", None)]


CARD = BenchmarkCard(
    name="fgmcaps",
    title="FGMCaps, test set",
    music="fgmcaps",
    homepage="https://huggingface.co/datasets/nishitanand/FGMCaps-benchmark",
    dataset="hf:nishitanand/FGMCaps-benchmark@a2f3b8bccc85b7e63563a0976b155e48e7be5278",
    choose=_test_set,
    revision="a2f3b8bccc85b7e63563a0976b155e48e7be5278",
    license="CC BY-NC-SA 4.0",
    split="test",
    queries=10_000,
    candidates=10_000,
    protocol="Each caption is a query; its clip is relevant. Labels are by BeatNet, Omnizart and Essentia, captions by "
    "Qwen3.",
    overlaps=(
        "MTG-Jamendo, Music4All, JamendoMaxCaps, MusicBench: its training part is made of them, Song Describer's "
        "tracks included",
    ),
)
