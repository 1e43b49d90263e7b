"""Each benchmark runs as a user runs it, at a tiny size, and prints a ratio."""

import functools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import loaded
from tests.conftest import REPOSITORY
from tests.making import make_track
from tests.retrieval.train.synthetic import write_embeddings
from unisono.embeddings.file import open_embeddings
from unisono.tracks.files import write_tracks
from unisono.tracks.track import SPLITS, Track

TINY = {
    "beyond_memory": "--records 1000 --verbs convert",
    "download": "--megabytes 1 --small-files 4 --share 0.01 --rounds 1",
    "encoders": "--encoders mert_95m --layers 1 --window-s 1 --batch-sizes 2 --repeats 1",
    "gpu": "--tiny --in-process --parts floors mert memory copies end_to_end step tuned streams",
    "folder": "--files 30 --repeat 1",
    "library": "--files 100 --repeat 1",
    "matching": "--records 1000",
    "metrics": "--queries 60 --sorted-queries 20 --candidates 80 --dim 8",
    "near_duplicates": "--tracks 80 --pieces 2 --encoded 2 --checked 20",
    "parse": "--share 0.001",
    "prepare": "--encoders dsp --clips 1 --repeat 1",
    "robustness": "--captions 4",
    "search": "--tracks 30 50 --dim 8 --queried 2000 --indexed 400 --queries 3",
    "service": "--tracks 60 --dim 8 --users 3 --seconds 0.5 --pause 0.1",
    "tags": "--tracks 200 --repeats 1",
    "text_towers": "--layers 1 --tokens 4 --captions 8 --repeats 1",
    "train": "--captions 2000 --usual-steps 2 --dim 16 --batch-sizes 16",
    "tuning": "--batch-size 2 --steps 1 --clips 4 --seconds 4 --repeats 1",
    "unified_files": "--records 200",
    "unify": "--share 0.001 --repeat 1",
}
WITHOUT_RATIO = {"apart", "generated", "experiments", "harder_experiments", "harder_music", "kept_front", "timing"}
"""What only serves the benchmarks, or compares models and not times."""


@functools.cache
def run(name: str, *words: str) -> str:
    """Run a benchmark from the repository's root and return what it prints."""
    done = loaded.python("-m", f"benchmarks.{name}", *words, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ratios(shown: str) -> list[float]:
    """Find the ratios in what a benchmark printed, in sentences or in a column of a table."""
    found = re.findall(r"\bratio(?: to the \w+)? +(\S+?)[;,:]?(?=\s|$)", shown)
    lines = shown.splitlines()
    for at, line in enumerate(lines):
        if "   ratio   " in line:
            column = re.split(r"\s{2,}", line.strip()).index("ratio")
            found += [re.split(r"\s+", row.strip())[column] for row in lines[at + 1 :]]
    return [float(each) for each in found if re.fullmatch(r"\S*\d\S*", each)]


def test_all_are_run():
    names = {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py")}
    assert names - WITHOUT_RATIO == set(TINY)


@pytest.mark.parametrize(
    ("name", "words"),
    [*TINY.items(), ("prepare", "--memory --memory-tracks 2 4")],
)
def test_it_prints_a_ratio(name: str, words: str):
    found = ratios(run(name, *words.split()))
    assert found and all(math.isfinite(each) and each > 0 for each in found)


def test_the_hours_disk_and_cost_of_large_collections():
    shown = run("prepare", *["--rate", "muq=100", "--machines", "10", "--price-per-hour", "3.6"])
    assert "1,000,000 clips, muq: 0.3 hours on 10 machines like this, 2.0 GB, cost 10" in shown
    assert "100,000,000 clips, muq: 27.8 hours on 10 machines like this, 204.8 GB, cost 1,000" in shown


def test_ranks_agree_with_those_of_sorting():
    shown = run("metrics", *TINY["metrics"].split())
    assert "sum of the ranks of 20 queries" in shown and "DIFFER" not in shown


def test_the_usual_loop_reaches_the_same_loss():
    shown = run("train", *TINY["train"].split())
    assert float(shown.split("losses agree to ")[1]) < 1e-5


def test_experiments(tmp_path: Path):
    path = write_embeddings(tmp_path / "processed_embeddings", windows=2)
    write_tracks(tmp_path / "unified_dataset.json", tracks_of(path))
    words = ["--seeds", "1", "--epochs", "1", "--resamples", "20", "--only", "loss", "all music"]
    shown = run("experiments", "--root", str(tmp_path), *words)
    assert shown.count("1 seeds") == 2  # two tables
    rows = [
        line.split("|")[1:-1] for line in shown.splitlines() if line.startswith("| ") and not line.startswith("|  |")
    ]
    assert len(rows) == 5 + 6  # the baseline, four losses; six wordings
    assert all(0 <= float(cell) <= 100 for row in rows for cell in row[2:4])
    same = "+0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0)"
    assert shown.count(same) >= 2  # a baseline compared with itself, in both tables
    with (
        open_embeddings(tmp_path / "experiments" / "captions_keywords_of_all") as made,
        open_embeddings(path) as before,
    ):
        assert made.read("test").captions == before.read("test").captions
        assert set(made.read("train").caption_origin) == {"tags"}


def tracks_of(path: Path) -> list[Track]:
    """Return the tracks that an embeddings file was made of."""
    tracks = []
    with open_embeddings(path) as file:
        for split in SPLITS:
            rows = file.read(split)
            for row, id in enumerate(rows.ids):
                captions = [rows.captions[at] for at in np.flatnonzero(rows.caption_of == row).tolist()]
                origin = rows.caption_origin[2 * row]
                said: dict[str, Any] = {"caption": captions[0], "alt_captions": captions[1:], "caption_origin": origin}
                tags: dict[str, Any] = {"genre": rows.tags[row][0], "tags": rows.tags[row]}
                tracks.append(make_track(id=id, audio_path="/", duration=10, **tags, **said))
    return tracks
