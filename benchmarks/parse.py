"""The time of each parser on a release of full published size, over the floor of reading its files.

    python -m benchmarks.parse [--folder FOLDER] [--only NAME ...] [--share 1]

The content is invented, with texts as long as upstream's. The floor reads the rows of the same files into Python values with
the fastest library for them: pyarrow's `to_pylist` for csv and Parquet, msgspec for JSON lines. Tab-separated files, whose
rows differ in length, are split into cells, and the blocks of the licence file into lines. CPU seconds in one process,
alternating, the best of several; the collector of cycles is off in both, as it is in `unify`.
"""

import argparse
import csv
import gc
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unisono.sources import registry as datasets

_WORDS = """this is a slow calm electronic piece with soft synth pads and warm bass that builds into an energetic rhythm
featuring acoustic guitar piano strings drums and gentle vocals creating a dreamy nostalgic atmosphere"""
WORDS = _WORDS.split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
random_ = random.Random(1)
_TAGS_OF_KIND = {"genre": 95, "instrument": 41, "mood/theme": 59}
_JAMENDO_LICENSE = (
    "Available under a Creative Commons Attribution-Non-Commercial-Share-Alike license: "
    "http://creativecommons.org/licenses/by-nc-sa/2.0/"
)


def text(words: int) -> str:
    return " ".join(random_.choices(WORDS, k=words))


def youtube_ids(count: int) -> list[str]:
    return ["".join(random_.choices(LETTERS, k=11)) for _ in range(count)]


def write_csv(path: Path, header: list[str], rows: list[list[Any]], encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])


def make_musiccaps(root: Path, share: float) -> None:
    header = (
        "ytid start_s end_s audioset_positive_labels aspect_list caption author_id is_balanced_subset is_audioset_eval"
    )
    rows = []
    for youtube_id in youtube_ids(math.ceil(share * 5521)):
        start_s, aspects = random_.randrange(0, 300, 10), str([text(random_.randint(1, 3)) for _ in range(11)])
        rows.append([youtube_id, start_s, start_s + 10, "/m/0140xf", aspects, text(49), 4, "False", "True"])
    write_csv(root / "musiccaps-public.csv", header.split(), rows)


def make_musicbench(root: Path, share: float) -> None:
    ids = youtube_ids(math.ceil(share * 4798))
    with (root / "MusicBench_train.json").open("w") as file:
        for number in range(math.ceil(share * 52_768)):
            youtube_id, copy = ids[number % len(ids)], number // len(ids)
            row = {
                "dataset": "MusicBench", "main_caption": text(50), "alt_caption": text(45), "prompt_aug": "",
                "location": f"data_aug2/{youtube_id}_{copy}.wav" if copy else f"data/{youtube_id}.wav",
                "prompt_ch": text(12), "prompt_bt": text(6), "prompt_bpm": text(6), "prompt_key": text(5), "bpm": 118.0,
                "beats": [[beat / 2 for beat in range(20)], [float(beat % 4) for beat in range(20)]],
                "chords": ["E", "B", "C#"] * 4, "chords_time": [chord * 0.8 for chord in range(12)],
                "key": ["E", "major"], "keyprob": [0.9], "is_audioset_eval_mcaps": False,
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")


def make_mtg_jamendo(root: Path, share: float) -> None:
    """Write songs with 4.4 tags on average; as upstream, five songs share two combinations."""
    header = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\r\n"
    tags = [f"{kind}---{random_.choice(WORDS)}{at}" for kind, count in _TAGS_OF_KIND.items() for at in range(count)]
    combinations = [random_.sample(tags, random_.choice([1, 2, 3, 4, 5, 6, 10])) for _ in range(25_000)]
    rows, names, licenses = [], [], []
    for number in range(1000, 1000 + math.ceil(share * 55_609)):
        path, artist_id = f"{number % 100:02}/{number}.mp3", f"artist_{number % 3565:06}"
        length = f"{random_.randint(300, 6000) / 10}"
        rows.append(
            "\t".join([f"track_{number:07}", artist_id, "album_000031", path, length, *random_.choice(combinations)])
            + "\r\n"
        )
        title, artist, url = text(3), text(2), f"http://www.jamendo.com/track/{number}"
        names.append(f"track_{number:07}\t{artist_id}\talbum_000031\t{title}\t{artist}\t{text(2)}\t2008-01-01\t{url}\n")
        licenses.append(f"{path}\n{title} by {artist} from Jamendo: {url}\n{_JAMENDO_LICENSE}\n--\n")
    data = root / "data"
    (data / "splits" / "split-0").mkdir(parents=True)
    (data / "raw_30s_cleantags_50artists.tsv").write_text(header + "".join(rows), newline="")
    val, test = len(rows) * 3 // 5, len(rows) * 4 // 5
    for part, its_rows in (("train", rows[:val]), ("validation", rows[val:test]), ("test", rows[test:])):
        table = data / "splits" / "split-0" / f"autotagging-{part}.tsv"
        table.write_text(header + "".join(its_rows), newline="")
    columns = "TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL\n"
    (data / "raw.meta.tsv").write_text(columns + "".join(names))
    (root / "audio_licenses.txt").write_text("".join(licenses))


def make_clotho(root: Path, share: float) -> None:
    header = ["file_name", *(f"caption_{number}" for number in range(1, 6))]
    facts = ["file_name", "keywords", "sound_id", "sound_link", "start_end_samples", "manufacturer", "license"]
    for part, count in (("development", 3839), ("validation", 1045), ("evaluation", 1045)):
        names = [f"{text(4)} {number}.wav" for number in range(math.ceil(share * count))]
        write_csv(
            root / f"clotho_captions_{part}.csv", header, [[name, *(text(11) for _ in range(5))] for name in names]
        )
        rows = [[name, "rain;wind", n, "https://x", "[0, 9]", "José", "by/3.0"] for n, name in enumerate(names)]
        write_csv(root / f"clotho_metadata_{part}.csv", facts, rows, "latin-1")


def make_lp_musiccaps(root: Path, share: float) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [
        {
            "track_id": f"TR{number:016}", "title": text(3), "artist_name": text(2), "release": text(3), "year": 2000,
            "tag": random_.sample(WORDS, 3), "caption_writing": text(30), "caption_summary": text(12),
            "caption_paraphrase": text(30), "caption_attribute_prediction": text(30), "path": f"a/{number}.mp3",
        }
        for number in range(math.ceil(share * 500_000))
    ]  # fmt: skip
    parquet.write_table(pyarrow.Table.from_pylist(rows), root / "train-00000-of-00001.parquet")


def make_with_generated(root: Path, share: float) -> None:
    script = Path(__file__).with_name("generated.py")
    subprocess.run([sys.executable, script, root.name, root, "--share", str(share)], check=True)


def read_csv(paths: list[Path], **options: Any) -> Any:
    from pyarrow import csv as arrow_csv

    options = {"read_options": arrow_csv.ReadOptions(encoding="latin-1", **options)}
    parsing = arrow_csv.ParseOptions(newlines_in_values=True)
    return [arrow_csv.read_csv(path, parse_options=parsing, **options).to_pylist() for path in paths]


def read_json_lines(paths: list[Path]) -> Any:
    import msgspec

    return [msgspec.json.Decoder().decode_lines(path.read_bytes()) for path in paths]


def read_tabs(paths: list[Path]) -> Any:
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    return [
        [line.split("\t") for line in text.splitlines()]
        if path.suffix == ".tsv"
        else [block.splitlines() for block in text.split("--\n")]
        for path, text in texts.items()
    ]


def read_parquet(paths: list[Path]) -> Any:
    from pyarrow import parquet

    return [parquet.read_table(path).to_pylist() for path in paths]


CASES: dict[str, tuple[Callable[[Path, float], None], Callable[[list[Path]], Any], str]] = {
    "fma": (make_with_generated, lambda paths: read_csv(paths, skip_rows=2), "fma_metadata/tracks.csv"),
    "jamendo_max_caps": (make_with_generated, read_json_lines, "*.jsonl"),
    "mtg_jamendo": (make_mtg_jamendo, read_tabs, "**/*.t[sx][vt]"),
    "musicbench": (make_musicbench, read_json_lines, "*.json"),
    "musiccaps": (make_musiccaps, read_csv, "*.csv"),
    "clotho": (make_clotho, read_csv, "*.csv"),
    "lp_musiccaps": (make_lp_musiccaps, read_parquet, "*.parquet"),
}


def measure(run: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    result = run()
    return time.process_time() - begin, result


def compare(name: str, root: Path, share: float) -> None:
    make, read, pattern = CASES[name]
    if not root.exists():
        if make is not make_with_generated:
            root.mkdir(parents=True)
        make(root, share)
    paths = sorted(root.glob(pattern))
    size = sum(path.stat().st_size for path in paths)
    dataset = datasets.get(name)
    floors, times, count = [], [], 0
    for _ in range(3 if size > 20e6 or share < 0.1 else 15):
        spent, result = measure(lambda: read(paths))
        floors.append(spent)
        del result
        spent, result = measure(lambda: list(dataset.records(root)))
        times.append(spent)
        count = len(result)
        del result
    print(
        f"{name}: {count:,} records of {size / 1e6:,.0f} MB: {min(times):.2f} s; floor {min(floors):.2f} s; "
        f"ratio {min(times) / max(min(floors), 1e-9):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder to keep the generated releases in, and to find them in")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--share", type=float, default=1, help="share of the full size")
    arguments = parser.parse_args()
    gc.disable()
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.only:
            compare(name, (arguments.folder or Path(scratch)) / name, arguments.share)


if __name__ == "__main__":
    main()
