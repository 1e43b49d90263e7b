"""Retrieval benchmarks of the Hub: queries, music and judgements in Parquet files, in folders or files of those names."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from tests.releases import audio
from tests.releases.hugging_face import AUDIO

QUERIES = {"q1": "a low tone", "q2": "a high tone", "q3": "any tone"}
MUSIC = ("a", "b", "c", "d")
GRADES = [
    ("q1", "a", 3),
    ("q1", "b", 2),
    ("q2", "d", 3),
    ("q2", "c", 1),
    ("q3", "a", 1),
    ("q3", "d", 2),
    ("q3", "b", 0),
]


def build(
    root: Path,
    names: tuple[str, str, str] = ("id", "text", "id"),
    grades: Sequence[tuple[str, str, int]] = GRADES,
) -> None:
    """Write the release; `names` are the columns of the queries' ids, their texts, and the music's ids."""
    sounds = []
    for number, id in enumerate(MUSIC):
        path = root.with_name("tones") / f"{id}.wav"
        audio.tone(path, 2, 150 * 2**number)
        sounds.append({"bytes": path.read_bytes(), "path": path.name})
    tables = {
        "queries": pa.table({names[0]: list(QUERIES), names[1]: list(QUERIES.values())}),
        "corpus": pa.table({names[2]: list(MUSIC), "audio": pa.array(sounds, AUDIO)}),
        "qrels": pa.table(
            dict(zip(("query-id", "corpus-id", "score"), map(list, zip(*grades, strict=True)), strict=True))
        ),
    }
    for name, table in tables.items():
        (root / name).mkdir(parents=True)
        parquet.write_table(table, root / name / "test-00000-of-00001.parquet")
