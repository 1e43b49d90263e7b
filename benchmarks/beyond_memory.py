"""Time and memory of the verbs that read unified files, from ten thousand to ten million records.

    python -m benchmarks.beyond_memory [--records 10000 100000] [--verbs convert describe leaks dedupe] [--kind jsonl]

The records are generated, those of `unified_files.py`. Each measurement runs the function of a verb in a process of its
own. CPU seconds, which other work on the machine changes little, are compared with those of the bare read: msgspec decodes
each record into a plain struct without any check, and forgets it. The verb has been run on ten records before, which loads
what it needs. Bytes a record are the peak memory of the process less that of the same verb on ten records alone.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.unified_files import records
from unisono.tracks.files import write_tracks
from unisono.tracks.record import Record

DISTINCT = 100_000
"""Further records have the texts of these, and ids, files, recordings and artists of their own."""
BENCHMARKED = 1000
"""Records of the file that `leaks` compares with: they are not among the others, except for a few."""


def read(path: Path, output: Path) -> None:
    decoder = msgspec.json.Decoder(Record)
    with path.open("rb") as file:
        for line in file:
            if len(line) > 3:
                decoder.decode(line.rstrip(b",\n"))


def convert(path: Path, output: Path) -> None:
    from unisono.tracks.convert import convert

    convert(path, output / f"converted{path.suffix}")


def describe(path: Path, output: Path) -> None:
    from unisono.curation.statistics import describe

    describe(path)


def leaks(path: Path, output: Path) -> None:
    from unisono.curation.leaks import leaks

    found = leaks(path, output / "benchmark.jsonl", match=["ids", "sha256"])
    found.write(output / "leaks.json")


def clean(path: Path, output: Path) -> None:
    from unisono.curation.collection import write_tracks
    from unisono.curation.leaks import leaks

    write_tracks(leaks(path, output / "benchmark.jsonl", match=["ids"]).clean(), output / f"clean{path.suffix}")


def dedupe(path: Path, output: Path) -> None:
    from unisono.curation.dedupe import dedupe

    dedupe(path, output=output / f"merged{path.suffix}")


VERBS: dict[str, Callable[[Path, Path], None]] = {
    each.__name__: each for each in (read, convert, describe, leaks, clean, dedupe)
}


def run(verb: str, path: Path, ten: Path, output: Path) -> tuple[float, float]:
    """Return the CPU seconds and the peak bytes of a verb, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.beyond_memory", "--only", verb, str(path), str(ten), str(output)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def most_memory() -> int:
    """Return the most bytes that this program took; `getrusage` counts those of the process that started it, too."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def write(path: Path, count: int, first: int = 0) -> None:
    made = [msgspec.convert(record, Record) for record in records(min(first + count, DISTINCT))]
    write_tracks(path, (numbered(made[number % DISTINCT], number) for number in range(first, first + count)))


def numbered(record: Record, number: int) -> Record:
    if number < DISTINCT:
        return record
    return msgspec.structs.replace(
        record,
        id=f"jamendo_max_caps_{number}",
        audio_path=f"/data/raw/jamendo_max_caps/audio/{number % 1000:03d}/{number}.mp3",
        recording=f"jamendo:{number}",
        artist_id=f"jamendo-artist:{number // 12}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--verbs", nargs="+", default=[*VERBS][1:], choices=VERBS)
    parser.add_argument("--kind", default="jsonl", choices=["json", "jsonl", "parquet"])
    parser.add_argument("--folder", type=Path, help="where to keep the files; by default, a temporary folder")
    parser.add_argument("--only", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        verb, (path, ten, output) = arguments.only[0], map(Path, arguments.only[1:])
        VERBS[verb](ten, output)
        began = time.process_time()
        VERBS[verb](path, output)
        print(json.dumps([time.process_time() - began, most_memory()]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "benchmark.jsonl", BENCHMARKED)
        sizes = [10, *arguments.records]
        paths = {count: folder / f"{count}.{arguments.kind}" for count in sizes}
        for count, path in paths.items():
            if not path.exists():
                write(path, count)
        names = ["read", *arguments.verbs] if arguments.kind != "parquet" else arguments.verbs
        least = {verb: run(verb, paths[10], paths[10], folder)[1] for verb in names}
        print(f"{'records':>12}   {'verb':8}   us a record   ratio   peak MB   bytes a record")
        for count in arguments.records:
            floor = 0.0
            for verb in names:
                seconds, peak = run(verb, paths[count], paths[10], folder)
                floor = floor or seconds
                print(
                    f"{count:12,}   {verb:8}   {seconds / count * 1e6:11.1f}   {seconds / floor:5.1f}   {peak / 1e6:7,.0f}"
                    f"   {(peak - least[verb]) / count:14,.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
