"""MusicBench, test set A: captions by a model, without sentences on chords, beat, tempo and key."""

from pathlib import Path

import msgspec

from unisono.retrieval.evaluate.benchmarks import BenchmarkCard
from unisono.sources.cells import tidy
from unisono.sources.readers import JsonLines, good_rows
from unisono.tracks.track import Track, replace

NAMES = ("MusicBench_test_A.json", "MusicBench_testA.json")


class _WordedClip(msgspec.Struct, gc=False):
    location: str
    main_caption: str | None = None


def _wording_a(root: Path, tracks: list[Track]) -> list[Track]:
    """Keep the clips of test A with their main captions; the release joins both wordings of a clip."""
    path = next((root / name for name in NAMES if (root / name).exists()), root / NAMES[0])
    captions: dict[str, set[str]] = {}
    for _, row in good_rows(JsonLines(path, root, _WordedClip), []):
        captions.setdefault("/".join(row.location.split("/")[-2:]), set()).add(tidy(row.main_caption or ""))
    kept = []
    for track in tracks:
        wanted = captions.get("/".join(Path(track.audio_path).parts[-2:]), set())
        chosen = tuple(caption for caption in track.captions if tidy(caption.text) in wanted)
        if chosen:
            kept.append(replace(track, captions=chosen))
    return kept


CARD = BenchmarkCard(
    name="musicbench-a",
    title="MusicBench, test set A",
    music="musicbench",
    homepage="https://huggingface.co/datasets/amaai-lab/MusicBench",
    dataset="musicbench",
    choose=_wording_a,
    revision="MusicBench_test_A.json, SHA-256 c5a84f9f7a1ed8d11c13a36020d85ce7bd9101e6de9a23c66867329b0590770a",
    license="captions CC BY-SA 3.0; audio: YouTube, no licence stated",
    split="test, wording A",
    queries=None,
    candidates=None,
    lines=(NAMES, 400),
    protocol="Each distinct main caption of test A is a query; the clips that it describes are relevant. The file must have "
    "400 rows, as published; no source states how many captions and clips are distinct. “MusicBench 400” of FIGMA's paper "
    "is 197 clips.",
    overlaps=("MusicCaps: all clips", "AudioSet: all clips", "MusicBench's train part: other clips of the same style"),
)
