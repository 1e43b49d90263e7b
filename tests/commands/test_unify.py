"""`unisono unify` as its users run it, on small releases in their official layouts."""

import io
import json
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import soundfile

from tests.conftest import REPOSITORY
from tests.loaded import python, start
from tests.releases import fma, jamendo_max_caps, song_describer
from unisono.cli import main
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track

BUILT = {"fma": fma, "jamendo_max_caps": jamendo_max_caps, "song_describer": song_describer}
IDS = sorted(name for release in BUILT.values() for name in release.GOOD)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the three releases; tests that write do so elsewhere."""
    data = tmp_path_factory.mktemp("data")
    for name, release in BUILT.items():
        release.build(data / "raw" / name)
    return data


def unify(*options: object, code: int = 0) -> str:
    """Run the command in this process; returns what it printed."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(["unify", *map(str, options)])
    assert (end.value.code or 0) == code, said.getvalue()
    return said.getvalue()


def unify_in_a_process(*options: object, code: int = 0, cwd: Path = REPOSITORY, **more) -> str:
    """Run the script in a process of its own; returns what it printed."""
    done = python(REPOSITORY / "unify_datasets.py", *options, cwd=cwd, **more)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


def report_of(output: Path) -> dict:
    return json.loads(output.with_suffix(".report.json").read_text())


def ids(path: Path) -> list[str]:
    return [track.id for track in read_tracks(path)]


def test_every_release_found_goes_into_one_file(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "unified.json"
    said = unify("--data-root", releases, "--output", output)
    tracks = {track.id: track for track in read_tracks(output)}
    assert sorted(tracks) == IDS
    for track in tracks.values():
        assert Path(track.audio_path).is_file()
        assert track.caption
        assert track.license == "unknown" or track.license[:2] in ("CC", "LA"), track.license
    report = report_of(output)
    listed = {item["id"]: item["reason"] for item in report["dropped"] if item["fault"]}
    for release in BUILT.values():
        for name, how in release.BAD_AUDIO.items():
            assert (
                how in {"truncated": "not an audio file"}.get(how, listed[name]) or listed[name] == "not an audio file"
            )
    for name, count in report["came"].items():
        assert count == report["kept"][name] + sum(item["dataset"] == name for item in report["dropped"])
    for part in (
        "fma",
        "jamendo_max_caps",
        "song_describer",
        "audio file missing",
        "not an audio file",
        "CC-BY",
        "from tags",
    ):
        assert part in said
    assert output.with_suffix(".log").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["unified.json", "unified.log", "unified.report.json"]


def test_durations_are_the_files_own_and_excerpts_stay_excerpts(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "unified.json"
    unify("--data-root", releases, "--output", output)
    for track in read_tracks(output):
        file_s = soundfile.info(track.audio_path).duration
        if track.dataset == "jamendo_max_caps":
            start, end = map(float, track.id.rpartition("_")[2].split("-"))
            assert track.start == start
            assert track.duration == pytest.approx(min(end, file_s) - start)
        else:
            assert (track.start, track.duration) == (0, pytest.approx(file_s))


def test_captions_licences_and_origins(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "unified.json"
    unify("--data-root", releases, "--output", output)
    tracks = {track.id: track for track in read_tracks(output)}
    assert {track.dataset: track.captions[0].origin for track in tracks.values()} == {
        "fma": "tags",
        "jamendo_max_caps": "model",
        "song_describer": "human",
    }
    several = tracks["song_describer_1009671"]
    assert several.caption == "Uplifting English rock and roll song with a positive feeling."
    assert len(several.captions) == 3
    assert several.texts[1].startswith('A rock song with a "country" vibe, male vocals')
    assert several.license == "CC-BY-NC-SA-3.0"
    assert several.recording == "jamendo:1009671"
    assert tracks["song_describer_226"].license == "LAL"
    assert tracks["fma_2"].license == "CC-BY-NC-SA-3.0"
    assert "Hip-Hop" in tracks["fma_2"].caption
    assert (tracks["fma_5"].split, tracks["fma_10"].split) == ("val", "test")


def test_without_audio_the_documented_durations_count(tmp_path: Path) -> None:
    song_describer.write_csv(_folder(tmp_path / "raw/song_describer") / "song_describer.csv")
    fma.write_metadata(tmp_path / "raw/fma/fma_metadata")
    output = tmp_path / "plan.json"
    assert "No track is left" in unify("--data-root", tmp_path, "--output", output, code=1)
    said = unify("--data-root", tmp_path, "--output", output, code=1)
    assert "unisono download fma" in said
    assert "--no-check-audio" in said
    unify("--data-root", tmp_path, "--output", output, "--no-check-audio")
    tracks = {track.id: track for track in read_tracks(output)}
    assert tracks["song_describer_1004034"].duration == 120
    assert tracks["song_describer_226"].duration == 44.5
    assert tracks["fma_2"].duration == 30
    assert tracks["song_describer_226"].audio_path == f"{tmp_path}/raw/song_describer/audio/26/226.2min.mp3"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


SCRIPTS = {
    "--output data/unified_dataset.json": "unified_dataset.json",
    "--datasets song_describer fma --output data/unified.json": "unified.json",
    "--max-samples 10000 --stratify-by dataset": "unified_dataset.json",
    "--min-duration 10 --max-duration 300": "unified_dataset.json",
    "--samples-per-dataset 5000": "unified_dataset.json",
    "--dry-run": None,
}


@pytest.mark.parametrize("options", SCRIPTS)
def test_the_command_lines_that_users_know(releases: Path, tmp_path: Path, options: str) -> None:
    _folder(tmp_path / "data")
    (tmp_path / "data/raw").symlink_to(releases / "raw")
    said = unify_in_a_process(*options.split(), cwd=tmp_path)
    written = {path.name for path in (tmp_path / "data").iterdir()} - {"raw"}
    if SCRIPTS[options] is None:
        assert written == set()
        assert "nothing was written" in said
        assert "song_describer" in said
        return
    tracks = read_tracks(tmp_path / "data" / SCRIPTS[options])
    assert all(track.audio_path.startswith(f"{tmp_path}/data/raw/") for track in tracks)
    expected = IDS
    if "--datasets" in options:
        expected = sorted([*fma.GOOD, *song_describer.GOOD])
    if "--min-duration" in options:
        expected = [name for name in jamendo_max_caps.GOOD if not name.endswith("_60-90")]
    assert sorted(track.id for track in tracks) == sorted(expected)


def test_samples_are_exact_nested_and_listed(releases: Path, tmp_path: Path) -> None:
    drawn = {}
    for count in (3, 6, 1000):
        output = tmp_path / f"{count}.json"
        unify("--data-root", releases, "--output", output, "--max-samples", str(count), "--stratify-by", "dataset")
        drawn[count] = ids(output)
    assert Counter(name.rpartition("_")[0] for name in drawn[3] if "max_caps" not in name) == {
        "fma": 1,
        "song_describer": 1,
    }
    assert len(drawn[3]) == 3 and len(drawn[6]) == 6
    assert set(drawn[3]) < set(drawn[6]) < set(drawn[1000]) == set(IDS)
    assert report_of(tmp_path / "3.json")["reasons"]["not in the sample"] == len(IDS) - 3
    output = tmp_path / "two.json"
    unify("--data-root", releases, "--output", output, "--samples-per-dataset", "2")
    assert report_of(output)["kept"] == dict.fromkeys(BUILT, 2)


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet"])
def test_the_same_run_gives_the_same_bytes(releases: Path, tmp_path: Path, kind: str) -> None:
    outputs = []
    for number, more in enumerate([["--workers", "1"], ["--workers", "4", "--datasets", *reversed(BUILT)]]):
        output = tmp_path / f"{number}.{kind}"
        unify("--data-root", releases, "--output", output, *more)
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    assert sorted(ids(output)) == IDS


def test_valid_only(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "valid.json"
    unify("--data-root", releases, "--output", output, "--datasets", "song_describer", "--valid-only")
    assert ids(output) == ["song_describer_226", "song_describer_1004034", "song_describer_1009671"]
    assert [len(track.texts) for track in read_tracks(output)] == [1, 1, 1]


def test_strict_fails_on_faults_but_not_on_what_was_asked_for(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "strict.json"
    said = unify("--data-root", releases, "--output", output, "--strict", code=1)
    assert f"listed in {output.with_suffix('.report.json')}" in " ".join(said.split())
    assert not output.exists()
    assert report_of(output)["dropped"]
    jamendo_max_caps.build_export(tmp_path / "raw/jamendo_max_caps")
    unify("--data-root", tmp_path, "--output", output, "--strict", "--max-samples", "2")
    assert len(ids(output)) == 2


def test_a_missing_release_names_the_folder_and_the_command(tmp_path: Path) -> None:
    said = unify("--data-root", tmp_path, "--datasets", "fma", code=2)
    assert f"{tmp_path}/raw/fma" in said
    assert "fma_metadata/tracks.csv" in said
    assert f"unisono download fma --data-root {tmp_path}" in said
    said = unify("--data-root", tmp_path, code=2)
    assert f"{tmp_path}/raw" in said
    assert "unisono download" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--datasets", "fmaa"], "fmaa"),
        (["--output", "x.csv"], ".jsonl"),
        (["--max-samples", "0"], "--max-samples"),
        (["--samples-per-dataset", "-1"], "--samples-per-dataset"),
        (["--min-duration", "9", "--max-duration", "3"], "--min-duration"),
        (["--min-duration", "nan"], "--min-duration"),
        (["--stratify-by", "genre"], "genre"),
        (["--max-samples", "many"], "many"),
    ],
)
def test_wrong_usage(releases: Path, options: list[str], found: str) -> None:
    assert found in unify("--data-root", releases, *options, code=2)


def test_duplicate_ids_are_refused_with_both_places(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw/song_describer")
    items = [{"id": "a", "caption": "x"}, {"id": "b", "caption": "y"}, {"id": "a", "caption": "z"}]
    (folder / "metadata.json").write_text(json.dumps(items))
    said = unify("--data-root", tmp_path, code=1)
    assert "song_describer_a" in said
    assert "1" in said and "3" in said
    assert not (tmp_path / "unified_dataset.json").exists()


@pytest.mark.parametrize(
    ("name", "file", "content", "found"),
    [
        ("song_describer", "metadata.json", b'[{"id": 1,\n "caption" "x"}]', "line 2"),
        ("song_describer", "song_describer.csv", b"caption_id,text\n1,a\n", "track_id"),
        ("jamendo_max_caps", "final_caption30sec.jsonl", b'{"id": "1"\n' * 200, "line"),
    ],
)
def test_malformed_metadata_is_explained(tmp_path: Path, name: str, file: str, content: bytes, found: str) -> None:
    path = tmp_path / "raw" / name / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    said = unify("--data-root", tmp_path, code=1)
    assert found in said
    assert path.name in said


def journalled(path: Path) -> int:
    """Count what a journal holds."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
        except sqlite3.OperationalError:  # it has just begun
            return 0


def write_journalled_release(data: Path, count: int) -> None:
    folder = _folder(data / "raw/song_describer")
    items = [{"id": f"t{n}", "caption": f"Song {n}"} for n in range(count)]
    (folder / "metadata.json").write_text(json.dumps(items))
    first = _folder(folder / "audio") / "t0.mp3"
    jamendo_max_caps.audio.tone(first, 1.5, 300)
    for n in range(1, count):
        os.link(first, folder / "audio" / f"t{n}.mp3")
    (folder / "audio/t7.mp3").unlink()
    (folder / "audio/t7.mp3").write_bytes(b"")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_is_continued_to_the_same_bytes(tmp_path: Path, how: signal.Signals) -> None:
    write_journalled_release(tmp_path, 3000)
    whole = tmp_path / "whole.json"
    unify("--data-root", tmp_path, "--output", whole)
    output = tmp_path / "out.json"
    journal = tmp_path / "out.durations.sqlite"
    slow = (
        "import sys, time; from unisono.audio import probe as durations; from unisono.cli import main\n"
        "once = durations.probe\n"
        "durations.probe = lambda path: time.sleep(0.005) or once(path)\nmain(sys.argv[1:])"
    )
    command = ["-c", slow, "unify", "--data-root", str(tmp_path), "--output", str(output)]
    command += ["--workers", "2"]
    process = start(*command)
    deadline = time.monotonic() + 60
    while journalled(journal) <= 300 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(how)
    said = "".join(process.communicate(timeout=60))
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), said
    assert "Traceback" not in said
    assert how == signal.SIGKILL or "--continue" in said
    assert not output.exists()
    known = journalled(journal)
    assert 300 < known < 3000
    opened = tmp_path / "opened"
    counting = (
        "import sys; from unisono.audio import probe as durations; from unisono.cli import main; once = durations.probe\n"
        f"file = open({str(opened)!r}, 'a')\n"
        "durations.probe = lambda path: file.write('x') and once(path)\nmain(sys.argv[1:])"
    )
    again = ["-c", counting, "unify", "--data-root", str(tmp_path), "--output", str(output)]
    again.append("--continue")
    assert python(*again).returncode == 0
    assert len(opened.read_text()) <= 3000 - known + 1
    assert output.read_bytes() == whole.read_bytes()
    assert not journal.exists()
    assert {path.suffix for path in tmp_path.glob(".*")} == set()


def test_a_full_disk_leaves_nothing_half_written(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "unified.json"
    said = unify_in_a_process("--data-root", releases, "--output", output, code=1, most_bytes=3000)
    assert "Cannot write" in said or "No space" in said
    assert not output.exists()
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*"))


def test_an_output_folder_that_cannot_be_made(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = unify("--data-root", releases, "--output", tmp_path / "file/unified.json", code=1)
    assert "Cannot write" in said
    assert "file/unified" in said.replace("\n", "")


def test_names_in_any_script_and_formats_of_any_kind(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw/song_describer")
    names = ["Ünïted – été.wav", "音楽.flac", "موسيقى.ogg", "a b & c'd\".mp3", "six.wav"]
    shapes = [(8000, 1), (96_000, 2), (44_100, 2), (16_000, 1), (48_000, 6)]
    for name, (rate_hz, channels) in zip(names, shapes, strict=True):
        (folder / "audio").mkdir(exist_ok=True)
        soundfile.write(folder / "audio" / name, [[0.1] * channels] * rate_hz, rate_hz)
    items = [{"id": name, "caption": "x", "audio_path": f"audio/{name}"} for name in [*names, "../raw.mp3", "gone.mp3"]]
    (folder / "metadata.json").write_text(json.dumps(items))
    output = tmp_path / "unified.jsonl"
    unify("--data-root", tmp_path, "--output", output)
    tracks: list[Track] = read_tracks(output)
    assert [Path(track.audio_path).name for track in tracks] == names
    assert all(track.duration == pytest.approx(1, abs=0.1) for track in tracks)
    assert report_of(output)["reasons"] == {"audio file missing": 2}


def test_an_excerpt_behind_the_end_of_its_file_is_dropped(releases: Path, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "raw/jamendo_max_caps")
    rows = [{"id": "1", "caption": "x", "start_time": start, "end_time": start + 30} for start in (0, 30, 60)]
    jamendo_max_caps.write_jsonl(folder / "final_caption30sec.jsonl", rows)
    jamendo_max_caps.audio.tone(folder / "audio/1.mp3", 40, 300)
    output = tmp_path / "unified.json"
    unify("--data-root", tmp_path, "--output", output)
    tracks = read_tracks(output)
    assert [(track.start, round(track.duration, 1)) for track in tracks] == [(0, 30), (30, 10)]
    assert report_of(output)["reasons"] == {"excerpt begins after the end of its file": 1}


def test_what_is_held_out_is_never_trained_on(releases: Path, tmp_path: Path) -> None:
    """1004034, of the held-out Song Describer, is also in JamendoMaxCaps; 226 has no audio here, but its artist has more."""
    data = tmp_path / "data"
    _folder(data / "raw")
    song_describer.build(data / "raw/song_describer")
    (data / "raw/song_describer/audio/26/226.2min.mp3").unlink()
    folder = _folder(data / "raw/jamendo_max_caps")
    numbers = [1004034, 5, *range(2000, 2040)]
    rows = [{"id": str(n), "caption": f"Song {n}", "start_time": 0.0, "end_time": 10.0} for n in numbers]
    jamendo_max_caps.write_jsonl(folder / "final_caption30sec.jsonl", rows)
    artists = [
        jamendo_max_caps.metadata(n, f"Song {n}", f"Artist {n}", artist_id="14" if n == 5 else str(n)) for n in numbers
    ]
    jamendo_max_caps.write_jsonl(folder / "2008-01-01.jsonl", artists)
    jamendo_max_caps.audio.tone(folder / "audio/1004034.mp3", 10, 300)
    for n in numbers[1:]:
        os.link(folder / "audio/1004034.mp3", folder / f"audio/{n}.mp3")
    options = ["--data-root", data, "--datasets", "jamendo_max_caps", "--output", tmp_path / "unified.json"]
    said = unify(*options, "--hold-out", "song_describer")
    split_of = {track.id: track.split for track in read_tracks(tmp_path / "unified.json")}
    held_out = {name for name, split in split_of.items() if split == "test"}
    assert {name for name in split_of if name.startswith("song_describer")} <= held_out
    assert {"jamendo_max_caps_1004034_0-10", "jamendo_max_caps_5_0-10"} <= held_out
    others = Counter(split for name, split in split_of.items() if name.startswith("jamendo_max_caps_20"))
    assert others["train"] >= 30
    assert "Splits" in said
    assert "--hold-out song_describer" in unify("--data-root", data, "--dry-run")
    unify(*options, "--hold-out", "fma", code=2)


def test_a_file_that_a_release_lacks_is_named_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    fma.build(tmp_path / "raw/fma")
    (tmp_path / "raw/fma/fma_metadata/genres.csv").unlink()
    said = " ".join(unify("--data-root", tmp_path, "--output", tmp_path / "unified.json", code=1).split())
    assert "genres.csv is missing" in said
    assert f"unisono download fma --data-root {tmp_path}" in said


def test_splits_are_written_unless_told_otherwise(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "unified.json"
    unify("--data-root", releases, "--output", output)
    assert {track.split for track in read_tracks(output)} <= {"train", "val", "test"}
    assert {track.id: track.split for track in read_tracks(output)}["fma_10"] == "test"
    unify("--data-root", releases, "--output", output, "--no-assign-splits")
    assert {track.split for track in read_tracks(output) if track.dataset != "fma"} == {None}


def test_licence_rules(releases: Path, tmp_path: Path) -> None:
    output = tmp_path / "unified.json"
    unify("--data-root", releases, "--output", output, "--licenses", "cc-by", "lal")
    assert {track.license.rpartition("-")[0] or track.license for track in read_tracks(output)} <= {
        "CC",
        "CC-BY-2.0",
        "CC-BY",
        "LAL",
    }
    assert report_of(output)["reasons"]["licence unknown"] >= 1
    unify("--data-root", releases, "--output", output, "--commercial")
    assert not any("NC" in track.license or track.license == "unknown" for track in read_tracks(output))
    assert "nonsense" in unify("--data-root", releases, "--output", output, "--licenses", "nonsense", code=2)
