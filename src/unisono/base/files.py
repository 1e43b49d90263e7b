"""Writing files so that they appear whole or not at all, with errors a user understands."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from unisono.base.errors import UnisonoError, UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success sync it and rename it into place, on any failure remove it.

    Raises:
        UnisonoError: the folder is not writable, the disk is full, or another reason of the operating system.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with explained(path):
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
    """Yield a new folder beside `path` to fill; on success sync it and rename it into place, on any failure remove it.

    Raises:
        UsageError: there is something at `path` already.
        UnisonoError: as for `whole_file`.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise UsageError(f"{path} is there already.", hint="Choose another output, or remove it first.")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
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


def remove_left_behind(path: Path) -> None:
    """Remove what runs that were killed left beside `path`: `.<name>.<process>.partial` of processes that are no more."""
    for partial in path.parent.glob(f".{escape(path.name)}.*.partial"):
        process = partial.name.removesuffix(".partial").rpartition(".")[2]
        if process.isdecimal() and not _is_running(int(process)):
            shutil.rmtree(partial, ignore_errors=True)
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a small file in one go, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


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
def explained(path: Path) -> Iterator[None]:
    """Turn an operating system's error while writing `path` into a message that says what to do."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(path.parent)):
            raise  # another file's error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnisonoError(
                f"No space left on the disk while writing {path}; nothing half-written was left behind.",
                hint="Free some space, or choose another place for the output, and run the same command again.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UnisonoError(
                f"Cannot write {path}: {error.strerror}.", hint="Choose a folder that you may write to."
            ) from error
        raise UnisonoError(f"Cannot write {path}: {error.strerror or error}.") from error
