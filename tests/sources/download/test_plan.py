"""Which files the options ask for, and the room that they need."""

from pathlib import Path

import pytest

from unisono.base.errors import UsageError
from unisono.sources import registry as datasets
from unisono.sources.download import plan
from unisono.sources.download.ledger import Ledger


def chosen(name: str, *, metadata_only: bool = False, **choices: object) -> list[str]:
    files = plan.chosen(datasets.get(name), choices, metadata_only=metadata_only)
    return [getattr(file, "name", "") for file in files if file.audio]


def test_parts_and_quality() -> None:
    assert chosen("mtg_jamendo", parts=("00", "07"), quality="low") == [
        "raw_30s_audio-low-00.tar",
        "raw_30s_audio-low-07.tar",
    ]
    assert chosen("mtg_jamendo") == [f"raw_30s_audio-{number:02}.tar" for number in range(100)]
    assert chosen("mtg_jamendo", parts=("all",), quality="low") == [f"raw_30s_audio-low-{n:02}.tar" for n in range(100)]
    assert chosen("mtg_jamendo", metadata_only=True) == []
    with pytest.raises(UsageError, match=r"parts must be one of all, 00, .* found '7'"):
        chosen("mtg_jamendo", parts=("7",))


@pytest.mark.parametrize("size", ["small", "medium", "large", "full"])
def test_sizes(size: str) -> None:
    assert chosen("fma", size=size) == [f"fma_{size}.zip"]
    assert chosen("fma") == ["fma_small.zip"]


def test_room(tmp_path: Path) -> None:
    """The archive and its content, less what has come already; archives that are kept add up."""
    dataset = datasets.get("song_describer")
    todo = plan.make_plan(dataset, tmp_path, Ledger(tmp_path), ask_hub=False)
    before = todo.room_needed(keep_archives=False, jobs=4)
    assert before == todo.to_fetch + 3_350_000_000
    (tmp_path / "audio.zip.part").write_bytes(bytes(1000))
    assert todo.room_needed(keep_archives=False, jobs=4) == before - 1000
    dataset = datasets.get("mtg_jamendo")
    todo = plan.make_plan(dataset, tmp_path, Ledger(tmp_path), choices={"quality": "low"}, ask_hub=False)
    one = 1_560_000_000
    kept = todo.room_needed(keep_archives=True, jobs=4)
    assert kept - todo.room_needed(keep_archives=False, jobs=4) == 96 * one
