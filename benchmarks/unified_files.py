"""Write and read unified files of 400,000 records in each format, against the fastest library there is for each.

    python -m benchmarks.unified_files [--records 400000]

Every measurement runs in a process of its own. The floors: for .json and .jsonl, msgspec encodes and decodes plain structs
without any check; for .parquet, pyarrow writes and reads the columns without making Python objects. A ratio is time over
floor. A floor leaves out most of what a reader of records needs.
"""

import argparse
import gc
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.apart import apart
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.record import Record, from_fields

_WORDS = (
    "slow mellow piano guitar with strings and a driving beat the track features synth pads vocals soft "
    "drums bass energetic melodic calm dark bright rhythm electronic jazz ambient acoustic recording "
    "female male voice harmony"
)
WORDS = _WORDS.split()


def records(count: int) -> Iterator[dict[str, object]]:
    """Make records as `unify` writes them, with captions of 30 to 60 words."""
    source = random.Random(1)
    for number in range(count):
        yield {
            "id": f"jamendo_max_caps_{number}",
            "audio_path": f"/data/raw/jamendo_max_caps/audio/{number % 1000:03d}/{number}.mp3",
            "caption": " ".join(source.choices(WORDS, k=source.randint(30, 60))),
            "duration": round(source.uniform(30, 400), 3),
            "alt_captions": [" ".join(source.choices(WORDS, k=20))] if number % 4 == 0 else [],
            "dataset": "jamendo_max_caps",
            "artist": " ".join(source.choices(WORDS, k=2)),
            "title": " ".join(source.choices(WORDS, k=3)),
            "tags": source.sample(WORDS, 4),
            "license": source.choice(["CC-BY-NC-SA-3.0", "CC-BY-3.0", "CC-BY-NC-ND-3.0"]),
            "start": 30.0 * (number % 8),
            "recording": f"jamendo:{number}",
            "artist_id": f"jamendo-artist:{number // 12}",
            "caption_origin": "model",
        }


def write(path: Path, count: int) -> float:
    tracks = [from_fields(path, number, record) for number, record in enumerate(records(count), 1)]
    return _seconds(lambda: write_tracks(path, tracks))


def write_floor(path: Path, count: int) -> float:
    floor = path.with_suffix(".floor")
    if path.suffix == ".parquet":
        import pyarrow as pa  # here and below, so that it is in no other process's peak
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist(list(records(count)))
        return _seconds(lambda: pq.write_table(table, floor, compression="zstd"))
    structs = [msgspec.convert(record, Record) for record in records(count)]
    return _seconds(lambda: floor.write_bytes(msgspec.json.encode(structs)))


def read(path: Path, count: int) -> float:
    return _seconds(lambda: read_tracks(path), count)


def read_floor(path: Path, count: int) -> float:
    gc.disable()
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return _seconds(lambda: pq.read_table(path), count)
    if path.suffix == ".jsonl":
        decoder = msgspec.json.Decoder(Record)
        return _seconds(lambda: [decoder.decode(line) for line in path.open("rb")], count)
    return _seconds(lambda: msgspec.json.decode(path.read_bytes(), type=list[Record]), count)


MEASURED = {function.__name__: function for function in (write, write_floor, read, read_floor)}


def _seconds(work: Callable[[], Any], expected: int | None = None) -> float:
    begin = time.perf_counter()
    result = work()
    spent = time.perf_counter() - begin
    if expected is not None and len(result) != expected:
        raise SystemExit(f"read {len(result)} records, expected {expected}")
    return spent


def measure(name: str, path: Path, count: int) -> tuple[float, float]:
    """Return the seconds of one way, and the peak of the process's memory in MB."""
    return MEASURED[name](path, count), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=400_000)
    arguments = parser.parse_args()
    print(f"{arguments.records:,} records; seconds (peak MB of the process)")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("json", "jsonl", "parquet"):
            path = Path(folder) / f"unified.{kind}"
            figures = {}
            for name in MEASURED:
                figures[name] = min(apart(measure, name, path, arguments.records) for _ in range(2))
            for verb in ("write", "read"):
                (spent, peak), (floor, _) = figures[verb], figures[f"{verb}_floor"]
                print(
                    f"{kind:8} {verb:5} {spent:6.2f} s ({peak:,.0f} MB)   floor {floor:6.2f} s   ratio {spent / floor:5.2f}"
                    + (f"   {path.stat().st_size / 1e6:,.0f} MB on disk" if verb == "write" else "")
                )


if __name__ == "__main__":
    main()
