"""The promise of docs/formats.md: files that a released version wrote are read with all that they hold."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.golden.make import RECORD, TRACKS, embedding
from unisono.base.errors import DataError
from unisono.embeddings.file import open_embeddings
from unisono.tracks.files import read_tracks, write_tracks

VERSIONS = sorted(path for path in Path(__file__).parent.iterdir() if path.name.isdigit())
VERSION = pytest.mark.parametrize("folder", VERSIONS, ids=lambda path: path.name)


@VERSION
@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
def test_unified_files_are_read_with_every_field(folder: Path, ending: str) -> None:
    assert [*read_tracks(folder / f"unified.{ending}")] == TRACKS


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_the_same_tracks_are_written_as_the_same_bytes(ending: str, tmp_path: Path) -> None:
    write_tracks(tmp_path / f"unified.{ending}", TRACKS)
    assert (tmp_path / f"unified.{ending}").read_bytes() == (VERSIONS[-1] / f"unified.{ending}").read_bytes()


@VERSION
def test_embeddings_are_read_with_all_they_hold(folder: Path) -> None:
    with open_embeddings(folder / "embeddings.h5") as file:
        assert file.encoders == {"dsp": RECORD} and file.ids == [track.id for track in TRACKS]
        for row, track in enumerate(TRACKS):
            rows = file.read(track.split)
            assert rows.captions == track.texts and list(rows.caption_of) == [0] * len(track.texts)
            assert rows.texts["audio_path"][0] == track.audio_path and rows.start_s[0] == track.start
            assert np.array_equal(file.embeddings(track.split, "dsp"), embedding(row)[None])


def test_a_newer_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    newer = Path(shutil.copy(VERSIONS[-1] / "embeddings.h5", tmp_path))
    with h5py.File(newer, "r+") as file:
        file.attrs["format"] += 1
    with pytest.raises(DataError, match="a later version of unisono") as raised:
        open_embeddings(newer)
    assert "Update" in raised.value.hint
