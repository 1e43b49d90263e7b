"""`prepare` as a whole: what it writes, what it does not do twice, what it refuses, and what broken files do to it."""

import contextlib
import errno
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
import soxr
import torch
from filelock import FileLock

from tests.broken_audio import BROKEN, music, write_music
from tests.embeddings.encoders import tiny
from tests.embeddings.prepare.conftest import Folder
from unisono.audio import decode as audio
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.files import partial_path
from unisono.embeddings.encoders.audio import dsp
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare import contents
from unisono.embeddings.prepare.executors import _runner
from unisono.embeddings.prepare.run import prepare
from unisono.tracks.track import SPLITS

pytestmark = pytest.mark.usefixtures("quick_musicnn")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a file was decoded")

    monkeypatch.setattr(audio.Decoder, "blocks", refuse)


def count_decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    decoded: list[str] = []
    blocks = audio.Decoder.blocks

    def counting(self: audio.Decoder, excerpt: audio.Excerpt, rates_hz: set[int]) -> Any:
        decoded.append(Path(excerpt.path).stem)
        return blocks(self, excerpt, rates_hz)

    monkeypatch.setattr(audio.Decoder, "blocks", counting)
    return decoded


def expected_dsp(path: str, start_s: float, duration_s: float) -> np.ndarray:
    """Decode, cut, embed and average by hand."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    part = samples[round(start_s * rate_hz) : round((start_s + duration_s) * rate_hz)]
    mono = soxr.resample((part[:, 0] + part[:, 1]) / 2, rate_hz, 22_050, "HQ")
    length = 220_500
    if len(mono) < length:
        windows = [np.resize(mono, length)]
    else:
        windows = [mono[begin : begin + length] for begin in range(0, len(mono) - length + 1, length)]
        if len(mono) % length > length / 20:
            windows.append(mono[-length:])
    rows = [dsp.build().embed(torch.tensor(window)[None])[0].double().numpy() for window in windows]
    return np.mean(rows, axis=0).astype(np.float16)


def test_the_file_holds_what_was_asked_for(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        folder.add(
            f"t{number}",
            25.0 if number == 0 else 2.0 + number,
            dataset="one",
            artist=f"Artist {number}",
            tags=["calm", "piano"],
            alt_captions=["second", "third"][: number % 3],
            caption_origin="human",
            recording=f"jamendo:{number}",
        )
    long = folder.records[0]
    folder.records.append(
        {**long, "id": "part", "start": 4.5, "duration": 12, "caption": "the middle", "recording": "r"}
    )
    folder.records.append({**long, "id": "same", "caption": "the same again", "recording": "s"})
    folder.write()
    path = folder.prepare()
    assert folder.done.counts == {"train": 8, "val": 1, "test": 1}
    assert capsys.readouterr() == ("", ""), "a stage prints nothing"

    with open_embeddings(path) as file:
        splits = {split: file.read(split) for split in SPLITS}
        record = file.encoders["dsp"]
        assert file.failures == 0
    assert (record.rate_hz, record.window_s, record.hop_s, record.pooling, record.dim) == (22_050, 10, 10, "mean", 476)
    by_id = {record["id"]: record for record in folder.records}
    assert sorted(id_ for rows in splits.values() for id_ in rows.ids) == sorted(by_id)
    for rows in splits.values():
        assert rows.ids == sorted(rows.ids)
        for row, id_ in enumerate(rows.ids):
            source = by_id[id_]
            expected = expected_dsp(source["audio_path"], source.get("start", 0), source["duration"])
            np.testing.assert_allclose(rows.embeddings["dsp"][row], expected, atol=2e-3)
            captions = [rows.captions[i] for i in np.flatnonzero(rows.caption_of == row).tolist()]
            assert captions == [source["caption"], *source["alt_captions"]]
            assert rows.texts["artist"][row] == source["artist"]
            assert rows.tags[row] == ["calm", "piano"]
            assert rows.start_s[row] == source.get("start", 0)
        assert set(rows.caption_origin) <= {"human"}


def test_splits_honour_upstream_and_keep_a_file_on_one_side(folder: Folder) -> None:
    one = folder.add("part 0", 12)
    folder.records += [{**one, "id": f"part {number}", "start": number} for number in range(1, 10)]
    for number in range(10):
        folder.add(f"t{number}", split="val" if number == 4 else "test" if number == 6 else None)
    folder.write()
    with open_embeddings(folder.prepare()) as file:
        side_of = {id_: split for split in SPLITS for id_ in file.read(split).ids}
    assert len({side_of[f"part {number}"] for number in range(10)}) == 1
    assert (side_of["t4"], side_of["t6"]) == ("val", "test")
    with open_embeddings(folder.prepare("seeded", split_by="seed")) as file:
        assert file.counts() == {"train": 16, "val": 2, "test": 2}


def test_the_bytes_depend_on_nothing_but_input_and_seed(ten_tracks: Folder) -> None:
    first = ten_tracks.prepare("first", encoders=("dsp", "musicnn"))
    random.Random(1).shuffle(ten_tracks.records)
    ten_tracks.write()
    second = ten_tracks.prepare("second", encoders=("musicnn", "dsp"), batch_size=3, workers=1)
    assert digest(first) == digest(second)
    assert digest(first) != digest(ten_tracks.prepare("third", encoders=("dsp", "musicnn"), seed=7))


def test_a_second_run_does_nothing(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ten_tracks.prepare()
    before = path.stat().st_mtime_ns
    no_decoding(monkeypatch)
    monkeypatch.setattr("unisono.embeddings.encoders.audio.build", no_decoding)
    assert ten_tracks.prepare().stat().st_mtime_ns == before


def test_added_tracks_and_encoders_compute_only_those(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ten_tracks.write(ten_tracks.records[:7])
    ten_tracks.prepare()
    ten_tracks.write()
    decoded = count_decoding(monkeypatch)
    ten_tracks.prepare()
    assert sorted(decoded) == ["t7", "t8", "t9"]
    embedded_with: list[str] = []

    def noting(device: str, built: dict[str, Any], batch_size: int | None) -> _runner.Runner:
        embedded_with.extend(built)
        return _runner.Runner(device, built, batch_size)

    monkeypatch.setattr("unisono.embeddings.prepare.executors.local.Runner", noting)
    grown = ten_tracks.prepare(encoders=("musicnn",))
    assert set(embedded_with) == {"musicnn"}
    fresh = ten_tracks.prepare("fresh", encoders=("dsp", "musicnn"))
    assert digest(grown) == digest(fresh)


def test_a_changed_file_is_embedded_anew(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = digest(ten_tracks.prepare())
    write_music(Path(ten_tracks.records[4]["audio_path"]), 5.5, seed=99)
    decoded = count_decoding(monkeypatch)
    assert digest(ten_tracks.prepare()) != first
    assert decoded == ["t4"]


def test_a_changed_caption_rewrites_the_file_without_decoding(
    ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digest(ten_tracks.prepare())
    ten_tracks.records[4]["caption"] = "other words"
    ten_tracks.write()
    no_decoding(monkeypatch)
    assert digest(ten_tracks.prepare()) != first


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("pooling", "stats", "pooling: 'mean' there, 'stats' now"),
        ("seed", 1, "seed: 42 there, 1 now"),
        ("split_by", "seed", "split by: 'upstream' there, 'seed' now"),
        ("keep_windows", True, "keep windows: False there, True now"),
        ("sample_size", 4, "6 tracks that would be lost"),
        ("min_duration", 5.0, "4 tracks that would be lost"),
    ],
)
def test_other_settings_are_refused(ten_tracks: Folder, option: str, value: Any, says: str) -> None:
    path = ten_tracks.prepare()
    before = digest(path)
    with pytest.raises(UsageError, match=says):
        ten_tracks.prepare(**{option: value})
    assert digest(path) == before


@pytest.mark.parametrize("assembled", [True, False], ids=["in embeddings.h5", "in shards"])
def test_embeddings_of_other_weights_are_refused(
    ten_tracks: Folder, assembled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten_tracks.write(ten_tracks.records[:9])
    with monkeypatch.context() as patch:
        if not assembled:
            patch.setattr("unisono.embeddings.prepare.run.assemble", interrupt)
        with contextlib.suppress(KeyboardInterrupt):
            ten_tracks.prepare()
    ten_tracks.write()
    monkeypatch.setattr(dsp.Dsp, "spec", replace(dsp.SPEC, revision="2"))
    with pytest.raises(UsageError, match="dsp: revision: '1' there, '2' now"):
        ten_tracks.prepare()


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_nothing_but_the_file_stays_and_the_file_suffices(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ten_tracks.add("broken", broken="silent")
    ten_tracks.write(ten_tracks.records[3:])
    options: dict[str, Any] = {"pooling": "stats", "keep_windows": True}
    path = ten_tracks.prepare(**options)
    assert sorted(found.name for found in path.parent.iterdir()) == [
        ".prepare.lock",
        "embeddings.h5",
        "prepare.log",
        "prepare.report.json",
    ]
    elsewhere = ten_tracks.root / "elsewhere"
    elsewhere.mkdir()
    path.rename(elsewhere / "embeddings.h5")
    ten_tracks.write()
    decoded = count_decoding(monkeypatch)
    grown = ten_tracks.prepare("elsewhere", **options)
    assert sorted(decoded) == ["t0", "t1", "t2"], "what is in the file, or known to be broken, was decoded again"
    assert digest(grown) == digest(ten_tracks.prepare("fresh", **options))


def test_shards_of_tracks_that_are_not_chosen_now_stay(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("unisono.embeddings.prepare.run.assemble", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ten_tracks.prepare()
    with open_embeddings(ten_tracks.prepare(sample_size=4)) as file:
        assert len(file.ids) == 4
    no_decoding(monkeypatch)
    with open_embeddings(ten_tracks.prepare()) as file:
        assert len(file.ids) == 10
    assert not (ten_tracks.root / "out" / "shards").exists()


def test_a_file_of_an_earlier_edition_is_written_anew(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such files name no excerpts, and their shards lie next to them."""
    with monkeypatch.context() as patch:
        patch.setattr("unisono.embeddings.prepare.assemble.EDITION", 1)
        patch.setattr("unisono.embeddings.prepare.run._remove_what_is_stored", lambda *_: None)
        path = ten_tracks.prepare()
    with h5py.File(path, "r+") as file:
        for name in ("train", "val", "test"):
            del file[name]["excerpts"], file[name]["contents"]
        del file["faults"], file.attrs["checksums"], file.attrs["seal"]
    decoded = count_decoding(monkeypatch)
    ten_tracks.prepare()
    assert decoded == []
    assert not (path.parent / "shards").exists()
    assert digest(path) == digest(ten_tracks.prepare("fresh"))


def test_a_larger_sample_holds_the_smaller(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ten_tracks.prepare(sample_size=4)
    reasons = ten_tracks.report()["reasons"]
    assert reasons == {"not in the sample": 6}
    decoded = count_decoding(monkeypatch)
    ten_tracks.prepare(sample_size=9)
    assert len(decoded) == 5


def test_durations_filter(ten_tracks: Folder) -> None:
    path = ten_tracks.prepare(min_duration=3.5, max_duration=6.5)
    with open_embeddings(path) as file:
        assert sorted(file.ids) == ["t2", "t3", "t4", "t5"]
    assert ten_tracks.report()["reasons"] == {"shorter than 3.5 s": 2, "longer than 6.5 s": 4}


def test_each_broken_file_is_left_out_with_its_reason(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        folder.add(f"good {number}", dataset="d")
    for how in BROKEN:
        folder.add(how, broken=how, dataset="d")
    folder.write()
    path = folder.prepare()
    with open_embeddings(path) as file:
        assert sorted(file.ids) == [f"good {number}" for number in range(10)]
        assert file.failures == len(BROKEN)
    report = folder.report()
    assert {entry["id"]: entry["reason"] for entry in report["dropped"]} == {how: BROKEN[how][0] for how in BROKEN}
    assert all(str(folder.root / "audio") in entry["detail"] for entry in report["dropped"])
    assert report["came"] == {"d": 10 + len(BROKEN)}
    assert report["kept"] == {"d": 10}

    before = digest(path)
    decoded = count_decoding(monkeypatch)
    folder.prepare()
    assert decoded == [], "what is known to be broken was tried again"
    assert digest(path) == before
    assert {entry["id"] for entry in folder.report()["dropped"]} == set(BROKEN)

    for how in ("missing", "empty"):
        write_music(folder.root / "audio" / f"{how}.wav", 3).replace(folder.root / "audio" / f"{how}.mp3")
    folder.prepare()
    assert sorted(decoded) == ["empty", "missing"]
    with open_embeddings(path) as file:
        assert len(file.ids) == 12


def test_strict_makes_a_fault_a_failure(folder: Folder) -> None:
    folder.add("good")
    folder.add("bad", broken="empty")
    folder.write()
    with pytest.raises(UnisonoError, match=r"--strict: 1 tracks were dropped .*prepare.report.json"):
        folder.prepare(strict=True)
    assert not (folder.root / "out" / "embeddings.h5").exists()
    folder.prepare()


def test_a_track_of_unusual_audio_is_embedded(folder: Folder) -> None:
    for name, rate_hz, channels in (("mono", 44_100, 1), ("six", 48_000, 6), ("low", 8_000, 2), ("high", 96_000, 2)):
        write_music(Path(folder.add(f"音楽 {name}")["audio_path"]), 3, rate_hz, channels)
    folder.write()
    folder.prepare(strict=True)


def test_no_audio_at_all_is_an_error(ten_tracks: Folder) -> None:
    shutil.rmtree(ten_tracks.root / "audio")
    with pytest.raises(UnisonoError, match="None of the 10 audio files is there"):
        ten_tracks.prepare()


def test_nothing_but_broken_audio_is_an_error(folder: Folder) -> None:
    folder.add("bad", broken="silent")
    folder.write()
    with pytest.raises(UnisonoError, match="No track could be embedded"):
        folder.prepare()


def test_an_audio_folder_that_goes_away_stops_the_run(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digest(ten_tracks.prepare("whole"))
    away = ten_tracks.root / "away"
    blocks = audio.Decoder.blocks

    def vanishing(self: audio.Decoder, excerpt: audio.Excerpt, rates_hz: set[int]) -> Any:
        if excerpt.path.endswith("t6.wav"):
            time.sleep(1)  # let the encoders catch up
            (ten_tracks.root / "audio").rename(away)
        return blocks(self, excerpt, rates_hz)

    with monkeypatch.context() as patch:
        patch.setattr(audio.Decoder, "blocks", vanishing)
        with pytest.raises(UnisonoError, match="has gone away"):
            ten_tracks.prepare(workers=1)
    away.rename(ten_tracks.root / "audio")
    decoded = count_decoding(monkeypatch)
    assert digest(ten_tracks.prepare()) == expected
    assert 0 < len(decoded) < 10


def test_a_rerun_without_the_audio_does_not_shrink_the_file(ten_tracks: Folder) -> None:
    path = ten_tracks.prepare()
    before = digest(path)
    Path(ten_tracks.records[3]["audio_path"]).unlink()
    with pytest.raises(UsageError, match=r"1 tracks that would be lost; the first is t3 \(audio file missing\)"):
        ten_tracks.prepare()
    assert digest(path) == before


def test_two_runs_at_once_are_refused(ten_tracks: Folder) -> None:
    (ten_tracks.root / "out").mkdir()
    with (
        FileLock(ten_tracks.root / "out" / ".prepare.lock"),
        pytest.raises(UnisonoError, match="Another run is writing"),
    ):
        ten_tracks.prepare()


def test_absent_weights_are_named_with_what_to_use_instead(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(ten_tracks.root / "none"))
    monkeypatch.setenv("HF_HUB_CACHE", str(ten_tracks.root / "none"))
    with pytest.raises(UnisonoError) as caught:
        ten_tracks.prepare(encoders=("muq", "mert", "latent"))
    assert caught.value.message == "The weights of latent, mert and muq are not here."
    assert "unisono encoders fetch latent mert muq" in caught.value.hint
    assert "--encoders musicnn dsp" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"encoders": ("nonsense",)},
        {"encoders": ()},
        {"sample_size": 0},
        {"batch_size": 0},
        {"min_duration": 9.0, "max_duration": 3.0},
        {"min_duration": 900.0},
        {"workers": 0},
        {"devices": ("cuda:7",)},
    ],
)
def test_nonsense_is_refused(ten_tracks: Folder, options: dict[str, Any]) -> None:
    with pytest.raises(UnisonoError):
        ten_tracks.prepare(**options)
    assert not (ten_tracks.root / "out" / "embeddings.h5").exists()


def test_windows_are_kept_if_asked_for(folder: Folder) -> None:
    for number in range(10):
        folder.add(f"t{number}", 4.0 + 10 * (number % 3))
    folder.write()
    path = folder.prepare(encoders=("dsp", "musicnn"), keep_windows=True)
    with open_embeddings(path) as file:
        for split in SPLITS:
            rows = file.read(split)
            for encoder, window_s in (("dsp", 10), ("musicnn", 3)):
                stored = file.windows(split, encoder)
                windows, window_of = stored.embeddings, stored.of
                counts = [audio.count_windows(duration_s, window_s, window_s) for duration_s in rows.duration_s]
                np.testing.assert_array_equal(np.bincount(window_of), counts)
                for row in range(len(rows.ids)):
                    mean = windows[window_of == row].astype(np.float64).mean(axis=0)
                    np.testing.assert_allclose(mean, rows.embeddings[encoder][row], atol=0.02)
    plain = folder.prepare("plain")
    with open_embeddings(plain) as file, pytest.raises(UsageError, match="holds no windows of dsp"):
        file.windows("train", "dsp")


def test_a_few_windows_of_each_track_are_kept_if_asked_for(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        folder.add(f"t{number}", 4.0 + 10 * (number % 3))
    folder.write(folder.records[:9])
    folder.prepare("few", encoders=("musicnn",), windows_per_track=3)
    folder.write()
    path = folder.prepare("few", encoders=("musicnn",), windows_per_track=3)
    whole = folder.prepare("all", encoders=("musicnn",), keep_windows=True)
    with open_embeddings(path) as file, open_embeddings(whole) as other:
        for split in SPLITS:
            few, every = file.windows(split, "musicnn"), other.windows(split, "musicnn")
            np.testing.assert_array_equal(file.embeddings(split, "musicnn"), other.embeddings(split, "musicnn"))
            for row, held in enumerate(np.bincount(every.of)):
                mine = few.of == row
                chosen = {2: [0, 1], 5: [0, 2, 4], 8: [1, 4, 6]}[held]
                assert few.numbers[mine].tolist() == chosen
                np.testing.assert_array_equal(few.embeddings[mine], every.embeddings[every.of == row][chosen])
                assert every.numbers[every.of == row].tolist() == list(range(held))
    before = digest(path)
    for more in ({"shard": "1/2"}, {"shard": "2/2"}, {"assemble": True}):
        parts = folder.prepare("parts", encoders=("musicnn",), windows_per_track=3, **more)
    assert digest(parts) == before
    touch(folder.records[1])
    folder.write()
    with monkeypatch.context() as patch:
        no_decoding(patch)
        assert digest(folder.prepare("few", encoders=("musicnn",), windows_per_track=3)) != before
    assert folder.done.recognised == 1
    with pytest.raises(UsageError, match="keep windows: 3 there, 4 now"):
        folder.prepare("few", encoders=("musicnn",), windows_per_track=4)
    with pytest.raises(UsageError, match="choose one"):
        folder.prepare("few", windows_per_track=4, keep_windows=True)


def test_an_estimate_is_given_before_long_runs(
    ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_runner, "WORTH_ESTIMATING_WINDOWS", 5)
    monkeypatch.setattr("unisono.base.log.log.propagate", True)
    with caplog.at_level("INFO", logger="unisono"):
        ten_tracks.prepare()
    assert any("10 excerpts, 0.0 hours of audio: about" in line for line in caplog.messages)
    assert any("tracks/" in line and "x real time" in line for line in caplog.messages)
    log = (ten_tracks.root / "out" / "prepare.log").read_text()
    assert "x real time" in log


@pytest.fixture(scope="module")
def tiny_mert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    (root / "mert").mkdir()
    tiny.write_mert(root / "mert")
    return root


def test_hidden_states_are_kept_as_asked_for(folder: Folder, tiny_mert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tiny_mert))
    for number in range(3):
        folder.add(f"t{number}", 2.0)
    folder.write()
    every = folder.prepare("all", encoders=("mert",), layers=("mert=all",))
    some = folder.prepare("some", encoders=("mert",), layers=("mert=1,3",))
    last = folder.prepare("last", encoders=("mert",))
    with open_embeddings(every) as all_of, open_embeddings(some) as some_of, open_embeddings(last) as last_of:
        assert all_of.encoders["mert"].layers == tiny.DEPTH + 1
        assert all_of.encoders["mert"].hidden_states == "all"
        stored = [file.read("train").embeddings["mert"] for file in (all_of, some_of, last_of)]
    np.testing.assert_array_equal(stored[0][:, [1, 3]], stored[1])
    np.testing.assert_allclose(stored[0][:, -1], stored[2], atol=1e-3)
    with pytest.raises(UsageError, match="mert: hidden states: 'all' there, '1,2' now"):
        folder.prepare("all", encoders=("mert",), layers=("mert=1,2",))
    folder.prepare("all", encoders=("dsp",))  # what is there already stays as it is
    with open_embeddings(every) as file:
        assert set(file.encoders) == {"dsp", "mert"}


@pytest.mark.parametrize("layers", ["mert=all", "dsp=first", "dsp", "dsp=all"])
def test_wrong_hidden_states_are_refused(ten_tracks: Folder, layers: str) -> None:
    with pytest.raises(UsageError):
        ten_tracks.prepare(layers=(layers,))


def test_one_broken_file_in_a_hundred_does_not_stop_the_rest(folder: Folder) -> None:
    """Many tracks, of which a few are broken in every way there is, as in a large collection."""
    path = write_music(folder.root / "audio" / "a.wav", 5, rate_hz=8_000, channels=1)
    for number in range(100):
        start = number / 32
        record = {"id": f"t{number:04}", "audio_path": str(path), "caption": "c", "duration": 1.5, "start": start}
        folder.records.append({**record, "recording": f"r{number}"})
    for how in BROKEN:
        folder.add(how, broken=how)
    folder.write()
    with open_embeddings(folder.prepare()) as file:
        assert file.counts() == {"train": 80, "val": 10, "test": 10}
    assert {entry["id"] for entry in folder.report()["dropped"]} == set(BROKEN)


def test_a_file_of_half_an_hour_is_embedded_whole(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def measuring(_: dsp.Dsp, windows: torch.Tensor) -> torch.Tensor:
        lengths.append(windows.shape[1])
        return windows[:, : dsp.SPEC.dim]

    monkeypatch.setattr(dsp.Dsp, "embed", measuring)
    path = folder.root / "audio" / "long.wav"
    path.parent.mkdir()
    minute = music(60, 8_000, 1)
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for _ in range(30):
            file.write(minute)
    folder.records.append({"id": "long", "audio_path": str(path), "caption": "c", "duration": 1_800})
    folder.write()
    folder.prepare()
    assert lengths == [220_500] * 180


def test_the_report_says_what_was_done(folder: Folder) -> None:
    for number in range(10):
        folder.add(f"t{number}", 9.0, dataset="<d>", alt_captions=["b"])
    folder.add("bad", broken="silent", dataset="<d>")
    folder.write()
    path = folder.prepare()
    done = folder.done
    assert done.path == path and done.report_path.name == "prepare.report.json" and done.written
    assert done.counts == {"train": 8, "val": 1, "test": 1}
    (dataset,) = done.datasets
    assert (dataset.tracks, dataset.embedded, dataset.left_out, dataset.captions) == (11, 10, 1, 20)
    assert dataset.hours == pytest.approx(0.025)
    assert [(item.id, item.reason) for _, item in done.tally.dropped] == [("bad", "silent")]
    assert [encoder.name for encoder in done.encoders] == ["dsp"]
    assert repr(done).splitlines() == [
        f"PrepareReport: {path}",
        "  tracks: train 8, val 1, test 1",
        "  encoder dsp: 476",
        "  1 left out: silent",
    ]
    assert "&lt;d&gt;" in done._repr_html_() and "<d>" not in done._repr_html_()
    folder.prepare()
    assert not folder.done.written
    assert folder.done.counts == done.counts


def test_the_report_on_disk_has_the_arguments_or_the_options(ten_tracks: Folder) -> None:
    ten_tracks.prepare(sample_size=5, min_duration=2, encoders=["dsp"])
    options = ten_tracks.report()["options"]
    assert options["dataset_file"] == str(ten_tracks.file)
    assert (options["sample_size"], options["min_duration"], options["encoders"]) == (5, 2, ["dsp"])
    assert (options["executor"], options["strict"], options["seed"]) == ("local", False, 42)
    ten_tracks.prepare(sample_size=6, min_duration=2, recorded_options={"as": "typed"})
    assert ten_tracks.report()["options"] == {"as": "typed"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"encoders": "dsp"}, "encoders must be a sequence, found 'dsp'"),
        ({"encoders": ("dps",)}, r"no audio encoder 'dps'\. Did you mean 'dsp'"),
        ({"sample_size": 0}, "sample_size must be at least 1 or None, found 0"),
        ({"workers": 1.5}, "workers must be a whole number"),
        ({"min_duration": -1}, "min_duration must be at least 0 and at most 1e\\+09 or None, found -1"),
        ({"pooling": "max"}, "pooling must be one of 'mean', 'stats'"),
        ({"executor": "locl"}, r"no executor 'locl'\. Did you mean 'local'"),
        ({"datasets": ("musicbench",)}, "either a unified file or datasets"),
        ({"enconders": ("dsp",)}, r"no parameter 'enconders'\. Did you mean 'encoders'"),
    ],
)
def test_wrong_arguments_are_errors_in_words(ten_tracks: Folder, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ten_tracks.prepare(**wrong)
    assert not (ten_tracks.root / "out").exists()


def test_a_unified_file_or_datasets_are_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either a unified file or datasets"):
        prepare(output_dir=tmp_path)
    with pytest.raises(UsageError, match="There is no"):
        prepare(str(tmp_path / "none.json"), output_dir=str(tmp_path / "out"), encoders=["dsp"])


# --- tracks that are not chosen any more, and files that were moved ---


def test_fewer_tracks_are_refused_and_pruned_if_asked_for(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ten_tracks.prepare(encoders=("dsp", "musicnn"))
    before = digest(path)
    ten_tracks.write(ten_tracks.records[2:8])
    fewer = digest(ten_tracks.prepare("fewer", encoders=("dsp", "musicnn")))
    with pytest.raises(UsageError, match=r"4 tracks that would be lost; the first is t0 \(not among") as caught:
        ten_tracks.prepare()
    assert "--prune" in caught.value.hint
    assert digest(path) == before
    no_decoding(monkeypatch)
    ten_tracks.prepare(prune=True)
    assert digest(path) == fewer
    assert ten_tracks.done.pruned == 4
    assert "4 removed: not chosen now" in repr(ten_tracks.done)
    ten_tracks.prepare(prune=True)
    assert ten_tracks.done.pruned == 0 and not ten_tracks.done.written


def test_tracks_whose_audio_is_away_are_never_pruned(ten_tracks: Folder) -> None:
    path = ten_tracks.prepare()
    before = digest(path)
    Path(ten_tracks.records[3]["audio_path"]).unlink()
    ten_tracks.write(ten_tracks.records[:5])
    with pytest.raises(
        UsageError, match=r"1 tracks that would be lost; the first is t3 \(audio file missing\)"
    ) as caught:
        ten_tracks.prepare(prune=True)
    assert "Bring the audio back" in caught.value.hint
    assert digest(path) == before
    ten_tracks.write(ten_tracks.records[:3])
    ten_tracks.prepare(prune=True)
    assert ten_tracks.done.pruned == 7


def touch(record: dict[str, Any]) -> None:
    stamp = time.time_ns() - 10**12
    os.utime(record["audio_path"], ns=(stamp, stamp))


def rename(record: dict[str, Any]) -> None:
    path = Path(record["audio_path"])
    record["audio_path"] = str(path.rename(path.with_name(f"renamed {path.name}")))


def move(record: dict[str, Any]) -> None:
    path = Path(record["audio_path"])
    (path.parent.parent / "moved").mkdir(exist_ok=True)
    record["audio_path"] = str(path.rename(path.parent.parent / "moved" / path.name))


def copy(record: dict[str, Any]) -> None:
    path = Path(record["audio_path"])
    record["audio_path"] = str(shutil.copy(path, path.with_name(f"copy {path.name}")))
    path.unlink()


@pytest.mark.parametrize("change", [touch, rename, move, copy])
def test_files_are_recognised_by_their_content(
    ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], None]
) -> None:
    path = ten_tracks.prepare(keep_windows=True)
    for record in ten_tracks.records[2:9]:
        change(record)
    ten_tracks.write()
    fresh = digest(ten_tracks.prepare("fresh", keep_windows=True))
    with monkeypatch.context() as patch:
        no_decoding(patch)
        ten_tracks.prepare(keep_windows=True)
    assert ten_tracks.done.recognised == 7
    assert digest(path) == fresh
    assert not (path.parent / "shards").exists()


def test_what_was_moved_before_the_first_file_was_whole_is_recognised(
    ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only shards are there, as after a kill."""
    with monkeypatch.context() as patch:
        patch.setattr("unisono.embeddings.prepare.run.assemble", None)
        with pytest.raises(TypeError):
            ten_tracks.prepare()
    for record in ten_tracks.records:
        move(record)
    ten_tracks.write()
    with monkeypatch.context() as patch:
        no_decoding(patch)
        path = ten_tracks.prepare()
    assert digest(path) == digest(ten_tracks.prepare("fresh"))
    assert not (path.parent / "shards").exists()


def test_another_content_of_the_same_size_is_embedded_again(
    ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten_tracks.prepare()
    write_music(Path(ten_tracks.records[4]["audio_path"]), 5.5, rate_hz=16_000, channels=2, seed=99)
    ten_tracks.records[5]["start"], ten_tracks.records[5]["duration"] = 1.0, 2.0
    rename(ten_tracks.records[5])
    ten_tracks.write()
    with monkeypatch.context() as patch:
        decoded = count_decoding(patch)
        path = ten_tracks.prepare()
    assert sorted(decoded) == ["renamed t5", "t4"]
    assert ten_tracks.done.recognised == 0
    assert digest(path) == digest(ten_tracks.prepare("fresh"))


def test_nothing_is_hashed_where_no_file_has_gone(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ten_tracks.write(ten_tracks.records[:6])
    ten_tracks.prepare()
    ten_tracks.write()
    hashed: list[str] = []
    original = contents.hash_of
    monkeypatch.setattr(contents, "hash_of", lambda path: hashed.append(Path(path).stem) or original(path))
    ten_tracks.prepare(encoders=("dsp", "musicnn"))
    assert sorted(hashed) == ["t6", "t7", "t8", "t9"], "each new file once, no other"


# --- damage ---


def test_a_damaged_file_is_not_called_complete(ten_tracks: Folder) -> None:
    path = ten_tracks.prepare()
    with h5py.File(path, "r+") as file:
        file["train/dsp_embeddings"][0, 0] += 1
    for records in (ten_tracks.records, ten_tracks.records[:5]):
        ten_tracks.write(records)
        with pytest.raises(DataError, match="train/dsp_embeddings"):
            ten_tracks.prepare(prune=True)


@pytest.mark.parametrize("kind", ["*/*.safetensors", "failures/*.json", "contents/*.json", "dsp/settings.json"])
def test_damage_of_what_a_run_left_is_found_or_does_not_matter(
    ten_tracks: Folder, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten_tracks.add("silent", broken="silent")
    ten_tracks.write()
    expected = digest(ten_tracks.prepare("whole"))
    with monkeypatch.context() as patch:
        patch.setattr("unisono.embeddings.prepare.run.assemble", None)
        with pytest.raises(TypeError):
            ten_tracks.prepare()
    (left,) = (ten_tracks.root / "out" / "shards").glob(kind)
    kept = shutil.copytree(ten_tracks.root / "out", ten_tracks.root / "kept")
    chosen = random.Random(kind)
    refused = 0
    for trial in range(20):
        shutil.rmtree(ten_tracks.root / "out")
        shutil.copytree(kept, ten_tracks.root / "out")
        content = bytearray(left.read_bytes())
        if trial % 5:
            content[chosen.randrange(len(content))] ^= chosen.randrange(1, 256)
        else:
            del content[chosen.randrange(len(content)) :]
        left.write_bytes(content)
        try:
            assert digest(ten_tracks.prepare()) == expected
        except (DataError, UsageError) as error:
            assert str(ten_tracks.root / "out") in error.message and error.hint
            refused += 1
    assert refused > 10
    left.unlink()


def test_a_partial_file_of_another_container_is_left_alone(ten_tracks: Folder) -> None:
    out = ten_tracks.root / "out"
    (out / "shards" / "dsp").mkdir(parents=True)
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    gone = int(process.stdout)
    partial = partial_path(Path("x"))
    mine = partial.name.removeprefix(".x.").rpartition("-")[0]
    foreign, killed = f"deadbeef-{gone}.partial", f"{mine}-{gone}.partial"
    for end in (foreign, killed):
        for path in (out / f".embeddings.h5.{end}", out / "shards" / "dsp" / f".ab.safetensors.{end}"):
            path.write_bytes(b"half")
    ten_tracks.prepare()
    assert {path.name for path in out.rglob("*.partial")} == {
        f".embeddings.h5.{foreign}",
        f".ab.safetensors.{foreign}",
    }


def test_a_file_system_without_locks_is_used(ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = digest(ten_tracks.prepare("whole"))

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert digest(ten_tracks.prepare()) == expected


@pytest.mark.parametrize("above", [0, 1], ids=["the folder", "the folder above"])
@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.ENOENT])
def test_an_output_that_cannot_be_written_is_explained(
    ten_tracks: Folder, monkeypatch: pytest.MonkeyPatch, number: int, above: int
) -> None:
    """As the root of a file system that is read-only, or full, does."""

    def refuse(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str([path, *path.parents][above]))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(UnisonoError, match=r"Cannot write|No space left") as caught:
            ten_tracks.prepare()
    assert caught.value.hint
