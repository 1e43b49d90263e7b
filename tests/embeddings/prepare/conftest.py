import json
from pathlib import Path
from typing import Any

import pytest

from tests.broken_audio import write_broken, write_music
from tests.quick import quick_musicnn
from unisono.embeddings.prepare.report import PrepareReport
from unisono.embeddings.prepare.run import prepare

__all__ = ["quick_musicnn"]


class Folder:
    """A small dataset on disk: audio and a unified file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "unified.json"
        self.records: list[dict[str, Any]] = []
        self.done: PrepareReport

    def add(self, id_: str, seconds: float = 3, *, broken: str = "", **more: Any) -> dict[str, Any]:
        """Add a track with audio of its own, or a broken file."""
        path = self.root / "audio" / f"{id_}.wav"
        if broken:
            write_broken(path.with_suffix(".mp3"), broken)
            path, seconds = path.with_suffix(".mp3"), 10
        else:
            write_music(path, seconds, rate_hz=16_000, channels=2, seed=len(self.records))
        record = {"id": id_, "audio_path": str(path), "caption": f"music {id_}", "duration": seconds, **more}
        self.records.append(record)
        return record

    def write(self, records: list[dict[str, Any]] | None = None) -> None:
        """Write the unified file, of all tracks or of some."""
        self.file.write_text(json.dumps(self.records if records is None else records, ensure_ascii=False))

    def prepare(self, output: str = "out", **options: Any) -> Path:
        """Run the stage, by default with dsp; return the path of `embeddings.h5`."""
        options.setdefault("encoders", ("dsp",))
        options.setdefault("devices", ("cpu",))
        self.done = prepare(self.file, output_dir=self.root / output, **options)
        return self.root / output / "embeddings.h5"

    def report(self, output: str = "out") -> dict[str, Any]:
        """Read the report of a run."""
        content: dict[str, Any] = json.loads((self.root / output / "prepare.report.json").read_text())
        return content


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty dataset."""
    return Folder(tmp_path)


@pytest.fixture
def ten_tracks(folder: Folder) -> Folder:
    """Ten tracks of different lengths, in three datasets."""
    for number in range(10):
        folder.add(
            f"t{number}", 1.5 + number, dataset=f"d{number % 3}", alt_captions=[f"other {number}"] * (number % 2)
        )
    folder.write()
    return folder
