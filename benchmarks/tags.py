"""Measure what a search with the model `tags` costs: a cold one, from the shell, and a warm one over many tracks.

    python -m benchmarks.tags [--tracks 100000] [--windows 1] [--repeats 7]

1. `cold`: `unisono search TEXT --model tags` on a small file, over starting Python and importing numpy, which every such
   program must; and its stages in the order in which they come.
2. `warm`: embedding a new text and searching, in a process that holds the collection, over the bare product of the
   vectors with a query.

All is measured in CPU seconds on one thread, on which other work on the machine has little effect; the ratios are those of
the medians, of runs that alternate.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import in_turn
from unisono.embeddings.encoders import audio
from unisono.embeddings.file import FILE_NAME, create_embeddings
from unisono.embeddings.prepare.settings import encoder_record
from unisono.retrieval.collection import Collection, IndexedTrack, Windows
from unisono.retrieval.models import load_model
from unisono.search.run import search
from unisono.tracks.track import SPLITS, Caption, Track

QUERY = "slow solemn choir"
FLOOR = "import numpy"
STAGES = f"""
import time
begin = time.process_time()
def say(what):
    global begin
    now = time.process_time()
    print(f"{{what}} {{1000 * (now - begin):.0f}}")
    begin = time.process_time()
print(f"python {{1000 * begin:.0f}}")
import numpy, h5py
say("numpy, h5py")
import sys, unisono.cli, unisono.commands.search, unisono.search.run, unisono.retrieval.models
say("the program")
model = unisono.retrieval.models.load_model("tags")
say("MiniLM")
collection = model.collection(sys.argv[1])
say("the music")
unisono.search.run.search(model, {QUERY!r}, collection)
say("the names of axes and the query")
"""
WORDS = (
    "calm",
    "sad",
    "fast",
    "harp",
    "violin",
    "flute",
    "opera",
    "techno",
    "jazz",
    "drone",
    "choir",
    "guitar",
    "loud",
)


def cpu_s(*command: str) -> float:
    """Return the CPU seconds of a process."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed.")
    return used.ru_utime + used.ru_stime


def measure_cold(folder: Path, repeats: int) -> None:
    """Print the cost of a cold query and of its stages."""
    asked = ("-m", "unisono", "search", QUERY, "--model", "tags", "--data-dir", str(folder))
    pairs = [(cpu_s("-c", FLOOR), cpu_s(*asked)) for _ in range(repeats + 1)][1:]
    floor, cold = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"cold: {cold:.2f} s of CPU, ratio {cold / floor:.1f} to starting Python with numpy ({floor:.2f} s)")
    said = subprocess.run(
        [sys.executable, "-c", STAGES, str(folder)], capture_output=True, text=True, check=True
    ).stdout
    print("  of it, in ms of CPU: " + ", ".join(said.strip().splitlines()))


def measure_warm(tracks: int, windows: int, repeats: int) -> None:
    """Print the cost of a query over a collection in memory."""
    rng = np.random.default_rng(0)
    model = load_model("tags")
    of = np.repeat(np.arange(tracks), windows)
    vectors = model.project_audio(rng.normal(-4, 2, (len(of), audio.spec("tags").dim)).astype(np.float16), of)
    starts = np.tile(np.arange(windows, dtype=np.float32) * 30, tracks)
    collection = Collection(
        [indexed(number) for number in range(tracks)],
        vectors,
        windows=Windows(of, starts, 3.0) if windows > 1 else None,
    )
    query = model.embed_text(QUERY)[0]
    texts = (f"{WORDS[place % len(WORDS)]} {rng.integers(1 << 30)} at dusk" for place in itertools.count())
    taken = in_turn(
        repeats,
        lambda: vectors @ query,
        lambda: model.embed_text(next(texts)),
        lambda: search(model, next(texts), collection),
    )
    product, embedded, whole = (1000 * seconds for seconds in taken)
    print(
        f"warm: {whole:.1f} ms for a new text over {tracks:,} tracks of {windows}, ratio {whole / product:.1f} to the bare "
        f"product ({product:.1f} ms); {embedded:.1f} ms of it embed the text"
    )


def indexed(number: int) -> IndexedTrack:
    """Return a track."""
    return IndexedTrack(
        id=f"t{number}", split="test", dataset="d", artist=f"a{number % 999}", artist_id="", title=f"title {number}",
        genre="", tags=[], license="", recording="", audio_path=f"/{number}.mp3", start_s=0, duration_s=200,
    )  # fmt: skip


def write_music(folder: Path, tracks: int) -> None:
    """Write a small `embeddings.h5` of random tags."""
    rng = np.random.default_rng(0)
    record = encoder_record(audio.spec("tags"), "mean", "")
    with create_embeddings(folder / FILE_NAME, {}, 0) as writer:
        for split in SPLITS:
            some = [
                Track(id=f"{split}{number}", audio_path=f"/{number}.mp3", captions=(Caption("music"),), duration=30)
                for number in range(tracks if split == "test" else 0)
            ]
            writer.add_split(split, some)
            writer.add_embeddings(split, record, iter([rng.normal(-4, 2, (len(some), record.dim)).astype(np.float16)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_music(Path(folder), 150)
        measure_cold(Path(folder), options.repeats)
    measure_warm(options.tracks, options.windows, options.repeats)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":  # numpy reads it when it is loaded
        again = [sys.executable, "-m", "benchmarks.tags", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "OMP_NUM_THREADS": "1"})
    main()
