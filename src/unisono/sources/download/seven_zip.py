"""Read 7z archives with py7zr, in bounded memory."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath

import py7zr
from py7zr.io import Py7zIO, WriterFactory

from unisono.base.errors import DataError
from unisono.sources.download.unpack import ArchiveMember

Writing = Callable[[ArchiveMember], AbstractContextManager[Callable[[bytes], None]]]


def members_of(path: Path, check: Callable[..., None]) -> dict[str, ArchiveMember]:
    """Return the plain files of an archive by name; `check` raises for members that are refused."""
    with _explained(path), py7zr.SevenZipFile(path) as archive:
        members = {}
        for entry in archive.files:
            check(entry.filename, plain=entry.is_directory or entry.is_file)
            if entry.is_file:
                modified = entry.lastwritetime.totimestamp() if entry.lastwritetime else 0
                members[entry.filename] = ArchiveMember(entry.filename, entry.uncompressed, int(modified), entry.crc32)
        return members


def unpack_members(path: Path, members: Iterable[ArchiveMember], writing: Writing) -> None:
    """Write some members of an archive; others are decompressed only as far as the format requires it."""
    wanted = {member.name: member for member in members}
    if not wanted:
        return
    factory = _Factory(wanted, writing)
    with _explained(path), py7zr.SevenZipFile(path) as archive:
        try:
            archive.extract(targets=list(wanted), factory=factory)
        except BaseException as error:
            factory.abandon(error)
            raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (py7zr.exceptions.ArchiveError, py7zr.exceptions.PasswordRequired, struct.error) as error:
        raise DataError(f"{path}: this 7z archive cannot be read: {error}.") from error


class _Factory(WriterFactory):
    def __init__(self, members: dict[str, ArchiveMember], writing: Writing) -> None:
        self._members = {PurePosixPath(name).as_posix(): member for name, member in members.items()}
        self._writing = writing
        self._made: list[_MemberWriter] = []

    def create(self, filename: str) -> Py7zIO:
        member = self._members[filename]
        self._made.append(_MemberWriter(member, self._writing(member)))
        return self._made[-1]

    def abandon(self, error: BaseException) -> None:
        """Remove what was written of a member when reading failed: py7zr does not close it."""
        for writer in self._made:
            writer.end(error)


class _MemberWriter(Py7zIO):
    """The file object that py7zr writes a member to. It compares checksums, which py7zr does only after closing."""

    def __init__(self, member: ArchiveMember, writing: AbstractContextManager[Callable[[bytes], None]]) -> None:
        self._member, self._writing = member, writing
        self._write = writing.__enter__()
        self._size = self._crc = 0
        self._open = True

    def write(self, s: bytes | bytearray) -> int:
        self._write(bytes(s))
        self._crc = zlib.crc32(s, self._crc)
        self._size += len(s)
        return len(s)

    def close(self) -> None:
        fault = None
        if self._open and self._member.crc32 is not None and self._crc != self._member.crc32:
            fault = py7zr.exceptions.Bad7zFile(f"the member {self._member.name!r} is damaged")
        self.end(fault)
        if fault:
            raise fault

    def end(self, fault: BaseException | None) -> None:
        """Keep the file, or remove it after a fault."""
        if self._open:
            self._open = False
            self._writing.__exit__(type(fault) if fault else None, fault, None)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return self._size
