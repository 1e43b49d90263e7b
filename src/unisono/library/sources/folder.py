"""A folder of this machine, with everything below it: hidden files and what systems keep next to the music are left out."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from unisono.base.arguments import as_path
from unisono.library.sources import FOLDER, MusicSource, SourceAwayError, SourceTrack, Unlisted
from unisono.sources.own.folder import AudioFiles


def build(where: str, folder: Path) -> MusicSource:
    """Return the source of a folder; `~` is expanded."""
    return Folder(as_path(where).absolute())


class Folder(MusicSource):
    """The audio files below a folder, identified by their paths relative to it."""

    kind = FOLDER

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = str(root)
        self._unlisted: list[Unlisted] = []

    def list(self) -> Iterator[SourceTrack]:
        """Yield the regular files with the ending of an audio format, in alphabetical order of folders and names."""
        try:
            with os.scandir(self.root):
                pass
        except OSError as error:
            raise SourceAwayError(
                f"The folder {self.root} cannot be read: {error.strerror or error}.",
                hint="Is its disk mounted? Nothing was removed from the library.",
            ) from error
        files = AudioFiles(self.root)
        self._unlisted = []
        for key, entry in files:
            try:
                status = entry.stat()
            except FileNotFoundError:  # a link that leads nowhere, or a file that has just gone
                continue
            except OSError as error:
                self._unlisted.append(Unlisted(key, f"{entry.path}: {error.strerror or error}"))
                continue
            if stat.S_ISREG(status.st_mode):
                yield SourceTrack(key, key, status.st_size, status.st_mtime_ns)
        for fault in files.unreadable:
            inner = os.path.relpath(str(fault.filename), self.root)
            prefix = "" if inner == "." else f"{inner}/"
            self._unlisted.append(Unlisted(prefix, f"{fault.filename}: {fault.strerror or fault}"))

    def unlisted(self) -> Sequence[Unlisted]:
        """Return the folders that could not be read."""
        return self._unlisted

    def open(self, track: SourceTrack) -> AbstractContextManager[Path]:
        """Return the path of a track's file, which stays where it is."""
        return nullcontext(self.root / track.key)
