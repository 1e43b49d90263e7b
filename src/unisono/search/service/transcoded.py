"""Tracks as MP3, for players that do not know their format: made when one is asked for, and kept for a while."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from weakref import finalize

from unisono.audio.faults import UnusableError
from unisono.audio.transcode import write_mp3
from unisono.base.errors import UnisonoError
from unisono.search.service.audio import is_of_the_system

MOST_KEPT = 8
"""Files that are kept, because players ask for one in many parts."""


class Transcoded:
    """A folder of MP3 files that is removed at the end. Used by several threads."""

    def __init__(self) -> None:
        self._folder = ""
        self._made: dict[tuple[str, int, int], Path] = {}
        self._turn = threading.Lock()

    @contextmanager
    def mp3(self, id: str, source: AbstractContextManager[Path]) -> Iterator[Path]:
        """Yield a track as MP3; one at a time is made.

        Raises:
            UnisonoError: it is not there, or cannot be decoded.
        """
        with self._turn, source as path:
            try:
                status = path.stat()
                key = id, status.st_size, status.st_mtime_ns
                if key not in self._made:
                    if is_of_the_system(path):
                        raise FileNotFoundError(path)
                    self._made[key] = self._new(path)
            except UnusableError as error:
                raise UnisonoError(f"It cannot be played: {error}.") from error
            except OSError as error:
                raise UnisonoError(f"It cannot be played: {error.strerror or 'its file is not there'}.") from error
            yield self._made[key]

    def _new(self, path: Path) -> Path:
        if not self._folder:
            self._folder = tempfile.mkdtemp(prefix="unisono-mp3-")
            finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        while len(self._made) >= MOST_KEPT:
            self._made.pop(next(iter(self._made))).unlink(missing_ok=True)
        descriptor, name = tempfile.mkstemp(".mp3", dir=self._folder)
        with open(descriptor, "wb"):  # noqa: PTH123 - only to close it
            pass
        try:
            write_mp3(path, Path(name))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)
