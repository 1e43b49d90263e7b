"""The verb as a user meets it: real datasets' releases, built small, on a local server."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.loaded import python, start
from tests.sources.download import server as misbehaviour
from tests.sources.download.archives import pack, tree
from tests.sources.download.local import BUILDERS, LocalRelease, checksum, patched
from tests.sources.download.server import Server, serving
from unisono import cli
from unisono.base.errors import UnisonoError, UsageError
from unisono.sources.base import RemoteFile
from unisono.sources.download import fetch
from unisono.sources.download.run import DownloadError, download
from unisono.sources.download.web import TransferPolicy
from unisono.tracks.files import read_tracks


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def song_describer(server: Server) -> LocalRelease:
    return LocalRelease("song_describer", server)


@pytest.fixture
def fma(server: Server) -> LocalRelease:
    return LocalRelease("fma", server)


class Data:
    """A data folder and the command that fills it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.capsys = root, capsys

    def download(self, release: LocalRelease, *arguments: str, code: int = 0) -> str:
        """Run `unisono download`, and give all that it said on one line."""
        with patched(release.dataset), pytest.raises(SystemExit) as ended:
            cli.main(["download", release.name, "--data-root", str(self.root), "--retries", "4", *arguments])
        said = self.capsys.readouterr()
        assert ended.value.code == code, said.out + said.err
        return " ".join((said.out + said.err).split())

    def tree(self, release: LocalRelease) -> dict[str, bytes]:
        return tree(self.root / "raw" / release.name)


@pytest.fixture
def data(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Data:
    monkeypatch.setattr(fetch, "TransferPolicy", functools.partial(TransferPolicy, first_pause=0.01))
    return Data(tmp_path / "data", capsys)


def test_song_describer_comes_whole(data: Data, song_describer: LocalRelease) -> None:
    said = data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree
    assert "song_describer: complete: 5 files" in said


def test_fma_comes_whole_with_its_bad_files_listed(data: Data, fma: LocalRelease) -> None:
    said = data.download(fma, "--fma-size", "small")
    assert data.tree(fma) == fma.tree
    assert "fma_small/098/098565.mp3: 1.6 s long" in said
    assert "fma_small/133/133297.mp3: holds no sound" in said
    assert "099134" not in said, "only those that are there"


def test_finished_it_does_nothing(data: Data, song_describer: LocalRelease, server: Server) -> None:
    data.download(song_describer)
    before = len(server.requests)
    said = data.download(song_describer, "--continue")
    assert "complete already" in said
    assert len(server.requests) == before


def test_metadata_only_and_the_rest_later(data: Data, song_describer: LocalRelease) -> None:
    data.download(song_describer, "--metadata-only")
    assert set(data.tree(song_describer)) == {path for path in song_describer.tree if not path.startswith("audio/")}
    data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree


def test_archives_can_be_kept(data: Data, song_describer: LocalRelease) -> None:
    data.download(song_describer, "--keep-archives")
    data.download(song_describer)
    assert set(data.tree(song_describer)) == {*song_describer.tree, "audio.zip"}


def test_what_was_lost_comes_back(data: Data, song_describer: LocalRelease) -> None:
    data.download(song_describer)
    (data.root / "raw/song_describer/song_describer.csv").unlink()
    shutil.rmtree(data.root / "raw/song_describer/audio")
    data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree


def test_one_file_that_fails_does_not_keep_the_others(data: Data, song_describer: LocalRelease, server: Server) -> None:
    server.script["/song_describer/audio.zip"] = [misbehaviour.status(404)]
    server.script["/song_describer/audio_licenses.txt"] = [misbehaviour.status(403)]
    said = data.download(song_describer, code=1)
    assert "2 of 5 files could not be fetched" in said
    assert "404" in said and "403" in said and "--from-dir" in said
    assert "song_describer.csv" in data.tree(song_describer)
    data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree


def test_everything_goes_wrong_at_once(data: Data, song_describer: LocalRelease, server: Server) -> None:
    for number, path in enumerate(sorted(server.files)):
        server.script[path] = [
            misbehaviour.cut(1000 * number),
            misbehaviour.web_page,
            misbehaviour.damaged,
            misbehaviour.hang_up,
        ][: 2 + number % 2]
    data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree


def test_an_archive_that_is_broken_as_published(data: Data, song_describer: LocalRelease, server: Server) -> None:
    content = server.files["/song_describer/audio.zip"][:1000]
    server.files["/song_describer/audio.zip"] = content
    files = [
        replace(file, size=1000, checksum=checksum(content)) if file.name == "audio.zip" else file
        for file in song_describer.dataset.files
        if isinstance(file, RemoteFile)
    ]
    song_describer.dataset = replace(song_describer.dataset, files=tuple(files))
    said = data.download(song_describer, code=1)
    assert "audio.zip: this archive is broken" in said
    assert "song_describer.csv" in data.tree(song_describer)


def test_a_changed_file_and_its_acceptance(data: Data, song_describer: LocalRelease, server: Server) -> None:
    server.files["/song_describer/song_describer.csv"] = b"changed\n"
    said = data.download(song_describer, code=1)
    assert "the publisher has changed the file" in said
    assert "--accept-new-checksum" in said
    assert "song_describer.csv" not in data.tree(song_describer)
    data.download(song_describer, "--accept-new-checksum")
    assert data.tree(song_describer) == song_describer.tree | {"song_describer.csv": b"changed\n"}
    assert "complete already" in data.download(song_describer), "what was accepted stays accepted"
    ledger = (data.root / "raw/song_describer/.download/done.jsonl").read_text().splitlines()
    record = next(record for record in map(json.loads, ledger) if record["name"] == "song_describer.csv")
    assert record["accepted"]
    assert record["checksum"] == checksum(b"changed\n", "md5")


def test_files_from_a_folder(data: Data, song_describer: LocalRelease, server: Server, tmp_path: Path) -> None:
    there = tmp_path / "Downloads"
    there.mkdir()
    for path, content in server.files.items():
        (there / Path(path).name).write_bytes(content)
    (there / "audio_metadata.tsv").rename(tmp_path / "aside")
    said = data.download(song_describer, "--from-dir", str(there), code=1)
    assert "audio_metadata.tsv is not in" in said
    assert server.url in said, "where it can be had"
    (tmp_path / "aside").rename(there / "audio_metadata.tsv")
    data.download(song_describer, "--from-dir", str(there))
    assert data.tree(song_describer) == song_describer.tree
    assert not server.requests
    assert (there / "audio.zip").exists(), "what is the user's is left alone"


def test_damaged_files_in_a_folder_are_refused(
    data: Data, song_describer: LocalRelease, server: Server, tmp_path: Path
) -> None:
    for path, content in server.files.items():
        (tmp_path / Path(path).name).write_bytes(content)
    (tmp_path / "audio.zip").write_bytes(server.files["/song_describer/audio.zip"][:-1])
    said = data.download(song_describer, "--from-dir", str(tmp_path), code=1)
    assert "audio.zip is not the published file: expected" in said
    assert not any(path.startswith("audio/") for path in data.tree(song_describer))


def test_files_put_in_place_by_hand_are_taken(data: Data, song_describer: LocalRelease, server: Server) -> None:
    folder = data.root / "raw" / "song_describer"
    folder.mkdir(parents=True)
    (folder / "audio.zip").write_bytes(server.files["/song_describer/audio.zip"])
    (folder / "song_describer.csv").write_bytes(b"half of it")
    data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree
    assert "/song_describer/audio.zip" not in [path for path, _ in server.requests]


def test_two_at_once(data: Data, song_describer: LocalRelease, server: Server) -> None:
    server.script["/song_describer/song_describer.csv"] = [misbehaviour.stall(10)]
    command = ["-m", "tests.sources.download.local", song_describer.manifest(), "song_describer"]
    first = start(*command, "--data-root", data.root, cwd=REPOSITORY)
    try:
        deadline = time.monotonic() + 20
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.01)
        said = data.download(song_describer, code=1)
    finally:
        first.kill()
        first.communicate()
    assert "Another download is writing to" in said
    data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree


def test_too_little_room_is_seen_before_the_first_byte(
    data: Data, song_describer: LocalRelease, server: Server
) -> None:
    files = [
        replace(file, about=0, unpacked_size=10**15)
        for file in song_describer.dataset.files
        if isinstance(file, RemoteFile)
    ]
    song_describer.dataset = replace(song_describer.dataset, files=tuple(files))
    said = data.download(song_describer, code=1)
    assert "needs 5.0 PB" in said and "are free" in said
    assert not server.requests


def test_a_target_that_is_no_folder(data: Data, song_describer: LocalRelease) -> None:
    data.root.write_text("a file")
    assert "Cannot write" in data.download(song_describer, code=1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_a_target_that_is_not_writable(data: Data, song_describer: LocalRelease, tmp_path: Path) -> None:
    data.root.mkdir(mode=0o755)
    with (tmp_path / "said").open("w") as out:
        process = os.fork()
        if process == 0:  # rights are a process's: another one gives its own up
            os.setuid(65534)
            try:
                with patched(song_describer.dataset):
                    download("song_describer", data_root=data.root)
            except UnisonoError as error:
                out.write(error.message)
                out.flush()
            os._exit(0)
        os.waitpid(process, 0)
    said = (tmp_path / "said").read_text()
    assert "Cannot write" in said
    assert "Permission denied" in said


def test_nothing_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["download"])
    assert ended.value.code == 2
    assert "--list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "no dataset 'nonsense'"),
        (["song_describer", "--fma-size", "small"], "--fma-size means nothing to song_describer"),
        (["song_describer", "--shards", "2"], "--shards"),
        (["jamendo_max_caps", "--shards", "0"], "--shards"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["download", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_list_shows_every_dataset(data: Data, fma: LocalRelease, capsys: pytest.CaptureFixture[str]) -> None:
    data.download(fma)
    for arguments in (["--list"], ["--all", "--dry-run"]):
        with patched(fma.dataset), pytest.raises(SystemExit) as ended:
            cli.main(["download", *arguments, "--data-root", str(data.root)])
        said = capsys.readouterr().out
        assert ended.value.code == 0
        for name in ("fma", "song_describer", "jamendo_max_caps"):
            assert name in said
    assert "nothing to fetch" in said


def test_a_full_disk(data: Data, song_describer: LocalRelease, server: Server) -> None:
    """A limit on the size of files stops the process's writing as a full disk does, at the same place."""
    big = os.urandom(3_000_000)
    server.files["/song_describer/audio.zip"] = pack({"audio/1.mp3": big}, data.root.parent / "big.stored.zip")
    content = server.files["/song_describer/audio.zip"]
    files = [
        replace(file, size=len(content), checksum=checksum(content)) if file.name == "audio.zip" else file
        for file in song_describer.dataset.files
        if isinstance(file, RemoteFile)
    ]
    song_describer.dataset = replace(song_describer.dataset, files=tuple(files))
    command = ["-m", "tests.sources.download.local", song_describer.manifest(), "song_describer"]
    command += ["--data-root", str(data.root)]
    done = python(*command, cwd=REPOSITORY, most_bytes=1_000_000)
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr and "kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert python(*command, cwd=REPOSITORY).returncode == 0
    assert data.tree(song_describer)["audio/1.mp3"] == big
    ranges = [headers.get("Range") for path, headers in server.requests if path == "/song_describer/audio.zip"]
    assert ranges[-1] is not None, "it went on where it was"


def test_ten_thousand_is_not_ten_thousand_connections(data: Data, song_describer: LocalRelease, server: Server) -> None:
    server.files = {f"/many/{number}": b"%d" % number for number in range(300)}
    files = [
        RemoteFile(name=f"many/{number}", urls=(f"{server.url}/many/{number}",), checksum=checksum(b"%d" % number))
        for number in range(300)
    ]
    song_describer.dataset = replace(song_describer.dataset, files=tuple(files))
    data.download(song_describer, "--jobs", "3")
    assert len(data.tree(song_describer)) == 300
    assert server.connections <= 3


def test_an_interrupt_keeps_what_came(data: Data, song_describer: LocalRelease, server: Server) -> None:
    server.pause_s = 0.01
    command = ["-m", "tests.sources.download.local", song_describer.manifest(), "song_describer"]
    process = start(*command, "--data-root", data.root, cwd=REPOSITORY)
    timer = threading.Timer(20, process.kill)
    timer.start()
    while not server.requests:
        time.sleep(0.005)
    process.send_signal(2)
    _, said = process.communicate()
    timer.cancel()
    assert process.returncode == 130, said
    assert "run the same command again" in said
    server.pause_s = 0
    data.download(song_describer)
    assert data.tree(song_describer) == song_describer.tree


@pytest.mark.parametrize("name", ["song_describer", "fma"])
def test_unify_just_works_afterwards(data: Data, server: Server, name: str) -> None:
    release = LocalRelease(name, server)
    data.download(release)
    with pytest.raises(SystemExit) as ended:
        cli.main(["unify", "--datasets", name, "--data-root", str(data.root)])
    assert ended.value.code == 0, data.capsys.readouterr().err
    tracks = read_tracks(data.root / "unified_dataset.json")
    assert {track.id for track in tracks} == set(BUILDERS[name].GOOD)
    assert all(Path(track.audio_path).is_file() for track in tracks)


def test_from_python_it_prints_nothing_and_needs_no_package_of_the_command_line(
    song_describer: LocalRelease, tmp_path: Path
) -> None:
    release = [vars(file) | {"parts": frozenset()} for file in song_describer.dataset.files]
    code = f"""
import sys
from dataclasses import replace
from unisono.sources import registry
from unisono.sources.base import RemoteFile
from unisono.sources.download.run import download
dataset, get = registry.get("song_describer"), registry.get
dataset = replace(dataset, files=tuple(RemoteFile(**file) for file in {release!r}))
registry.get = lambda name: dataset
report = download("song_describer", data_root={str(tmp_path)!r})
assert report.datasets[0].missing == 5
assert not {{"rich", "cyclopts"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert tree(tmp_path / "raw" / "song_describer") == song_describer.tree


def test_from_python_it_returns_a_report(data: Data, song_describer: LocalRelease) -> None:
    with patched(song_describer.dataset):
        before = download("song_describer", data_root=str(data.root), dry_run=True)
        report = download(["song_describer"], data_root=data.root, retries=0)
        again = download("song_describer", data_root=data.root)
    (planned,), (fetched,), (complete,) = before.datasets, report.datasets, again.datasets
    assert planned.missing == fetched.missing == len(planned.files) == 5
    assert planned.bytes_to_fetch == fetched.bytes_to_fetch == sum(file.size for file in planned.files) > 0
    assert complete.missing == complete.bytes_to_fetch == 0
    assert all(file.complete for file in complete.files)
    rows = [repr(each).splitlines()[-1].split() for each in (before, report, again)]
    assert [(row[0], row[1], row[-2], row[-3]) for row in rows] == [
        ("song_describer", "5", "0", "0"),
        ("song_describer", "5", "0", "0"),
        ("song_describer", "0", "0", "5"),
    ]
    assert "files to fetch" in repr(before) and "files fetched" in repr(report)
    assert "<td" in report._repr_html_()


def test_of_several_datasets_the_others_are_reported(
    data: Data, song_describer: LocalRelease, fma: LocalRelease, server: Server
) -> None:
    server.script["/song_describer/audio.zip"] = [misbehaviour.status(404)]
    with patched(song_describer.dataset, fma.dataset), pytest.raises(DownloadError, match="1 of 2 datasets") as caught:
        download(["song_describer", "fma"], data_root=data.root, retries=0)
    assert [(each.name, each.missing) for each in caught.value.report.datasets] == [("fma", 2)]
    assert caught.value.report.datasets[0].known_bad
    assert "song_describer: " in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"jobs": 0}, "jobs must be at least 1, found 0"),
        ({"timeout_s": -1}, "timeout_s must be above 0"),
        ({"data_root": 3}, "data_root must be"),
        (
            {"dataset_options": {"fma": {"size": "tiny"}}},
            "size must be one of small, medium, large, full, found 'tiny'",
        ),
        ({"dataset_options": {"fma": {"siz": "small"}}}, "fma has no option 'siz'. Did you mean 'size'?"),
        ({"dataset_options": {"mtg_jamendo": {"quality": "low"}}}, "'mtg_jamendo', which is not fetched"),
        ({"from_folder": "x"}, "has no parameter 'from_folder'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        download("fma", dry_run=True, **{"data_root": tmp_path, **arguments})
    assert words in caught.value.message


def test_bounds_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--jobs", "0"], ["--retries", "-1"], ["--shards", "0"], ["--fma-size", "tiny"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["download", "fma", "--dry-run", *arguments])
        assert ended.value.code == 2
        assert arguments[0] in capsys.readouterr().err


def test_the_example_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPOSITORY / "docs" / "download.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example, names)
    assert [each.name for each in names["report"].datasets] == ["fma", "mtg_jamendo"]
