"""What the service asks of a person's music. `library.Library` is one such, the music of an `embeddings.h5` another."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

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


class Music:
    """A person's music, as the service needs it: of files alone, unless a subclass knows media servers as well.

    Its methods are called from several threads.
    """

    label: str
    """What the page calls it, such as the name of the library."""

    def collection(self) -> Collection:
        """Return the music as it is now, ready to be searched: the same object as long as nothing has changed.

        It is asked before each search, so it must find out quickly whether something has changed.
        """
        raise NotImplementedError

    def file(self, track: IndexedTrack) -> Path | None:
        """Return the file of a track; None if it lies on a media server, or if it is not known."""
        return Path(track.audio_path) if track.audio_path else None

    def audio(self, track: IndexedTrack) -> AbstractContextManager[Path]:
        """Yield the file of a track, or one that is fetched from its media server for the time.

        Raises:
            UnisonoError: it cannot be had now.
        """
        return nullcontext(Path(track.audio_path))

    def cover(self, track: IndexedTrack) -> bytes:
        """Return a small picture of a track that lies on a media server; empty if there is none."""
        return b""

    def playlists(self) -> list[str]:
        """Name the playlists on media servers, as `Query.like` takes them; servers that are away are left out."""
        return []

    def tracks_of(self, like: Sequence[str]) -> Playlists:
        """Return the playlists on media servers that are among texts of `Query.like`.

        Raises:
            UsageError: there is no such server or playlist.
            UnisonoError: the server does not answer.
        """
        return {}

    def targets(self) -> list[str]:
        """Name the media servers on which playlists can be saved, such as `subsonic:https://music.example`."""
        return []

    def save_playlist(self, name: str, tracks: Sequence[IndexedTrack], target: str) -> SavedPlaylist:
        """Make a playlist on a media server, or replace the one that was made before under this name.

        Raises:
            UsageError: there is no such target.
            UnisonoError: the server refuses, or does not answer.
        """
        raise UsageError(f"There is no media server {target!r}.", parameter="target")

    def server_ids(self) -> ServerIds:
        """Return what the media servers call the tracks and artists."""
        return ServerIds({}, {})


class FileMusic(Music):
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
