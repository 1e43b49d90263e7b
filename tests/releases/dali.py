"""DALI: gzipped pickles of a class that only upstream's package has."""

import gzip
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.releases import audio

SONGS = {
    "4b196e6c99574dd49ad00d56e132712b": (
        "System Of A Down",
        "B.Y.O.B.",
        ["Rock", "Hard Rock"],
        "english",
        "zUzd9KyIDrM",
    ),
    "001940b614eb43f4a0c826d49a67d66d": (
        "Barbra Streisand",
        "Woman In Love",
        ["Films/Jeux vidéo"],
        "english",
        "Qhm9V7YBOQI",
    ),
    "a" * 32: ("Zaz", "Je veux", ["Chanson française"], "french", "aaaaaaaaaaa"),
    "b" * 32: ("Nobody", "Unknown", [], "", "bbbbbbbbbbb"),
}
GOOD = [f"dali_{song}" for song in list(SONGS)[:3]]
BAD_AUDIO = {"dali_" + "b" * 32: "missing"}
DROPPED = {"unreadable annotation": 2}


def info(song: str) -> dict[str, Any]:
    artist, title, genres, language, youtube_id = SONGS[song]
    metadata: dict[str, Any] = {"album": "An Album", "release_date": "1980", "language": language}
    if genres:
        metadata["genres"] = genres
    return {
        "id": song, "artist": artist, "title": title, "dataset_version": 1, "ground-truth": False,
        "scores": {"NCC": 0.85, "manual": 0}, "audio": {"url": youtube_id, "path": "None", "working": True},
        "metadata": metadata,
    }  # fmt: skip


def annotation(song: str) -> bytes:
    """Pickle an entry as upstream does: protocol 2, an instance of `DALI.Annotations.Annotations`."""
    lines = [{"text": "la la la", "time": [1.0, 2.5], "freq": [220.0, 440.0], "index": 0}]
    with _upstream_class() as annotations_class:
        entry = annotations_class()
        entry.info = info(song)
        entry.annotations = {"type": "horizontal", "annot": {"lines": lines}, "annot_param": {"fr": 1.0, "offset": 0.0}}
        entry.errors = None
        return gzip.compress(pickle.dumps(entry, protocol=2))


class Hostile:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def build(root: Path) -> None:
    """Write version 1, with a hostile entry and one that is no gzip."""
    folder = root / "DALI_v1.0"
    folder.mkdir(parents=True, exist_ok=True)
    for song in SONGS:
        (folder / f"{song}.gz").write_bytes(annotation(song))
    (folder / f"{'e' * 32}.gz").write_bytes(gzip.compress(pickle.dumps(Hostile(root / "executed"), protocol=2)))
    (folder / f"{'f' * 32}.gz").write_bytes(b"not gzip")
    (folder / "gt_v1.0.gz").write_bytes(gzip.compress(pickle.dumps({"a": {"offset": 0.1, "fr": 1.0}}, protocol=2)))
    for number, song in enumerate(list(SONGS)[:3]):
        name = SONGS[song][4] + ".wav" if number == 1 else song + ".mp3"
        audio.tone(root / "audio" / name, 2, 300 + 80 * number)


@contextmanager
def _upstream_class() -> Iterator[Any]:
    module = ModuleType("DALI.Annotations")
    annotations_class = type("Annotations", (), {"__module__": "DALI.Annotations"})
    module.Annotations = annotations_class  # type: ignore[attr-defined]
    sys.modules["DALI"], sys.modules["DALI.Annotations"] = ModuleType("DALI"), module
    try:
        yield annotations_class
    finally:
        del sys.modules["DALI"], sys.modules["DALI.Annotations"]
