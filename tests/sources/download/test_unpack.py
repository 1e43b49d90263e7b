"""What comes out of archives, and what does not."""

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import py7zr
import pytest

from tests.sources.download.archives import KINDS, pack, tree
from unisono.base.errors import DataError
from unisono.sources.download.unpack import Unpacker

FILES = {
    "audio/34/1004034.2min.mp3": random.Random(1).randbytes(100_000),
    "audio/00/ with blanks &#39;.wav": b"R" * 200_000,
    "audio/00/empty.mp3": b"",
    "README.txt": "Ünïcödé\n".encode(),
    "a" * 120 + ".wav": b"long name",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_out_whole(tmp_path: Path, kind: str) -> None:
    pack(FILES, tmp_path / f"a.{kind}")
    counts: list[int] = []
    unpacker = Unpacker(tmp_path / f"a.{kind}", tmp_path / "out", advance=counts.append)
    unpacker.run()
    assert tree(tmp_path / "out") == FILES
    assert unpacker.files == len(FILES)
    assert sum(counts) == sum(map(len, FILES.values()))
    for path in (tmp_path / "out").rglob("*.mp3"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o600 == 0o600, "the owner can read, write and delete it"
        assert not mode & 0o111, "it cannot be run"


@pytest.mark.parametrize("kind", KINDS)
def test_unpacking_goes_on_where_it_was(tmp_path: Path, kind: str) -> None:
    files = {f"audio/{number:02}.mp3": random.Random(number).randbytes(10_000) for number in range(20)}
    pack(files, tmp_path / f"a.{kind}")
    counts: list[int] = []

    def interrupt(count: int) -> None:
        counts.append(count)
        if len(counts) > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Unpacker(tmp_path / f"a.{kind}", tmp_path / "out", advance=interrupt).run()
    done = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert 0 < len(done) < 20
    assert all(path.suffix == ".mp3" for path in done)
    Unpacker(tmp_path / f"a.{kind}", tmp_path / "out").run()
    assert tree(tmp_path / "out") == files
    assert all(path.stat().st_ino == inode for path, inode in done.items()), "what was there is not written again"


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_is_half_there_is_replaced(tmp_path: Path, kind: str) -> None:
    pack(FILES, tmp_path / f"a.{kind}")
    for name, content in FILES.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[: len(content) // 2])
    Unpacker(tmp_path / f"a.{kind}", tmp_path / "out").run()
    assert tree(tmp_path / "out") == FILES


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..", "a/.."])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_nothing_lands_outside(tmp_path: Path, kind: str, name: str) -> None:
    archive = tmp_path / "in" / f"a.{kind}"
    pack({name: b"evil"}, archive)
    with pytest.raises(DataError, match="would land outside"):
        Unpacker(archive, tmp_path / "out" / "deep").run()
    assert list(tree(tmp_path)) == [f"in/a.{kind}"]


def zip_with_mode(path: Path, mode: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")


def tar_with_type(path: Path, kind: bytes) -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)


def seven_zip_with_link(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.write(link, "link")
    link.unlink()


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zips_are_refused(tmp_path: Path, mode: int) -> None:
    zip_with_mode(tmp_path / "a.zip", mode | 0o777)
    with pytest.raises(DataError, match="'link' is a link or a device"):
        Unpacker(tmp_path / "a.zip", tmp_path / "out").run()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path: Path, kind: bytes) -> None:
    tar_with_type(tmp_path / "a.tar", kind)
    with pytest.raises(DataError, match="'link' is a link or a device"):
        Unpacker(tmp_path / "a.tar", tmp_path / "out").run()


def test_links_in_7z_are_refused(tmp_path: Path) -> None:
    seven_zip_with_link(tmp_path / "a.7z")
    with pytest.raises(DataError, match="'link' is a link or a device"):
        Unpacker(tmp_path / "a.7z", tmp_path / "out").run()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [100_000, 0])
def test_bombs_are_stopped(tmp_path: Path, kind: str, limit: int) -> None:
    """30 MB that compress to next to nothing: more than the release says, or than is plausible where it says nothing."""
    if kind in ("stored.zip", "tar") and not limit:
        pytest.skip("it cannot grow")
    pack({"zeros": bytes(30_000_000)}, tmp_path / f"a.{kind}")
    with pytest.raises(DataError, match="plausible"):
        Unpacker(tmp_path / f"a.{kind}", tmp_path / "out", limit=limit).run()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["cut", "damaged", "empty", "something else"])
def test_broken_archives_are_named(tmp_path: Path, kind: str, how: str) -> None:
    content = bytearray(pack({"a": random.Random(3).randbytes(50_000), "b": bytes(1000)}, tmp_path / f"a.{kind}"))
    if how == "cut":
        del content[30_000:]
    elif how == "damaged" and kind == "tar":
        content[130] ^= 255  # of the header; a tar has no checksum of the rest
    elif how == "damaged":
        content[20_000] ^= 255
    else:
        content = bytearray() if how == "empty" else bytearray(b"<html>" * 1000)
    (tmp_path / f"a.{kind}").write_bytes(content)
    with pytest.raises(DataError, match=f"a.{kind}: "):
        Unpacker(tmp_path / f"a.{kind}", tmp_path / "out").run()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.endswith(".partial")]


def test_an_encrypted_zip_is_named(tmp_path: Path) -> None:
    content = bytearray(pack({"a": b"secret" * 100}, tmp_path / "a.zip"))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        Unpacker(tmp_path / "a.zip", tmp_path / "out").run()


def test_a_zip_with_an_impossible_date(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("a")
        info.date_time = (1980, 0, 0, 0, 0, 0)
        archive.writestr(info, b"content")
    Unpacker(tmp_path / "a.zip", tmp_path / "out").run()
    assert tree(tmp_path / "out") == {"a": b"content"}


def test_the_last_of_two_members_of_one_name_counts(tmp_path: Path) -> None:
    for kind in ("zip", "tar"):
        buffer = tmp_path / f"a.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("a", b"first")
                archive.writestr("a", b"second")
        else:
            with tarfile.open(buffer, "w") as tar:
                for content in (b"first", b"second"):
                    info = tarfile.TarInfo("a")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        Unpacker(buffer, tmp_path / kind).run()
        assert tree(tmp_path / kind) == {"a": b"second"}


@pytest.mark.parametrize("names", [["in\\a.txt", "in\\", "b.txt"], ["..\\a.txt"], ["x" * 300]])
def test_names_of_programs_that_do_not_keep_to_the_format(tmp_path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name  # the constructor would correct it
            archive.writestr(info, b"words" * (not name.endswith("\\")))
    unpacker = Unpacker(tmp_path / "a.zip", tmp_path / "out")
    if len(names) == 1:
        with pytest.raises(DataError, match=r"a\.zip: the (name of the )?member"):
            unpacker.run()
        assert not (tmp_path / "a.txt").exists()
    else:
        unpacker.run()
        assert set(tree(tmp_path / "out")) == {"in/a.txt", "b.txt"}
