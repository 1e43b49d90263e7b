"""What goes out comes back the same, whatever the format; what is damaged, hostile or missing is told, never half-done."""

import csv
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from tests.loaded import unisono
from tests.making import make_track
from tests.releases import audio
from tests.tracks.test_track import track_lists
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.commands.convert import ConvertOptions
from unisono.commands.convert import convert as run
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import SPLITS, Track

WAV_HEAD = b"RIFF\0\0\0\0WAVE"
"""What makes a file audio to `convert`, which does not decode it."""


def convert(source: Path, target: Path, **options: Any) -> Path:
    run(source, target, options=ConvertOptions(**options))
    return target


def make(folder: Path, count: int = 12, **more: Any) -> list[Track]:
    """Write a unified file with audio of its own for every track; the last two share a file."""
    tracks = []
    for number in range(count):
        path = folder / "audio" / f"a {min(number, count - 2)}.wav"
        audio.tone(path, 0.5, 200 + 20 * number, rate_hz=8000)
        tracks.append(
            make_track(
                id=f"d_{number}/ü",
                audio_path=str(path),
                caption=f'Captión {number}, "quoted",\r\nin two lines',
                alt_captions=["one", "two, three"][: number % 3],
                duration=0.25 + number / 3,
                dataset=f"set{number % 2}",
                tags=["a,b", "[c]"] if number % 2 else [],
                start=0.1 * number,
                split=[*SPLITS, None][number % 4],
                license="CC-BY-4.0" if number % 3 else "unknown",
                extra={"bpm": 120 + number, "nested": {"": [None, "x"]}} if number % 2 else {},
            )
        )
    write_tracks(folder / "unified.json", tracks)
    return tracks


def by_id(tracks: list[Track]) -> list[Track]:
    return sorted(tracks, key=lambda track: track.id)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_path(track: Track) -> dict[str, Any]:
    return {name: getattr(track, name) for name in track.__struct_fields__ if name != "audio_path"}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_files_and_back(tmp_path: Path, ending: str) -> None:
    tracks = make(tmp_path)
    there = convert(tmp_path / "unified.json", tmp_path / f"there.{ending}")
    back = convert(there, tmp_path / "back.json")
    assert read_tracks(back) == tracks


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tracks=track_lists().filter(bool))
def test_any_tracks_survive_csv(tmp_path: Path, tracks: list[Track]) -> None:
    write_tracks(tmp_path / "in.jsonl", tracks)
    convert(tmp_path / "in.jsonl", tmp_path / "there.csv")
    convert(tmp_path / "there.csv", tmp_path / "out.jsonl")
    assert read_tracks(tmp_path / "out.jsonl") == tracks


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
def test_folders_and_back_without_audio(tmp_path: Path, to: str) -> None:
    tracks = make(tmp_path)
    back = convert(convert(tmp_path / "unified.json", tmp_path / "out", to=to), tmp_path / "back.json")
    assert by_id(read_tracks(back)) == by_id(tracks)
    for split in SPLITS:
        assert [track for track in read_tracks(back) if track.split == split] == [t for t in tracks if t.split == split]


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
def test_the_audio_comes_back_bit_for_bit(tmp_path: Path, to: str) -> None:
    tracks = make(tmp_path)
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to=to, with_audio=True)
    held = {track.id: Path(track.audio_path).read_bytes() for track in tracks}
    for track in tracks:
        Path(track.audio_path).unlink(missing_ok=True)
    back = read_tracks(convert(folder, tmp_path / "back.json", with_audio=True))
    assert [without_path(track) for track in by_id(back)] == [without_path(track) for track in by_id(tracks)]
    assert {track.id: Path(track.audio_path).read_bytes() for track in back} == held
    files = {track.audio_path for track in back}
    assert len(files) == len(tracks) - 1, "records of one file still share it"
    assert {Path(path).parent for path in files} == {tmp_path / "back_audio"}
    assert set(content(tmp_path / "back_audio")) == {Path(path).name for path in files}


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
def test_the_same_tracks_give_the_same_bytes_in_bounded_shards(tmp_path: Path, to: str) -> None:
    tracks = [
        make_track(id=f"d_{n}", audio_path=str(tmp_path / f"{n}.wav"), caption="x", duration=1, split="train")
        for n in range(7)
    ]
    for number, track in enumerate(tracks):
        Path(track.audio_path).write_bytes(WAV_HEAD + bytes([number]) * (400_000 - len(WAV_HEAD)))
    write_tracks(tmp_path / "unified.json", tracks)
    options: dict[str, Any] = {"to": to, "with_audio": True, "shard_size": 1}
    first = content(convert(tmp_path / "unified.json", tmp_path / "one", **options))
    assert first == content(convert(tmp_path / "unified.json", tmp_path / "two", **options))
    shards = [name for name in first if name.endswith((".tar", ".parquet"))]
    assert len(shards) == 4
    assert all(len(first[name]) <= 1_000_000 for name in shards)
    assert by_id(read_tracks(convert(tmp_path / "one", tmp_path / "back.json"))) == tracks


def test_shards_are_what_webdataset_expects(tmp_path: Path) -> None:
    tracks = make(tmp_path)
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to="webdataset")
    index = json.loads((folder / "index.json").read_text())["shardlist"]
    assert {shard["url"] for shard in index} == {path.name for path in folder.glob("*.tar")}
    assert sum(shard["nsamples"] for shard in index) == len(tracks)
    with tarfile.open(folder / "val-000000.tar") as tar:
        names = tar.getnames()
        keys = [name.partition(".")[0] for name in names]
        assert [name.partition(".")[2] for name in names] == ["json", "txt", "wav"] * (len(names) // 3)
        assert keys[::3] == keys[1::3] == keys[2::3], "the members of a sample stand together"
        assert len(set(keys)) * 3 == len(keys)
        assert all(name.isascii() and "/" not in name for name in names)
        assert tar.extractfile(names[1]).read().decode() == tracks[1].caption


def test_parquet_is_what_datasets_expects(tmp_path: Path) -> None:
    make(tmp_path)
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to="huggingface", with_audio=True)
    assert {path.name for path in (folder / "data").iterdir()} == {
        f"{split}-00000-of-00001.parquet" for split in ("train", "validation", "test", "unassigned")
    }
    readme = (folder / "README.md").read_text()
    assert "split: validation\n    path: data/validation-*" in readme
    schema = pq.read_schema(folder / "data" / "train-00000-of-00001.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert set(features) == set(schema.names)
    assert features["audio"] == {"_type": "Audio"}
    assert schema.field("audio").type.names == ["bytes", "path"]


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
def test_tracks_without_audio_are_left_out_and_listed(tmp_path: Path, to: str) -> None:
    tracks = make(tmp_path)
    Path(tracks[0].audio_path).unlink()
    Path(tracks[1].audio_path).write_bytes(b"")
    options: dict[str, Any] = {"to": to, "with_audio": True}
    with pytest.raises(UnisonoError, match="--strict: 2 tracks"):
        convert(tmp_path / "unified.json", tmp_path / "strict", **options, strict=True)
    assert not (tmp_path / "strict").exists()
    back = convert(convert(tmp_path / "unified.json", tmp_path / "out", **options), tmp_path / "back.json")
    assert by_id(read_tracks(back)) == by_id(tracks[2:])
    report = json.loads((tmp_path / "out.convert.json").read_text())
    assert report["reasons"] == {"audio file empty": 1, "audio file missing": 1}
    assert sum(report["came"].values()) == 12
    assert sum(report["kept"].values()) == 10


def test_a_file_larger_than_a_shard_is_left_out(tmp_path: Path) -> None:
    tracks = make(tmp_path)
    Path(tracks[0].audio_path).write_bytes(WAV_HEAD + b"x" * 1_000_000)
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to="webdataset", shard_size=1)
    assert all(path.stat().st_size <= 1_000_000 for path in folder.glob("*.tar"))
    assert "larger than a shard" in (tmp_path / "out.convert.json").read_text()


def hostile(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir()
    with tarfile.open(folder / "train-000000.tar", "w") as tar:
        for name, kind in (
            ("../../escaped.json", None),
            ("k.json", None),
            ("k.wav", None),
            ("k.flac", tarfile.SYMTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.linkname = "/etc/passwd"
            body = json.dumps(record | ({"id": "other"} if "escaped" in name else {})).encode()
            member.size = 0 if kind else len(body)
            member.type = kind or tarfile.REGTYPE
            tar.addfile(member, io.BytesIO(body))
        device = tarfile.TarInfo("l.json")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)


def test_a_hostile_tar_writes_nothing_elsewhere(tmp_path: Path) -> None:
    record = {"id": "x", "audio_path": "/music/../../../evil\n.sh", "caption": "c", "duration": 1.0}
    hostile(tmp_path / "in", record)
    inside = tmp_path / "deep" / "er"
    back = convert(tmp_path / "in", inside / "back.json", with_audio=True)
    (track,) = read_tracks(back)
    assert Path(track.audio_path).parent == inside / "back_audio"
    assert Path(track.audio_path).suffix == ".audio"
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"in", "deep"}
    report = json.loads((inside / "back.json.convert.json").read_text())
    assert report["reasons"] == {"no audio in the shard": 1, "no record": 1}


@pytest.mark.parametrize(
    ("to", "damage", "said"),
    [
        ("webdataset", "cut", "cut short|damaged"),
        ("webdataset", "remove", "missing"),
        ("huggingface", "cut", "damaged"),
        ("huggingface", "remove", "of the 3 files of train are there"),
    ],
)
def test_what_is_damaged_or_missing_is_refused(tmp_path: Path, to: str, damage: str, said: str) -> None:
    tracks = [
        make_track(id=f"d_{n}", audio_path=str(tmp_path / f"{n}.wav"), caption="x", duration=1, split="train")
        for n in range(6)
    ]
    for track in tracks:
        Path(track.audio_path).write_bytes(WAV_HEAD + b"x" * (400_000 - len(WAV_HEAD)))
    write_tracks(tmp_path / "unified.json", tracks)
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to=to, with_audio=True, shard_size=1)
    shard = sorted(folder.rglob("train-*1*"))[0]
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:403_456])  # for a tar, the end of the first sample
    else:
        shard.unlink()
    with pytest.raises(DataError, match=said):
        convert(folder, tmp_path / "back.json")
    assert not (tmp_path / "back.json").exists()


def test_a_tar_that_ends_between_two_samples_is_cut_short(tmp_path: Path) -> None:
    make(tmp_path)
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to="webdataset")
    path = folder / "train-000000.tar"
    with tarfile.open(path) as tar:
        end = tar.getmembers()[3].offset
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(DataError, match=r"1 samples, but .* promises 3"):
        convert(folder, tmp_path / "back.json")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("id,caption\n1,x\n", "no column 'audio_path'; found id, caption"),
        ("id,audio_path,caption,duration\n1,/a,x\n", "line 2: 3 cells, but the header names 4"),
        ("id,audio_path,caption,duration\n1,/a,x,long\n", "record 1.*duration.*'long'"),
        ("id,audio_path,caption,duration,tags\n1,/a,x,1,rock\n", "record 1.*tags.*'rock'"),
        ('id,audio_path,caption,duration\n1,/a,"x,1\n', "not valid CSV"),
        (
            "id,audio_path,caption,duration\n1,/a,x,1\n2,/b,y,1\n1,/c,z,1\n",
            "record 3: the id '1' already stands",
        ),
    ],
)
def test_faults_of_a_table_are_named(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "in.csv").write_text(table)
    with pytest.raises(DataError, match=said):
        convert(tmp_path / "in.csv", tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_a_table_made_by_hand_keeps_its_columns(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("﻿caption,id,audio_path,duration,mood\r\nx,1,/a,2,sad\r\n", encoding="utf-8")
    (track,) = read_tracks(convert(tmp_path / "in.csv", tmp_path / "out.json"))
    assert track == make_track(id="1", audio_path="/a", caption="x", duration=2, extra={"mood": "sad"})


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    unified = tmp_path / "unified.json"
    with pytest.raises(UsageError, match="what kind of folder"):
        convert(unified, tmp_path / "out")
    with pytest.raises(UsageError, match=r"written as .*, \.csv, not as '\.txt'"):
        convert(unified, tmp_path / "out.txt")
    with pytest.raises(UsageError, match="into itself"):
        convert(unified, unified)
    with pytest.raises(UsageError, match="holds neither"):
        convert(tmp_path / "audio", tmp_path / "out.json")
    with pytest.raises(UsageError, match="can hold audio"):
        convert(unified, tmp_path / "out.csv", with_audio=True)
    folder = convert(unified, tmp_path / "out", to="huggingface")
    with pytest.raises(UsageError, match="is there already"):
        convert(unified, folder, to="webdataset")
    with pytest.raises(UsageError, match="from one folder into another"):
        convert(folder, tmp_path / "other", to="webdataset", with_audio=True)


def test_the_command(tmp_path: Path) -> None:
    make(tmp_path)
    done = unisono("convert", "unified.json", "out.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 tracks are in out.csv" in done.stdout
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 12


def test_only_audio_goes_into_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text.wav").write_text("secret words, no audio at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "link.wav").symlink_to("/proc/self/environ")
    audio.tone(tmp_path / "good.wav", 0.5, 440, rate_hz=8000)
    audio.tone(tmp_path / "tone.mp3", 0.5, 440)
    (tmp_path / "junk.mp3").write_bytes(b"\0" * 100 + (tmp_path / "tone.mp3").read_bytes())
    places = ["pipe", "text.wav", "empty.wav", "link.wav", "good.wav", "junk.mp3"]
    paths = [*(str(tmp_path / name) for name in places), "/proc/self/environ", "/etc/passwd", "/dev/zero"]
    tracks = [make_track(id=f"d_{n}", audio_path=path, caption="x", duration=1) for n, path in enumerate(paths)]
    write_tracks(tmp_path / "unified.json", tracks)
    folder = convert(tmp_path / "unified.json", tmp_path / "out", to="webdataset")
    with tarfile.open(folder / "unassigned-000000.tar") as tar:
        assert [name for name in tar.getnames() if not name.endswith((".json", ".txt"))] == ["d_4.wav", "d_5.mp3"]
    report = json.loads((tmp_path / "out.convert.json").read_text())
    assert report["reasons"] == {"audio file empty": 1, "not a regular file": 4, "not an audio file": 2}
