"""What the service asks of a person's music. `library.Library` is one such, the music of an `embeddings.h5` another."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.retrieval.collection import Collection, IndexedTrack
from unisono.search.seeds import Playlists
from unisono.search.service.audiomuse import ServerIds


@dataclass(frozen=True)
class SavedPlaylist:
    """What was written."""

    name: str
    target: str
    tracks: int
    left_out: int
    """Tracks that the target does not have."""


class Music(Protocol):
    """A person's music, as the service needs it. Its methods are called from several threads."""

    @property
    def label(self) -> str:
        """What the page calls it, such as the name of the library."""

    def collection(self) -> Collection:
        """Return the music as it is now, ready to be searched: the same object as long as nothing has changed.

        It is asked before each search, so it must find out quickly whether something has changed.
        """
        ...

    def file(self, track: IndexedTrack) -> Path | None:
        """Return the file of a track; None if it lies on a media server."""
        ...

    def audio(self, track: IndexedTrack) -> AbstractContextManager[Path]:
        """Yield the file of a track, or one that is fetched from its media server for the time.

        Raises:
            UnisonoError: it cannot be had now.
        """
        ...

    def cover(self, track: IndexedTrack) -> bytes:
        """Return a small picture of a track that lies on a media server; empty if there is none."""
        ...

    def playlists(self) -> list[str]:
        """Name the playlists on media servers, as `Query.like` takes them; servers that are away are left out."""
        ...

    def tracks_of(self, like: Sequence[str]) -> Playlists:
        """Return the playlists on media servers that are among texts of `Query.like`.

        Raises:
            UsageError: there is no such server or playlist.
            UnisonoError: the server does not answer.
        """
        ...

    def targets(self) -> list[str]:
        """Name the media servers on which playlists can be saved, such as `subsonic:https://music.example`."""
        ...

    def save_playlist(self, name: str, tracks: Sequence[IndexedTrack], target: str) -> SavedPlaylist:
        """Make a playlist on a media server, or replace the one that was made before under this name.

        Raises:
            UsageError: there is no such target.
            UnisonoError: the server refuses, or does not answer.
        """
        ...

    def server_ids(self) -> ServerIds:
        """Return what the media servers call the tracks and artists."""
        ...


class FileMusic:
    """The music of an `embeddings.h5`: read again when the file is replaced."""

    def __init__(self, label: str, path: Path, load: Callable[[], Collection]) -> None:
        """Read the music of a file by `load`; the page calls it `label`."""
        self.label = label
        self._path = path
        self._load = load
        self._lock = threading.Lock()
        self._seen = self._state()
        self._collection = load()

    def collection(self) -> Collection:
        """Return the music as it is now; the last that could be read if the file is not there, or is damaged."""
        with self._lock:
            state = self._state()
            if state not in (self._seen, None):
                self._seen = state
                try:
                    self._collection = self._load()
                except UnisonoError as error:
                    log.warning("%s The earlier music is searched.", error.message)
        return self._collection

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def file(self, track: IndexedTrack) -> Path | None:
        """Return the file of a track."""
        return Path(track.audio_path)

    def audio(self, track: IndexedTrack) -> AbstractContextManager[Path]:
        """Yield the file of a track."""
        return nullcontext(Path(track.audio_path))

    def cover(self, track: IndexedTrack) -> bytes:
        """Return nothing: the tracks are files."""
        return b""

    def playlists(self) -> list[str]:
        """Name no playlists: a file is of no media server."""
        return []

    def tracks_of(self, like: Sequence[str]) -> Playlists:
        """Return none."""
        return {}

    def targets(self) -> list[str]:
        """Name no media servers: a file is of none."""
        return []

    def save_playlist(self, name: str, tracks: Sequence[IndexedTrack], target: str) -> SavedPlaylist:
        """Refuse to save on a media server.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"There is no media server {target!r}.", parameter="target")

    def server_ids(self) -> ServerIds:
        """Return that no media server has the tracks."""
        return ServerIds({}, {})
