"""Hugging Face datasets, built small in the layouts that the library `datasets` writes and loads."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tests.releases import audio

ENDINGS = ("wav", "flac", "mp3", "ogg")
GENRES = ["Rock", "Jazz"]
AUDIO = pa.struct({"bytes": pa.binary(), "path": pa.string()})
SPLITS = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}
SHARDS = {"train": 2, "validation": 1, "test": 1}


def sound(folder: Path, number: int) -> Path:
    """Return the bytes of a distinct tone, in one of several formats."""
    path = folder / f"tone {number}.{ENDINGS[number % len(ENDINGS)]}"
    if not path.exists():
        audio.tone(path, 0.5 + number / 10, 200 + 30 * number)
    return path


def rows(folder: Path, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Make rows with an audio, a text and a class label."""
    return [
        {
            "audio": {"bytes": sound(folder, number).read_bytes(), "path": sound(folder, number).name},
            "caption": f"A tone, the {number}th",
            "genre": number % 2,
            "artist": f"Artist {number}",
        }
        for number in numbers
    ]


def table(items: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Make a table with the note about its columns that `datasets` adds."""
    features = {
        "audio": {"_type": "Audio"},
        "caption": {"dtype": "string", "_type": "Value"},
        "genre": {"names": GENRES, "_type": "ClassLabel"},
        "artist": {"dtype": "string", "_type": "Value"},
    }
    schema = pa.schema(
        [("audio", AUDIO), ("caption", pa.string()), ("genre", pa.int64()), ("artist", pa.string())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    return pa.Table.from_pylist(list(items), schema=schema)


def shards(split: str, source: Path) -> list[list[dict[str, Any]]]:
    """Share the rows of a split out among its files."""
    numbers = SPLITS[split]
    size = -(-len(numbers) // SHARDS[split])
    return [rows(source, numbers[start : start + size]) for start in range(0, len(numbers), size)]


def snapshot(folder: Path, source: Path) -> None:
    """Write `data/<split>-00000-of-00002.parquet`, as a repository of the Hub has them."""
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    for split in SPLITS:
        for number, items in enumerate(shards(split, source)):
            name = f"{split}-{number:05}-of-{SHARDS[split]:05}.parquet"
            parquet.write_table(table(items), folder / "data" / name, row_group_size=2)


def saved_to_disk(folder: Path, source: Path) -> None:
    """Write Arrow files in a folder a split, as `DatasetDict.save_to_disk` does."""
    folder.mkdir(parents=True)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(SPLITS)}))
    for split in SPLITS:
        (folder / split).mkdir()
        names = [f"data-{number:05}-of-{SHARDS[split]:05}.arrow" for number in range(SHARDS[split])]
        state = {"_data_files": [{"filename": name} for name in names], "_split": split}
        (folder / split / "state.json").write_text(json.dumps(state))
        (folder / split / "dataset_info.json").write_text("{}")
        for name, items in zip(names, shards(split, source), strict=True):
            content = table(items)
            with pa.OSFile(str(folder / split / name), "wb") as sink, pa.ipc.new_stream(sink, content.schema) as writer:
                writer.write_table(content, max_chunksize=2)


def audio_folder(folder: Path, source: Path, kind: str = "csv") -> None:
    """Write audio files next to `metadata.csv`, `.jsonl` or `.parquet`, in a folder a split."""
    for split, numbers in SPLITS.items():
        (folder / split / "sounds").mkdir(parents=True)
        items = []
        for number, row in zip(numbers, rows(source, numbers), strict=True):
            name = f"sounds/{sound(source, number).name}"
            (folder / split / name).write_bytes(row.pop("audio")["bytes"])
            items.append({"file_name": name, **row, "genre": GENRES[number % 2]})
        write_rows(folder / split / f"metadata.{kind}", items)


def write_rows(path: Path, items: Sequence[Mapping[str, Any]]) -> None:
    """Write a table of the kind that the path's ending names."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(items[0]))
            writer.writeheader()
            writer.writerows(items)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, items)))
    else:
        parquet.write_table(pa.Table.from_pylist(list(items)), path)
