"""Writing files so that they appear whole or not at all, with errors a user understands."""

import errno
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from glob import escape
from pathlib import Path
from typing import IO

from unisono.base.errors import DataError, UnisonoError, UsageError

TEMPORARY = "Temporary files are in the folder that the variable TMPDIR names."
ABANDONED_AFTER_S = 7 * 86400
"""A partial file of another host that has not changed for so long is left behind."""


def expanded(path: "str | os.PathLike[str]") -> Path:
    """Return a path with `~` expanded; a name that begins so, and is no user's, stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of pathlib raises


def cache_folder(name: str, variable: str) -> Path:
    """Return the folder that an environment variable names, or else one in the user's cache folder.

    Raises:
        UnisonoError: the user has no home.
    """
    from platformdirs import user_cache_path

    if chosen := os.environ.get(variable):
        return expanded(chosen)
    try:
        return user_cache_path("unisono") / name
    except RuntimeError as error:
        raise UnisonoError(
            "This user has no home folder.", hint=f"Set HOME, or name a folder in {variable}."
        ) from error


def refuse_pointer(path: Path) -> None:
    """Refuse a file that is a pointer of Git LFS instead of what it should be; one that cannot be read is left alone.

    Raises:
        DataError: it is a pointer.
    """
    try:
        with path.open("rb") as file:
            start = file.read(24)
    except OSError:
        return
    if start.startswith(b"version https://git-lfs"):
        raise DataError(f"{path} is a Git LFS pointer, not the file itself.", hint="Fetch the file with: git lfs pull")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path in the same folder to write to. On success sync it and rename it into place, on any failure remove it.

    If `path` is a symbolic link, the file that it leads to is written.

    Raises:
        UnisonoError: the folder is not writable, the disk is full, or another reason of the operating system.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    partial = partial_path(path)
    try:
        with explained(path, alone=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            sync(partial)
            partial.replace(path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder in the same place to fill. On success sync it and rename it into place, on any failure remove it.

    Raises:
        UsageError: there is something at `path` already.
        UnisonoError: as for `whole_file`.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise UsageError(f"{path} is there already.", hint="Choose another output, or remove it first.")
    partial = partial_path(path)
    remove_left_behind(path)
    try:
        with explained(path):
            partial.mkdir(parents=True)
            yield partial
            for folder, _, names in os.walk(partial):
                for name in names:
                    sync(Path(folder, name))
                sync(Path(folder))
            partial.replace(path)
            sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_path(path: Path) -> Path:
    """Return the name under which this process writes `path` until it is whole: `.<name>.<host>-<process>.partial`."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}.partial")


def remove_left_behind(path: Path) -> None:
    """Remove the partial files of `path` that killed processes of this host left, and those that nobody wrote to for long.

    Process numbers mean nothing to another host or container, which may be writing to the same folder.
    """
    remove_left_behind_in(path.parent, escape(path.name))


def remove_left_behind_in(folder: Path, names: str = "*") -> None:
    """Remove such partial files of all paths in a folder whose names match a pattern."""
    for partial in folder.glob(f".{names}.*.partial"):
        host, _, process = partial.name.removesuffix(".partial").rpartition(".")[2].rpartition("-")
        if not process.isdecimal():
            continue
        with suppress(OSError):
            idle_s = time.time() - partial.stat().st_mtime
            if idle_s > ABANDONED_AFTER_S or (host == _host() and not _is_running(int(process))):
                shutil.rmtree(partial, ignore_errors=True)
                partial.unlink(missing_ok=True)


@cache
def _host() -> str:
    """Return what tells apart hosts, boots and containers, among which process numbers are unique."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def write_whole(path: Path, content: bytes | memoryview | str) -> None:
    """Write a file in one go, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_all(file: IO[bytes], content: bytes) -> None:
    """Write to a file without a buffer, which may take a part at a time."""
    while content:
        content = content[file.write(content) :]


def sync(path: Path) -> None:
    """Force a file's content, or a folder's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some file systems cannot sync a folder
        if not path.is_dir() or error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


@contextmanager
def explained(path: Path, *, alone: bool = False, elsewhere: str = "") -> Iterator[None]:
    """Turn an operating system's error while writing `path`, or another file of its folder, into one that says what to do.

    With `alone`, the other files of the folder may be inputs, so that their errors are raised as they are. `elsewhere` says
    how another place is chosen.
    """
    try:
        yield
    except OSError as error:
        about = path if error.filename is None else Path(os.fsdecode(error.filename))
        is_own = path.is_relative_to(about) or about.is_relative_to(path) or about.name.startswith(f".{path.name}.")
        if not is_own:
            if alone or not about.is_relative_to(path.parent):
                raise  # another file's error
            path = about
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            otherwise = "" if elsewhere else ", or choose another place for the output"
            raise UnisonoError(
                f"No space left on the disk while writing {path}; nothing half-written was left behind.",
                hint=f"Free some space{otherwise}, and run the same command again. {elsewhere}".rstrip(),
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UnisonoError(
                f"Cannot write {path}: {error.strerror}.", hint=elsewhere or "Choose a folder that you may write to."
            ) from error
        raise UnisonoError(
            f"Cannot write {path}: {error.strerror or error}.", hint=elsewhere or "Choose another place for the output."
        ) from error
