"""Unpack untrusted zip, tar, tar.gz and 7z archives.

Every member is written aside and renamed, with the archive's modification time: when an interrupted run continues, a
member of the right size and time is complete and is skipped. Only plain files and folders are unpacked, only below the
target, with the usual permissions of new files, and with a limit on their total size.
"""

import calendar
import errno
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
"""The most that an archive of unknown content may grow, as a multiple of its size."""
MEMBERS_AT_ONCE = 64
LONGEST_HEADER = 1 << 20
"""Bytes of a tar member's name or attributes."""
LONGEST_NAME = 255
"""Bytes of a file's name that file systems can store."""
LATEST_S = 1 << 33
"""Seconds since 1970, in the year 2242: later times cannot be set on every file system."""
_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
Advance = Callable[[int], None]


@dataclass
class ArchiveMember:
    """A plain file in an archive."""

    name: str
    size: int
    modified: int
    """Seconds since 1970."""
    crc32: int | None = None


class _TarInfo(tarfile.TarInfo):
    """A member of a tar archive whose name and attributes are of a plausible length: tarfile reads them into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _LONG_HEADERS and self.size > LONGEST_HEADER:
            raise tarfile.TarError(f"a header of {self.size:,} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


class Unpacker:
    """Write the members of one archive below a folder."""

    def __init__(self, archive: Path, folder: Path, *, limit: int = 0, advance: Advance = lambda count: None) -> None:
        """Prepare to unpack.

        Args:
            archive: the file.
            folder: the target of its members.
            limit: the most bytes to unpack; 0 means `SUSPICIOUS_GROWTH` times its size.
            advance: called with the number of bytes written, or found in place; may raise to stop.
        """
        self.archive, self.folder, self.advance = archive, folder, advance
        self.left = limit or SUSPICIOUS_GROWTH * archive.stat().st_size + CHUNK
        self._lock = threading.Lock()
        self.files = 0
        """Number of members in place."""
        self.sample: tuple[str, int] | None = None
        """Path and size of the last of them."""
        self._root = os.fspath(folder)
        self._folders: set[str] = set()
        self._new_folders: set[str] = set()

    def run(self) -> None:
        """Unpack all members.

        Raises:
            DataError: the archive is damaged, of an unknown format, or contains members that are refused.
        """
        with _explained(self.archive):
            kind = _kind(self.archive)
            {"zip": self._zip, "tar": self._tar, "7z": self._seven_zip}[kind]()

    def _zip(self) -> None:
        with zipfile.ZipFile(self.archive) as archive:
            # Some programs for Windows write backslashes between folders, which the format forbids.
            named = {info.filename.replace("\\", "/"): info for info in archive.infolist()}
            members = {name: info for name, info in named.items() if not name.endswith("/")}
            for name, info in members.items():
                kind = stat.S_IFMT(info.external_attr >> 16)
                self._check(name, plain=kind in (0, stat.S_IFREG))
            self._refuse_if_too_large(sum(info.file_size for info in members.values()))

            def unpack(batch: list[tuple[str, zipfile.ZipInfo]]) -> None:
                for name, info in batch:
                    member = ArchiveMember(name, info.file_size, _seconds(info))
                    if not self._has(member):
                        with archive.open(info) as source:
                            self._write(member, source)

            # Decompression and writing release the GIL, so that several threads use several cores.
            with ThreadPoolExecutor(available_cores(), "unpack") as pool:
                try:
                    for _ in pool.map(unpack, _batches(members.items())):
                        pass
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise

    def _tar(self) -> None:
        with self.archive.open("rb") as file:
            if file.peek(2).startswith(b"\x1f\x8b"):
                # tarfile alone would not compare the checksum at the end
                with gzip.open(file) as content, tarfile.open(fileobj=content, mode="r|", tarinfo=_TarInfo) as archive:
                    self._tar_members(archive)
                    while content.read(CHUNK):
                        pass
            else:
                with tarfile.open(fileobj=file, mode="r:", tarinfo=_TarInfo) as archive:
                    self._tar_members(archive)

    def _tar_members(self, archive: tarfile.TarFile) -> None:
        for info in archive:
            archive.members.clear()  # type: ignore[attr-defined] # it would keep all members in memory
            if info.isdir():
                continue
            self._check(info.name, plain=info.isreg())
            member = ArchiveMember(info.name, info.size, int(info.mtime) if 0 <= info.mtime < LATEST_S else 0)
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
        """Refuse a member that is not a plain file, or that would leave the folder."""
        if not plain:
            raise DataError(f"{self.archive}: the member {name!r} is a link or a device; such archives are refused.")
        path = PurePosixPath(name)
        if max((len(os.fsencode(part)) for part in path.parts), default=0) > LONGEST_NAME:
            raise DataError(f"{self.archive}: the name of the member {name[:60]!r}... is too long for a file.")
        outside = path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name
        if outside or (os.name == "nt" and (":" in name or "\\" in name)):
            raise DataError(f"{self.archive}: the member {name!r} would land outside {self.folder}; refused.")

    def _refuse_if_too_large(self, size: int) -> None:
        if size > self.left:
            raise DataError(
                f"{self.archive}: it would unpack to {size:,} bytes, where at most {self.left:,} are plausible; refused."
            )

    def _path(self, member: ArchiveMember) -> str:
        """Return the path of a member, as text: for archives with many members, `Path` objects are slow."""
        return os.path.join(self._root, *member.name.split("/"))  # noqa: PTH118

    def _has(self, member: ArchiveMember) -> bool:
        """Return whether a member is in place already, and count it if so."""
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
        """Yield a function that writes a member's content; the member appears when the context ends without an error."""
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
                raise DataError(
                    f"{self.archive}: it unpacks to far more bytes than is plausible; unpacking was stopped."
                )
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
        """Make a folder for members, and remember it if it is new: then its members need not be looked for."""
        if folder in self._folders:
            return
        is_new = not os.path.exists(folder)  # noqa: PTH110
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        self._folders.add(folder)
        if is_new:
            self._new_folders.add(folder)


def _batches(infos: Iterable[tuple[str, zipfile.ZipInfo]]) -> Iterator[list[tuple[str, zipfile.ZipInfo]]]:
    """Group members into batches that are worth a thread's time."""
    batch: list[tuple[str, zipfile.ZipInfo]] = []
    size = 0
    for name, info in infos:
        batch.append((name, info))
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
    return (
        "zip" if zipfile.is_zipfile(archive) else "tar"
    )  # tar has the weakest signature; tarfile refuses what is none


def _seconds(info: zipfile.ZipInfo) -> int:
    """Return the time of a zip member, which has no zone, as if it were UTC; a month or day of 0 occurs."""
    year, month, day, *clock = info.date_time
    return calendar.timegm((year, max(month, 1), max(day, 1), *clock, 0, 0, 0))


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """Turn the errors of the archive libraries into messages that name the file."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise DataError(f"{archive}: this archive is broken: {error}.") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unknown compression
        raise DataError(f"{archive}: this archive cannot be read: {error}.") from error
    except OSError as error:
        if error.errno is None or (error.errno == errno.EINVAL and error.filename is None):  # an offset before the file
            raise DataError(f"{archive}: this archive is broken: {error}.") from error
        raise
