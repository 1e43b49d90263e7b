"""Find the tables of a Hugging Face dataset in a folder, and the split of each table.

Known are Parquet, the Arrow files that `save_to_disk` writes, and `metadata.csv`, `.jsonl` or `.parquet` next to audio
files.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from unisono.base.errors import DataError
from unisono.tracks.shards import refuse_missing_shards
from unisono.tracks.track import Split

SPLITS: dict[str, Split] = {
    "train": "train", "training": "train", "dev": "val", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
KINDS = ("*.parquet", "*.arrow", *METADATA)
_WORD = re.compile(r"[A-Za-z]+")
_MOST_NAMED = 12


def find_tables(folder: Path, files: str = "") -> list[Path]:
    """List the tables of a folder at any depth, or those that match a pattern.

    Raises:
        DataError: there are none, some are missing, or they belong to several datasets.
    """
    if files:
        found = _below(folder, f"**/{files.lstrip('/')}")
    else:
        kinds = ("*.parquet", "*.arrow", "metadata.csv", "metadata.jsonl")
        every = [[path for path in _below(folder, f"**/{kind}") if path.name != METADATA[2]] for kind in kinds]
        found = next(filter(None, every), []) or _below(folder, f"**/{METADATA[2]}")
    if not found:
        there = (
            sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
        )
        wanted = files or "*.parquet, *.arrow, metadata.csv or metadata.jsonl"
        raise DataError(
            f"{folder}: there is no {wanted} in it; found: {_named(there)}.",
            hint="For a table of another kind write a recipe that names it: docs/your-own-music.md",
        )
    refuse_missing_shards(found)
    parts = sorted({_part(path.parent.relative_to(folder)) for path in found})
    if len(parts) > 1 and not files:
        raise DataError(
            f"{folder} holds several datasets, in {_named(parts)}.",
            hint=f'Say which: hf:<folder>/{parts[0]}, or in a recipe files = "{parts[0]}/*{found[0].suffix}"',
        )
    return found


def _below(folder: Path, pattern: str) -> list[Path]:
    found = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _part(folder: Path) -> str:
    """Return the dataset that a folder belongs to, whatever its split: `10pct` for `10pct/train`."""
    return "/".join(part for part in folder.parts if part.lower() not in SPLITS) or "."


def _named(names: Sequence[str]) -> str:
    return (", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")) or "nothing"


def splits_of(tables: Sequence[Path], folder: Path) -> list[Split | None]:
    """Return the split of each table by its name or those of its folders; None for all if all would be `train`."""
    splits = [_split_of(path.relative_to(folder)) for path in tables]
    return splits if set(splits) - {"train"} else [None] * len(splits)


def _split_of(path: Path) -> Split | None:
    for part in (path.stem, *reversed(path.parts[:-1])):
        for word in _WORD.findall(part.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return None
