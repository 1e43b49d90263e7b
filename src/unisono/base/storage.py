"""Files on object storage, read through a bounded cache on the local disk: `s3://`, `gs://` and `file://`.

A cached file is named by its address and the version of the object, written aside and renamed, so any number of processes
may share the folder. What was used longest ago is removed first; the size may be exceeded by what is being fetched. Errors
are the operating system's, with words that say what happened.
"""

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from unisono.base.backoff import Patience
from unisono.base.errors import UsageError
from unisono.base.extras import MissingExtraError, extra
from unisono.base.files import cache_folder

SCHEMES = ("s3://", "gs://", "file://")
FOLDER = "UNISONO_AUDIO_CACHE"
SIZE = "UNISONO_AUDIO_CACHE_GB"
DEFAULT_GB = 10.0
TRIES = 4
ABANDONED_AFTER_S = 3600
_PARTIAL = ".partial"
_TO_READ = os.O_RDONLY | os.O_NONBLOCK  # a pipe would wait for its other end
_PATIENCE = Patience(first_pause=0.5, longest_pause=8)
_SETTINGS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 0}}}
}
_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError)
_Result = TypeVar("_Result")


def is_url(path: str) -> bool:
    """Return whether a path is the address of an object."""
    return path.startswith(SCHEMES)


def is_absolute(path: str) -> bool:
    """Return whether a path means the same wherever it is read: an absolute one, or an address."""
    return os.path.isabs(path) or path.startswith(SCHEMES)  # noqa: PTH117 - called once a record


def status(path: str) -> tuple[int, int]:
    """Return the size of a file, and its time of change in nanoseconds; of an object, a number that stands for its version.

    Raises:
        OSError, ValueError: there is no such file, or it cannot be looked at.
        MissingExtraError: a package is not installed.
    """
    path = path.removeprefix("file://")
    if is_url(path):
        return _with_patience(lambda: _look(path))
    found = os.stat(path)  # noqa: PTH116 - called once a file, for up to millions
    return found.st_size, found.st_mtime_ns


def is_file(path: str) -> bool:
    """Return whether there is a file, or an object."""
    if is_url(path):
        try:
            return bool(status(path))
        except OSError:
            return False
    return Path(path).is_file()


def open_file(path: str) -> tuple[int, str]:
    """Open a file to read, and return its descriptor and where it lies on this machine; an object is fetched first.

    Raises:
        OSError, ValueError: as for `status`, or the object changed, came short, or does not fit into the cache.
        MissingExtraError: a package is not installed.
    """
    path = path.removeprefix("file://")
    if is_url(path):
        return _with_patience(lambda: _fetch(path))
    return os.open(path, _TO_READ), path


def read_bytes(path: str) -> FileIO:
    """Open a file as a stream of bytes; raises as `open_file` does."""
    return open(open_file(path)[0], "rb", buffering=0)  # noqa: PTH123 - of a descriptor; the caller closes it


def _look(url: str) -> tuple[int, int]:
    info = _file_system(url.partition("://")[0]).info(url)
    if info.get("type") == "directory":
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    version = next((info[name] for name in ("ETag", "etag", "LastModified", "mtime", "updated") if info.get(name)), "")
    return int(info["size"]), int.from_bytes(blake2b(str(version).encode(), digest_size=7).digest(), "big")


def _fetch(url: str) -> tuple[int, str]:
    """Open a copy of an object as it is now; the copy stays readable if it is removed from the cache."""
    size, version = before = _look(url)
    folder = _folder()
    place = folder / blake2b(f"{url}\0{size}\0{version}".encode(), digest_size=20).hexdigest()
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(place, _TO_READ)
        os.utime(descriptor)
        return descriptor, str(place)
    folder.mkdir(parents=True, exist_ok=True)
    _make_room(folder, size)
    writing, name = tempfile.mkstemp(dir=folder, suffix=_PARTIAL)
    os.close(writing)
    partial = Path(name)
    try:
        _file_system(url.partition("://")[0]).get_file(url, name)
        there = partial.stat().st_size
        if there != size:
            raise OSError(errno.EIO, f"{there:,} bytes came of {size:,}")
        if _look(url) != before:
            raise OSError(errno.EAGAIN, "it changed while it was read")
        descriptor = os.open(partial, _TO_READ)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
    return descriptor, str(place)


def _make_room(folder: Path, wanted: int) -> None:
    """Remove what was used longest ago, until `wanted` bytes fit; what others are fetching stays."""
    limit = _limit()
    if wanted > limit:
        raise OSError(errno.EFBIG, f"{wanted:,} bytes do not fit into a cache of {limit:,} ({SIZE})")
    total, removable = wanted, []
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):  # another process removed it
            found = entry.stat()
            total += found.st_size
            if not entry.name.endswith(_PARTIAL) or time.time() - found.st_mtime > ABANDONED_AFTER_S:
                removable.append((found.st_mtime_ns, found.st_size, entry.path))
    for _, size, path in sorted(removable):
        if total <= limit:
            return
        Path(path).unlink(missing_ok=True)
        total -= size


def _with_patience(work: Callable[[], _Result]) -> _Result:
    """Do it again after errors that may pass; every error becomes one of the operating system's."""
    for failures in range(1, TRIES + 1):
        try:
            return work()
        except (*_LASTING, UsageError):
            raise
        except OSError as error:
            failed = error if error.strerror else OSError(errno.EIO, str(error))
        except Exception as error:  # the storage's own libraries have their own
            failed = OSError(errno.EIO, f"{type(error).__name__}: {error}".partition("\n")[0])
        if failures == TRIES or failed.errno in (errno.ENOSPC, errno.EFBIG):
            break
        time.sleep(_PATIENCE.pause(failures))
    raise failed


@cache
def _file_system(scheme: str) -> Any:
    with extra("storage", f"Reading {scheme}://"):
        import fsspec

        if scheme == "s3":
            import s3fs  # noqa: F401 - or fsspec names another package
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False, **_SETTINGS.get(scheme, {}))
    except ImportError as error:
        raise MissingExtraError(
            f"Reading {scheme}:// needs: {error}.", hint="Install it with: pip install gcsfs"
        ) from error


def _folder() -> Path:
    return cache_folder("audio", FOLDER)


def _limit() -> int:
    text = os.environ.get(SIZE) or str(DEFAULT_GB)
    try:
        return max(0, round(float(text) * 1e9))
    except (ValueError, OverflowError):
        raise UsageError(f"{SIZE} is {text!r}, expected a size in gigabytes such as 50.") from None
