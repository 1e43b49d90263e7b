"""Tracks that stay on the disk are the same tracks, and what is decided over them is the same."""

import gc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making import make_track
from unisono.base.errors import DataError
from unisono.curation.collection import as_tracks
from unisono.curation.collection import write_tracks as write
from unisono.curation.dedupe import dedupe
from unisono.curation.leaks import leaks
from unisono.curation.unify import unify
from unisono.tracks import files
from unisono.tracks.convert import convert
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.formats import json_array
from unisono.tracks.record import to_track
from unisono.tracks.stored import SPLIT_OF_CODE, StoredTracks
from unisono.tracks.track import Track, replace


def tracks(count: int) -> list[Track]:
    return [
        make_track(
            id=f"d_{number}",
            audio_path=f"/{number}.mp3",
            caption=f"A slow waltz for piano and number {number % 7} of the strings",
            duration=float(1 + number % 3),
            recording=f"r:{number // 2}" if number % 3 else "",
            artist_id=f"a:{number % 5}",
            split=("train", "val", "test", None)[number % 4],
            sha256=f"{number % 11:064x}" if number % 4 else "",
            extra={"mine": number} if number % 5 == 0 else {},
        )
        for number in range(count)
    ]


@given(st.integers(0, 40), st.data())
def test_a_stored_sequence_is_the_list(tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject):
    listed = tracks(count)
    found = StoredTracks(iter(listed), tmp_path_factory.getbasetemp())
    assert list(found) == listed == list(found) and len(found) == count
    places = data.draw(st.lists(st.integers(0, count - 1), max_size=9)) if count else []
    some = found[np.array(places, dtype=np.int64)]
    assert list(some) == [some[at] for at in range(len(places))] == [listed[at] for at in places]
    assert [to_track(entry) for entry in found.entries()] == listed
    codes = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    other = found.with_splits(np.array(codes, dtype=np.uint8))
    assert list(other) == [replace(each, split=SPLIT_OF_CODE[code]) for each, code in zip(listed, codes, strict=True)]
    changed = {place: make_track(id=f"x_{place}", audio_path="/x", caption="x", duration=1.0) for place in places}
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=bool)
    mixed = [changed.get(at, each) for at, each in enumerate(listed) if kept[at]]
    assert list(found.with_others(changed.items(), kept)) == mixed


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet"])
def test_tracks_of_a_file_give_the_bytes_of_tracks_in_memory(tmp_path: Path, kind: str):
    train, benchmark = tmp_path / f"train.{kind}", tmp_path / f"benchmark.{kind}"
    write_tracks(train, tracks(600))
    if kind == "jsonl":  # some lines as nobody would write them
        train.write_bytes(train.read_bytes().replace(b'{"id":"d_30', b'\n  {"id": "d_30').replace(b"\n", b"\r\n", 200))
    write_tracks(benchmark, tracks(900)[555:])
    written = []
    for first, second in ((train, benchmark), (read_tracks(train), read_tracks(benchmark))):
        report = leaks(first, second, match=["ids", "sha256", "text"], data_root=tmp_path)
        write(report.clean(), tmp_path / f"clean.{kind}")
        merged = dedupe(first, output=tmp_path / f"merged.{kind}", data_root=tmp_path)
        files = [tmp_path / name for name in (f"clean.{kind}", f"merged.{kind}", "merged.report.json")]
        written.append([report.content, *(path.read_bytes() for path in files)])
        assert report.leaking and merged.choices and isinstance(merged.tracks._tracks, StoredTracks) is (first == train)
    assert written[0] == written[1]
    write_tracks(train, tracks(3) + tracks(2))
    with pytest.raises(DataError, match="record 4: the id 'd_0' already stands in record 1"):
        leaks(train, benchmark)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path):
    write_tracks(tmp_path / "some.jsonl", tracks(9))
    found = as_tracks(tmp_path / "some.jsonl")
    write_tracks(tmp_path / "some.jsonl", tracks(3))
    assert list(found) == tracks(9), "the file was replaced, not changed"
    found = as_tracks(tmp_path / "some.jsonl")
    with (tmp_path / "some.jsonl").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataError, match="was changed"):
        list(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace(b",\n", b", "),
        lambda text: text.replace(b"[\n", b"["),
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b'{"id"', b'{\n"id"', 1),
    ],
)
def test_any_layout_of_an_array_is_read(
    tmp_path: Path, change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "some.json"
    write_tracks(path, tracks(9))
    content = path.read_bytes()
    path.write_bytes(change(content))
    assert read_tracks(path) == tracks(9)
    for fault in (content[:-3], content + b"x", content.replace(b",\n", b",,\n", 1), content.replace(b",\n", b"\n", 1)):
        path.write_bytes(fault)
        with pytest.raises(DataError):
            read_tracks(path)
    path.write_bytes(content)
    monkeypatch.setattr(json_array, "_whole", lambda path: pytest.fail("read as a whole"))
    assert read_tracks(path) == tracks(9)


def test_its_file_is_closed_in_a_cycle_of_garbage(tmp_path: Path):
    """As an error's traceback makes one; the collector may take the file first, and would warn of it."""
    found = StoredTracks(tracks(3), tmp_path)
    held = [found._files[0].file, found]
    held.append(held)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        del found, held
        gc.collect()
    assert not warned


def test_ids_whose_hashes_are_equal_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "hash", lambda id: len(id), raising=False)
    path = tmp_path / "some.jsonl"
    assert write(iter(tracks(9)), path) == write(tracks(9), path) == 9
    assert read_tracks(path) == list(as_tracks(path)) == tracks(9)
    assert convert(path, tmp_path / "some.csv").tracks == 9
    columns = '[columns]\nid = "id"\ncaption = "caption"\nduration = "duration"\n'
    (tmp_path / "a.toml").write_text('table = "some.csv"\naudio = "{id}.mp3"\n' + columns)
    assert unify([str(tmp_path / "a.toml")], output=path, data_root=tmp_path, check_audio=False).tracks == 9
    with pytest.raises(DataError, match="Tracks 2 and 10 have the same id 'd_1'"):
        write(iter([*tracks(9), *tracks(9)[1:]]), path)
    (tmp_path / "some.csv").write_text("id,audio_path,caption,duration\n1,/a,x,1\n2,/b,y,1\n3,/c,z,1\n2,/c,z,1\n")
    with pytest.raises(DataError, match="record 4: the id '2' already stands in record 2"):
        convert(tmp_path / "some.csv", path)


def test_two_records_in_one_line_are_refused(tmp_path: Path):
    path = tmp_path / "some.jsonl"
    write_tracks(path, tracks(4)[1:])
    path.write_bytes(path.read_bytes().replace(b"\n", b"", 1) + b"\n")
    with pytest.raises(DataError, match=r"some\.jsonl line 1: not valid JSON"):
        read_tracks(path)
