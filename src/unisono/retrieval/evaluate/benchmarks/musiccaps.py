"""MusicCaps, its published test set: musicians' descriptions of clips of 10 s."""

from pathlib import Path

from unisono.retrieval.evaluate.benchmarks import BenchmarkCard
from unisono.tracks.track import Track


def _test_set(_: Path, tracks: list[Track]) -> list[Track]:
    return [track for track in tracks if track.split == "test"]


CARD = BenchmarkCard(
    name="musiccaps",
    title="MusicCaps, test set",
    music="musiccaps",
    homepage="https://huggingface.co/datasets/google/MusicCaps",
    dataset="musiccaps",
    choose=_test_set,
    revision="musiccaps-public.csv, MD5 a9e402b1c2620cd1f72a5729777ea9a7",
    license="captions CC BY-SA 4.0; audio: YouTube, no licence stated",
    split="is_audioset_eval is true",
    queries=2858,
    candidates=2858,
    protocol="Each caption is a query; its clip of 10 s is relevant. Clips disappear from YouTube: results exist for 2,777, "
    "2,858, 4,281 and 5,521 of them, and cannot be compared.",
    overlaps=(
        "AudioSet: all clips; models that were trained on it, such as LAION's CLAP, have heard them",
        "MusicBench: all clips, and rephrased captions",
        "LP-MusicCaps-MC: the same captions, rephrased",
    ),
)
