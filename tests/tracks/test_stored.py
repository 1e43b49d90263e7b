"""Tracks that stay on the disk are the same tracks, and what is decided over them is the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making import make_track
from unisono.base.errors import DataError
from unisono.curation.collection import as_tracks
from unisono.curation.dedupe import dedupe
from unisono.curation.leaks import leaks
from unisono.tracks import stored
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.formats import json_array
from unisono.tracks.stored import StoredTracks
from unisono.tracks.track import Track


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
    assert list(found.filter(lambda track: track.split == "val")) == [each for each in listed if each.split == "val"]


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_large_files_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    train, benchmark = tmp_path / f"train.{kind}", tmp_path / f"benchmark.{kind}"
    write_tracks(train, tracks(60))
    write_tracks(benchmark, tracks(90)[55:])
    written = []
    for limit in (1 << 40, 0):
        monkeypatch.setattr(stored, "LARGE_BYTES", limit)
        assert isinstance(as_tracks(train)._tracks, StoredTracks) is (limit == 0)
        report = leaks(train, benchmark, match=["ids", "sha256", "text"], data_root=tmp_path)
        write_tracks(tmp_path / f"clean.{kind}", report.clean())
        dedupe(train, output=tmp_path / f"merged.{kind}", data_root=tmp_path)
        files = sorted(path for path in tmp_path.iterdir() if path.stem.partition(".")[0] in ("clean", "merged"))
        written.append([report.content, *(path.read_bytes() for path in files)])
    assert len(written[0]) == 4 and written[0] == written[1]
    write_tracks(train, tracks(3) + tracks(2))
    with pytest.raises(DataError, match="record 4: the id 'd_0' already stands in record 1"):
        leaks(train, benchmark)


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
