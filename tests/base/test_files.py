import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unisono.base.errors import UnisonoError
from unisono.base.files import cache_folder, expanded, partial_path, remove_left_behind, whole_file, write_whole
from unisono.curation.collection import read_tracks
from unisono.embeddings.file import open_embeddings
from unisono.retrieval import checkpoint


def test_a_file_appears_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "new folder" / "name.json", "words")
    assert (tmp_path / "new folder" / "name.json").read_text() == "words"
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["name.json"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "name.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(target) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "No space left"), (errno.EACCES, "Cannot write"), (errno.EIO, "Cannot write")]
)
def test_errors_of_the_system_are_explained(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(UnisonoError, match=words), whole_file(tmp_path / "name"):
        raise OSError(number, os.strerror(number))


def test_another_files_error_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "name"):
        Path("/no/such/input").read_bytes()
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "name"):
        (tmp_path / "input").read_bytes()


def test_a_file_larger_than_allowed_leaves_nothing(tmp_path: Path) -> None:
    target = str(tmp_path / "name")
    code = (
        "from pathlib import Path; from unisono.base.files import write_whole; "
        f"write_whole(Path({target!r}), b'x' * 10**6)"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    command = [sys.executable, "-B", "-c", code]  # Python keeps a file of bytecode that is cut short
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_only_what_nobody_writes_any_more_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "name"
    host = partial_path(target).name.removesuffix(".partial").rpartition(".")[2].rpartition("-")[0]
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    paths = {
        kind: tmp_path / f".name.{tag}.partial"
        for kind, tag in {
            "killed": f"{host}-{gone.pid}", "busy": f"{host}-{os.getpid()}", "foreign": "beef-7", "abandoned": "beef-8",
            "unknown": "draft",
        }.items()
    }  # fmt: skip
    for path in paths.values():
        path.write_text("half")
    os.utime(paths["abandoned"], (1e9, 1e9))
    remove_left_behind(target)
    assert {kind for kind, path in paths.items() if path.exists()} == {"busy", "foreign", "unknown"}


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_written_through(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "x.json"
    if exists:
        target.write_text("old")
    (tmp_path / "x.json").symlink_to("elsewhere/x.json")
    write_whole(tmp_path / "x.json", "new")
    assert (tmp_path / "x.json").is_symlink() and target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "x.json", "x.json"]


def test_a_loop_of_links_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UnisonoError, match="Cannot write"):
        write_whole(tmp_path / "a" / "x.json", "new")


def test_a_name_that_begins_like_a_home_is_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert expanded("~/music") == Path("/somewhere/music")
    assert expanded("~no such user/a.mp3") == Path("~no such user/a.mp3")


def test_a_user_without_a_home_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless(name: str) -> Path:
        raise RuntimeError(name)

    monkeypatch.setattr("platformdirs.user_cache_path", homeless)
    with pytest.raises(UnisonoError) as raised:
        cache_folder("audio", "UNISONO_SOMETHING")
    assert "UNISONO_SOMETHING" in raised.value.hint
    monkeypatch.setenv("UNISONO_SOMETHING", str(tmp_path))
    assert cache_folder("audio", "UNISONO_SOMETHING") == tmp_path


@pytest.mark.parametrize(
    ("name", "read"),
    [(f"a.{ending}", read_tracks) for ending in ("json", "jsonl", "parquet")]
    + [("a.h5", open_embeddings), ("a.pt", checkpoint.load)],
)
def test_a_pointer_of_git_lfs_is_told_from_a_damaged_file(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n")
    with pytest.raises(UnisonoError, match="is a Git LFS pointer") as raised:
        read(path)
    assert "git lfs pull" in raised.value.hint
