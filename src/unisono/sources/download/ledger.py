"""The state of a download, in the subfolder `.download` of a dataset's folder: a lock, a log and a ledger.

The ledger has one JSON object a line. A line is appended once a file is in place and verified, and again once it is
unpacked, so that every line holds whatever happens later. A last line that a kill cut short does not count.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from unisono.base.errors import UnisonoError
from unisono.base.files import explained
from unisono.sources.base import HubFiles, RemoteFile

STATE_FOLDER = ".download"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder for this process; the lock ends with the process, however that ends.

    Raises:
        UnisonoError: another process downloads into the folder, or the folder cannot be written.
    """
    path = state_folder(folder) / "lock"
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise UnisonoError(
                f"Another download is writing to {folder}.", hint="Wait for it to end, or stop it, and try again."
            ) from error
    try:
        yield
    finally:
        lock.release()


def state_folder(folder: Path) -> Path:
    """Return the folder of the download's state in a dataset's folder."""
    return folder / STATE_FOLDER


def is_packed(file: RemoteFile | HubFiles) -> bool:
    """Return whether a file is unpacked after the download."""
    return file.unpack_to is not None or file.audio_column is not None


_FIELDS = {"name", "size", "checksum", "published", "accepted", "unpacked", "sample", "keep"}


class Ledger:
    """Which files of a release are here, verified and unpacked. Several threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = state_folder(folder) / "done.jsonl"
        self._lock = threading.Lock()
        self._done: dict[str, dict[str, Any]] = {}
        content = self.path.read_bytes() if self.path.is_file() else b""
        for line in content.split(b"\n")[:-1]:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line that a kill cut short
            if isinstance(record, dict) and record.keys() >= _FIELDS:
                self._done[str(record["name"])] = record
        self._torn = not content.endswith(b"\n") and bool(content)

    def holds(self, file: RemoteFile) -> bool:
        """Return whether the file is here and verified, and unpacked if it is an archive."""
        record = self._record_of(file)
        if record is None or record["unpacked"] != is_packed(file):
            return False
        if record["unpacked"] and record["sample"] is None:
            return True  # nothing came out of it
        path, size = record["sample"] or (file.name, record["size"])
        return self._has(path, size)

    def checked(self, file: RemoteFile) -> bool:
        """Return whether the file itself is here and verified, unpacked or not."""
        record = self._record_of(file)
        return record is not None and self._has(file.name, record["size"])

    def _record_of(self, file: RemoteFile) -> dict[str, Any] | None:
        """Return the file's entry; None if the dataset now publishes another file of this name."""
        record = self._done.get(file.name)
        if record is None or record["published"] != file.checksum:
            return None
        return record if record["accepted"] or file.size in (0, record["size"]) else None

    def _has(self, path: str, size: int) -> bool:
        try:
            return (self.folder / path).stat().st_size == size
        except OSError:
            return False

    def note(self, file: RemoteFile, size: int, checksum: str, source: str, *, accepted: bool = False) -> None:
        """Note that a file is here and verified: what was received, and the address or path it came from.

        `accepted`: it is not the published file, and the user accepted it.
        """
        record = {
            "name": file.name,
            "size": size,
            "checksum": checksum,
            "published": file.checksum,
            "accepted": accepted,
            "source": source,
        }
        self._append(record | {"unpacked": False, "sample": None, "keep": True})

    def note_unpacked(self, file: RemoteFile, sample: tuple[str, int] | None, *, keep: bool) -> None:
        """Note that an archive is unpacked; path and size of one file out of it show later that they are there."""
        place = None if sample is None else (os.path.relpath(sample[0], self.folder), sample[1])
        self._append(self._done[file.name] | {"unpacked": True, "sample": place, "keep": keep})

    def remove_archive(self, file: RemoteFile) -> None:
        """Remove an archive that is unpacked, unless it is to be kept."""
        record = self._record_of(file)
        if record is not None and record["unpacked"] and not record["keep"]:
            (self.folder / file.name).unlink(missing_ok=True)

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._lock, self.path.open("ab", buffering=0) as ledger:
            ledger.write(b"\n" + line if self._torn else line)
            self._torn = False
            self._done[record["name"]] = record
