"""Tasks that each embed a part into one folder, and the run that assembles them: the same bytes as one run's."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.embeddings.prepare.conftest import Folder
from tests.loaded import unisono
from unisono.base.errors import UnisonoError, UsageError
from unisono.embeddings.prepare.parts import Part, enter_output

SHARDS = ("1/4", "2/4", "3/4", "4/4")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@given(st.binary(min_size=16, max_size=16), st.integers(1, 300))
def test_an_excerpt_belongs_to_exactly_one_part(key: bytes, count: int) -> None:
    assert [Part(number, count).holds(key) for number in range(1, count + 1)].count(True) == 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "/4", "-1/4", "1/0", "a/b", "1/4/2"])
def test_what_is_no_part_is_refused(ten_tracks: Folder, text: str) -> None:
    with pytest.raises(UsageError, match="Expected a shard such as 3/16"):
        ten_tracks.prepare(shard=text)


def test_parts_in_any_order_and_at_once_give_the_bytes_of_one_run(ten_tracks: Folder) -> None:
    ten_tracks.add("broken", broken="noise")
    ten_tracks.write()
    expected = digest(ten_tracks.prepare("whole"))
    with ThreadPoolExecutor(4) as pool:  # each as a process of its own
        words = (
            "prepare",
            "--dataset-file",
            ten_tracks.file,
            "--output-dir",
            ten_tracks.root / "out",
            "--encoders",
            "dsp",
        )
        done = list(pool.map(lambda shard: unisono(*words, "--shard", shard), reversed(SHARDS)))
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    assert "Shard 4/4 is embedded. When all are, run: unisono prepare --assemble" in done[0].stdout
    path = ten_tracks.root / "out" / "embeddings.h5"
    assert not path.exists()
    assert digest(ten_tracks.prepare(assemble=True)) == expected
    assert not (path.parent / "shards").exists()
    assert len(list(path.parent.glob("prepare.*-of-4.log"))) == 4


def test_missing_parts_are_named_and_nothing_is_written(ten_tracks: Folder) -> None:
    for shard in SHARDS[:2]:
        ten_tracks.prepare(shard=shard)
        assert ten_tracks.done.shard == shard and not ten_tracks.done.written
        assert ten_tracks.done.tally.reasons()["in another shard"] > 0
    with pytest.raises(UnisonoError, match=r"excerpts are not embedded yet: \d of the shard [34]/4"):
        ten_tracks.prepare(assemble=True)
    assert not (ten_tracks.root / "out" / "embeddings.h5").exists()
    assert digest(ten_tracks.prepare()) == digest(ten_tracks.prepare("whole"))  # a run without parts does the rest


def test_more_parts_than_tracks(ten_tracks: Folder) -> None:
    for number in range(1, 31):
        ten_tracks.prepare(shard=f"{number}/30")
    assert digest(ten_tracks.prepare(assemble=True)) == digest(ten_tracks.prepare("whole"))


def test_one_task_a_part_and_no_run_beside_them(ten_tracks: Folder) -> None:
    output = ten_tracks.root / "out"
    with ExitStack() as task:
        enter_output(output, Part(3, 4), "prepare.log", task)
        with pytest.raises(UnisonoError, match="Another process is embedding the shard 3/4 into"):
            ten_tracks.prepare(shard="3/4")
        ten_tracks.prepare(shard="2/4")
        runs: list[dict[str, Any]] = [{}, {"assemble": True}]
        for more in runs:
            with pytest.raises(UnisonoError, match="Another process is embedding the shard 3/4 into"):
                ten_tracks.prepare(**more)
    ten_tracks.prepare()


def test_other_settings_of_a_part_are_refused(ten_tracks: Folder) -> None:
    for shard in SHARDS:  # of so few tracks one may hold none
        ten_tracks.prepare(shard=shard)
    with pytest.raises(UsageError, match="pooling"):
        ten_tracks.prepare(shard="2/4", pooling="stats")


def test_a_part_takes_a_unified_file(ten_tracks: Folder) -> None:
    with pytest.raises(UsageError, match="excludes assemble"):
        ten_tracks.prepare(shard="1/4", assemble=True)


def test_nothing_to_assemble(ten_tracks: Folder) -> None:
    with pytest.raises(UnisonoError, match="no shard was begun in"):
        ten_tracks.prepare(assemble=True)
