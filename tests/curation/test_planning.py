"""Plans without audio, and folders that hold a part of a release."""

import logging
from pathlib import Path

import pytest

from tests.releases import clotho, fma
from unisono.base.errors import UsageError
from unisono.curation.releases import Parsing, find_releases
from unisono.curation.unify import unify
from unisono.tracks.files import read_tracks
from unisono.tracks.workspace import Workspace


def test_a_plan_keeps_tracks_whose_duration_is_not_published(tmp_path: Path) -> None:
    clotho.build(tmp_path / "raw" / "clotho")
    for path in (tmp_path / "raw" / "clotho").glob("clotho_metadata_*.csv"):
        path.unlink()
    unify(["clotho"], data_root=tmp_path, check_audio=False)
    tracks = read_tracks(tmp_path / "unified_dataset.json")
    assert tracks and {track.duration for track in tracks} == {22.5}
    assert all(track.extra["duration_unknown"] is True for track in tracks)
    unify(["clotho"], data_root=tmp_path)
    assert not any("duration_unknown" in track.extra for track in read_tracks(tmp_path / "unified_dataset.json"))


def test_a_plan_has_the_subsets_that_are_not_on_disk(tmp_path: Path) -> None:
    fma.build(tmp_path / "raw" / "fma")
    assert (tmp_path / "raw" / "fma" / "fma_small").is_dir()
    counts = []
    for check_audio in (True, False):
        report = unify(["fma"], data_root=tmp_path, check_audio=check_audio)
        counts.append(report.tracks)
        assert bool(report.dropped["not in the subset on disk"]) == check_audio
    assert counts[0] < counts[1]


def test_a_folder_with_a_part_of_a_release_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clotho.build(tmp_path / "raw" / "clotho")
    fma.build(tmp_path / "raw" / "fma")
    (tmp_path / "raw" / "song_describer" / "audio").mkdir(parents=True)
    (tmp_path / "raw" / "musiccaps" / ".download").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        find_releases(None, Parsing(workspace=Workspace(tmp_path)))
    (said,) = (record.getMessage() for record in caplog.records if "is left out" in record.getMessage())
    assert "song_describer is left out" in said and "song_describer.csv" in said and "unisono download" in said
    with pytest.raises(UsageError, match="expected song_describer"):
        find_releases(["song_describer"], Parsing(workspace=Workspace(tmp_path)))
