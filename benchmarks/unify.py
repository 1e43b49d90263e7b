"""The time of `unisono unify` on releases of full size, over the floor of reading the same files.

    python -m benchmarks.unify [--folder FOLDER] [--share 1]

- FMA: 106,574 rows of 53 columns, 8,000 files present.
- JamendoMaxCaps: 362,000 captions of 51,715 tracks, all files present; with and without measuring the audio.

The floor reads the same metadata with the fastest library for it (pyarrow on all cores for the table, msgspec for JSON
lines), lists the same folders and, where audio is measured, opens each file once with soundfile in the same number of
threads. It makes no records, captions or report and writes nothing. CPU seconds are printed as well: on a busy machine
they are the better comparison. The measurements alternate, each in a process of its own; the best of `--repeat` counts.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.apart import apart
from unisono.base.cores import available_cores

CASES = [("fma", True), ("jamendo_max_caps", True), ("jamendo_max_caps", False)]
FMA_ROWS, CAPTIONS = 106_574, 362_000


def floor(root: Path, name: str, *, check_audio: bool, share: float) -> dict[str, float]:
    import pyarrow.csv  # noqa: F401 - imports are not in the floor, so they are not counted
    import soundfile  # noqa: F401

    steps = {}
    cpu = _cpu(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    if name == "fma":
        _read_fma(root / "fma", math.ceil(share * FMA_ROWS))
    else:
        _read_jamendo(root / "jamendo_max_caps", math.ceil(share * CAPTIONS))
    steps["read"] = time.perf_counter() - begin
    if check_audio:
        begin = time.perf_counter()
        paths = _list(root / name / ("fma_small" if name == "fma" else "audio"))
        steps["list"] = time.perf_counter() - begin
        begin = time.perf_counter()
        _open(paths)
        steps["open"] = time.perf_counter() - begin
    return {"all": sum(steps.values()), "cpu": _cpu(resource.RUSAGE_SELF) - cpu, **steps}


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _read_fma(root: Path, rows: int) -> None:
    from pyarrow import csv as arrow_csv

    for name, header_rows in (("tracks", 3), ("genres", 1)):
        table = arrow_csv.read_csv(
            root / "fma_metadata" / f"{name}.csv",
            read_options=arrow_csv.ReadOptions(skip_rows=header_rows, autogenerate_column_names=True),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        )
        if name == "tracks" and table.num_rows < rows:
            raise SystemExit("the floor did not read the table")


def _read_jamendo(root: Path, rows: int) -> None:
    import gc

    import msgspec

    gc.disable()
    decoder = msgspec.json.Decoder()
    kept = [decoder.decode_lines(path.read_bytes()) for path in sorted(root.glob("*.jsonl"))]
    if not any(len(found) >= rows for found in kept):
        raise SystemExit("the floor did not read the captions")


def _list(folder: Path) -> list[str]:
    return [f"{folder}/{inner}/{name}" for inner in os.listdir(folder) for name in os.listdir(folder / inner)]


def _open(paths: list[str]) -> None:
    import soundfile

    def seconds(batch: list[str]) -> list[float]:
        return [soundfile.info(path).duration for path in batch]

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(seconds, [paths[at : at + 64] for at in range(0, len(paths), 64)]))


def measure_unify(data: Path, name: str, *, check_audio: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=data) as folder:
        output = Path(folder) / "unified.json"
        command = [
            sys.executable,
            "-m",
            "unisono",
            "unify",
            "--data-root",
            str(data),
            "--datasets",
            name,
            "--output",
            str(output),
        ]
        begin = time.perf_counter()
        subprocess.run(command + ([] if check_audio else ["--no-check-audio"]), check=True, capture_output=True)
        spent = time.perf_counter() - begin
        report = json.loads(output.with_suffix(".report.json").read_text())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cpu = _cpu(resource.RUSAGE_CHILDREN)
    return {
        "all": spent,
        "cpu": cpu,
        "MB": peak,
        "kept": sum(report["kept"].values()),
        "came": sum(report["came"].values()),
    }


def compare(data: Path, name: str, *, check_audio: bool, share: float, repeat: int) -> None:
    floors, runs = [], []
    for _ in range(repeat):
        floors.append(apart(floor, data / "raw", name, check_audio=check_audio, share=share))
        runs.append(apart(measure_unify, data, name, check_audio=check_audio))
    wall, cpu = (min(run[kind] for run in runs) for kind in ("all", "cpu"))
    floor_wall, floor_cpu = (min(steps[kind] for steps in floors) for kind in ("all", "cpu"))
    steps = min(floors, key=lambda steps: steps["all"])
    parts = ", ".join(f"{step} {spent:.2f}" for step, spent in steps.items() if step not in ("all", "cpu"))
    print(
        f"{name}{'' if check_audio else ' --no-check-audio'}: {runs[0]['came']:,} rows, {runs[0]['kept']:,} kept, "
        f"{max(run['MB'] for run in runs):,.0f} MB\n"
        f"  wall {wall:.2f} s over floor {floor_wall:.2f} s ({parts}): ratio {wall / floor_wall:.2f}\n"
        f"  CPU  {cpu:.2f} s over floor {floor_cpu:.2f} s: ratio {cpu / max(floor_cpu, 1e-9):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, help="data folder to keep the generated releases in, and to find them in"
    )
    parser.add_argument("--share", type=float, default=1, help="share of the full size")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = arguments.folder or Path(scratch)
        for name in ("fma", "jamendo_max_caps"):
            if not (data / "raw" / name).exists():
                script, folder = Path(__file__).with_name("generated.py"), data / "raw" / name
                subprocess.run([sys.executable, script, name, folder, "--share", str(arguments.share)], check=True)
        for name, check_audio in CASES:
            compare(data, name, check_audio=check_audio, share=arguments.share, repeat=arguments.repeat)


if __name__ == "__main__":
    main()
