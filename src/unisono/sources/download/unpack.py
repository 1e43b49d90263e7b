"""Unpack zip, tar, tar.gz and 7z archives that came from elsewhere.

Every member is written aside and renamed, with the archive's modification time, so that a member of the right size and
time is a finished one and is skipped when an interrupted unpacking goes on. Only plain files and folders come out,
below the target, with the permissions that new files have here, and no more bytes than were to be expected.
"""

import calendar
import gzip
import lzma
import os
import stat
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from unisono.base.cores import available_cores
from unisono.base.errors import DataError
from unisono.base.extras import extra

CHUNK = 1 << 20
SUSPICIOUS_GROWTH = 50
"""An archive of unknown content may become this many times its own size, and no more."""
MEMBERS_AT_ONCE = 64
Advance = Callable[[int], None]


@dataclass
class ArchiveMember:
    """A plain file in an archive."""

    name: str
    size: int
    modified: int
    """Seconds since 1970."""
    crc32: int | None = None


class Unpacker:
    """Writes the members of one archive below a folder."""

    def __init__(self, archive: Path, folder: Path, *, limit: int = 0, advance: Advance = lambda count: None) -> None:
        """Prepare to unpack.

        Args:
            archive: the file.
            folder: where its members go.
            limit: bytes that may come out of it; 0: `SUSPICIOUS_GROWTH` times its size.
            advance: told how many bytes were written or found to be there; may raise to stop.
        """
        self.archive, self.folder, self.advance = archive, folder, advance
        self.left = limit or SUSPICIOUS_GROWTH * archive.stat().st_size + CHUNK
        self._lock = threading.Lock()
        self.files = 0
        """Members in place."""
        self.sample: tuple[str, int] | None = None
        """Path and size of the last of them."""
        self._root = os.fspath(folder)
        self._folders: set[str] = set()
        self._new_folders: set[str] = set()

    def run(self) -> None:
        """Unpack all members.

        Raises:
            DataError: the archive is broken, of no known kind, or holds what no release has any business to hold.
        """
        with _explained(self.archive):
            kind = _kind(self.archive)
            {"zip": self._zip, "tar": self._tar, "7z": self._seven_zip}[kind]()

    def _zip(self) -> None:
        with zipfile.ZipFile(self.archive) as archive:
            members = {info.filename: info for info in archive.infolist() if not info.is_dir()}.values()
            for info in members:
                kind = stat.S_IFMT(info.external_attr >> 16)
                self._check(info.filename, plain=kind in (0, stat.S_IFREG))
            self._refuse_if_too_large(sum(info.file_size for info in members))

            def unpack(infos: list[zipfile.ZipInfo]) -> None:
                for info in infos:
                    member = ArchiveMember(info.filename, info.file_size, _seconds(info))
                    if not self._has(member):
                        with archive.open(info) as source:
                            self._write(member, source)

            # Decompression and writing release the GIL: several members at a time use several cores.
            with ThreadPoolExecutor(available_cores(), "unpack") as pool:
                try:
                    for _ in pool.map(unpack, _batches(members)):
                        pass
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise

    def _tar(self) -> None:
        with self.archive.open("rb") as file:
            if file.peek(2).startswith(b"\x1f\x8b"):
                # tarfile would decompress it too, but without comparing the checksum at its end
                with gzip.open(file) as content, tarfile.open(fileobj=content, mode="r|") as archive:
                    self._tar_members(archive)
                    while content.read(CHUNK):
                        pass
            else:
                with tarfile.open(fileobj=file, mode="r:") as archive:
                    self._tar_members(archive)

    def _tar_members(self, archive: tarfile.TarFile) -> None:
        for info in archive:
            archive.members.clear()  # type: ignore[attr-defined] # or else it would keep all that it has seen
            if info.isdir():
                continue
            self._check(info.name, plain=info.isreg())
            member = ArchiveMember(info.name, info.size, int(info.mtime))
            if not self._has(member):
                source = archive.extractfile(info)
                assert source is not None  # it is a plain file
                self._write(member, source)

    def _seven_zip(self) -> None:
        with extra("sevenzip", f"Unpacking {self.archive.name}"):
            from unisono.sources.download.seven_zip import members_of, unpack_members
        members = members_of(self.archive, self._check)
        self._refuse_if_too_large(sum(member.size for member in members.values()))
        missing = [member for member in members.values() if not self._has(member)]
        unpack_members(self.archive, missing, self.writing)

    def _check(self, name: str, *, plain: bool) -> None:
        """Refuse a member that is no plain file or that would not stay below the folder."""
        if not plain:
            raise DataError(f"{self.archive}: the member {name!r} is a link or a device; such archives are refused.")
        path = PurePosixPath(name)
        outside = path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name
        if outside or (os.name == "nt" and (":" in name or "\\" in name)):
            raise DataError(f"{self.archive}: the member {name!r} would land outside {self.folder}; refused.")

    def _refuse_if_too_large(self, size: int) -> None:
        if size > self.left:
            raise DataError(
                f"{self.archive}: it would unpack to {size:,} bytes, where at most {self.left:,} are plausible; refused."
            )

    def _path(self, member: ArchiveMember) -> str:
        """Give where a member goes. (Text: archives have so many members that making `Path`s of them would show.)"""
        return os.path.join(self._root, *member.name.split("/"))  # noqa: PTH118

    def _has(self, member: ArchiveMember) -> bool:
        """Tell whether the member is in place already; count it then."""
        path = self._path(member)
        if os.path.dirname(path) in self._new_folders:  # noqa: PTH120
            return False
        try:
            found = os.stat(path)  # noqa: PTH116
        except OSError:
            return False
        if found.st_size != member.size or int(found.st_mtime) != member.modified or not stat.S_ISREG(found.st_mode):
            return False
        self._done(member, path)
        self.advance(member.size)
        return True

    def _done(self, member: ArchiveMember, path: str) -> None:
        with self._lock:
            self.files += 1
            self.sample = path, member.size

    def _write(self, member: ArchiveMember, source: IO[bytes]) -> None:
        with self.writing(member) as write:
            while chunk := source.read(CHUNK):
                write(chunk)

    @contextmanager
    def writing(self, member: ArchiveMember) -> Iterator[Callable[[bytes], None]]:
        """Give a function to write a member's content with; the member appears when the context ends well."""
        path = self._path(member)
        folder, name = os.path.split(path)
        self._make(folder)
        partial = os.path.join(folder, f".{name[:200]}.partial")  # noqa: PTH118
        written = 0

        def write(chunk: bytes) -> None:
            nonlocal written
            written += len(chunk)
            with self._lock:
                self.left -= len(chunk)
            if self.left < 0:
                raise DataError(f"{self.archive}: far more came out of it than is plausible; unpacking was stopped.")
            out.write(chunk)
            self.advance(len(chunk))

        try:
            with open(partial, "wb") as out:  # noqa: PTH123
                yield write
            if written != member.size:
                raise DataError(f"{self.archive}: the member {member.name!r} has {written:,} of {member.size:,} bytes.")
            os.utime(partial, (member.modified, member.modified))
            os.replace(partial, path)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)  # noqa: PTH108
            raise
        self._done(member, path)

    def _make(self, folder: str) -> None:
        """Make a folder for members, and remember it if it is new: nothing is in it that was not put there since."""
        if folder in self._folders:
            return
        is_new = not os.path.exists(folder)  # noqa: PTH110
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        self._folders.add(folder)
        if is_new:
            self._new_folders.add(folder)


def _batches(infos: Iterable[zipfile.ZipInfo]) -> Iterator[list[zipfile.ZipInfo]]:
    """Give members in groups that are worth handing to a thread."""
    batch: list[zipfile.ZipInfo] = []
    size = 0
    for info in infos:
        batch.append(info)
        size += info.file_size
        if size >= CHUNK or len(batch) >= MEMBERS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _kind(archive: Path) -> str:
    with archive.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"7z\xbc\xaf\x27\x1c"):
        return "7z"
    return "zip" if zipfile.is_zipfile(archive) else "tar"  # tar has the weakest signature: tarfile will tell


def _seconds(info: zipfile.ZipInfo) -> int:
    """Give a zip member's time, which has no zone, as if it were UTC; a month or day of 0 is found in the wild."""
    year, month, day, *clock = info.date_time
    return calendar.timegm((year, max(month, 1), max(day, 1), *clock, 0, 0, 0))


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """Turn what the libraries say of a broken archive into a message that names the file."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise DataError(f"{archive}: this archive is broken: {error}.") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or compressed in a way unknown here
        raise DataError(f"{archive}: this archive cannot be read: {error}.") from error
    except OSError as error:
        if error.errno is None:  # bz2 reports broken data like this
            raise DataError(f"{archive}: this archive is broken: {error}.") from error
        raise
