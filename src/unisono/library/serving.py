"""Libraries as the music of the service (`search.service.music.Music`): kept up to date while others change them."""

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from unisono.audio.faults import UnusableError
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.library import playlists, sources
from unisono.library.gathered import Gathered
from unisono.library.library import Library
from unisono.retrieval.collection import Collection, IndexedTrack
from unisono.search.seeds import Playlists
from unisono.search.service.audiomuse import ServerIds
from unisono.search.service.music import Music, SavedPlaylist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unisono.library.catalogue import CatalogueTrack
    from unisono.library.sources import MusicSource
    from unisono.retrieval.models import JointModel

LOOK_EVERY_S = 2.0
MOST_FETCHED = 8
"""Files of media servers that are kept, because players ask for one in many parts."""

MOST_COVERS, LARGEST_COVER = 500, 200_000
"""Small pictures of media servers that are kept, and the bytes of the largest."""
SILENT_S = 60.0
"""A server that did not send a cover is not asked for one for so long."""
ASK_AGAIN_S = 300.0
"""A playlist on a media server is asked for again after this time."""


class LibraryMusic(Music):
    """The music of some libraries."""

    def __init__(self, root: Path, names: Sequence[str], model: "JointModel", index: str = "exact") -> None:
        """Read the libraries into an index, and follow them from now on.

        Raises:
            UnisonoError: a library cannot be read, or holds nothing that the model reads.
        """
        self.label = ", ".join(names)
        self._root = root
        self._names = tuple(names)
        self._found: Collection | None = None
        self._failure: UnisonoError | None = None
        self._ready = threading.Event()
        self._fetched: dict[str, tuple[Path, ExitStack]] = {}
        self._fetching = threading.Lock()
        self._covers: dict[str, bytes] = {}
        self._servers: dict[str, MusicSource] = {}
        self._silent_until: dict[str, float] = {}
        self._covering = threading.Lock()
        self._playlists: dict[str, tuple[float, Sequence[str]]] = {}
        self._ids: tuple[Collection, ServerIds] | None = None
        threading.Thread(target=self._follow, args=(model, index), daemon=True, name="libraries").start()
        self._ready.wait()
        if self._found is None and self._failure is not None:
            raise self._failure

    def _follow(self, model: "JointModel", index: str) -> None:
        """Look for changes again and again: in a thread of its own, as a catalogue is used by one."""
        with ExitStack() as stack:
            gathered: Gathered | None = None
            while True:
                try:
                    if gathered is None:
                        opened = [stack.enter_context(Library.open(self._root, name)) for name in self._names]
                        gathered = Gathered({library.name: library.catalogue for library in opened}, model, index)
                    self._found = gathered.collection()
                except UnisonoError as error:
                    if self._failure is None or self._failure.message != error.message:
                        log.warning("%s", error.message)
                    self._failure = error
                    if self._found is None:
                        return self._ready.set()
                self._ready.set()
                threading.Event().wait(LOOK_EVERY_S)

    def collection(self) -> Collection:
        """Return the tracks that are embedded now, or were some seconds ago."""
        assert self._found is not None
        return self._found

    def file(self, track: IndexedTrack) -> Path | None:
        """Return the file of a track; None if it lies on a media server."""
        with Library.open(self._root, track.library) as library:
            return _file(*_source(library, track))

    def audio(self, track: IndexedTrack) -> AbstractContextManager[Path]:
        """Yield the file of a track, or one that is fetched from its media server for the time."""
        path = self.file(track)
        return self._from_server(track) if path is None else nullcontext(path)

    @contextmanager
    def _from_server(self, track: IndexedTrack) -> "Iterator[Path]":
        with self._fetching:
            if track.id not in self._fetched:
                stack = ExitStack()
                try:
                    with Library.open(self._root, track.library) as library:
                        source, known = _source(library, track)
                    path = stack.enter_context(source.open(known.as_listed))
                except UnusableError as error:
                    raise UnisonoError(f"{track.name}: {error}.") from error
                if len(self._fetched) >= MOST_FETCHED:
                    self._fetched.pop(next(iter(self._fetched)))[1].close()
                self._fetched[track.id] = path, stack
            yield self._fetched[track.id][0]

    def cover(self, track: IndexedTrack) -> bytes:
        """Return a small picture of a track that lies on a media server; empty if it has none, or the server is away."""
        if track.id not in self._covers:
            with Library.open(self._root, track.library) as library:
                source, known = _source(library, track)
            with self._covering:
                source = self._servers.setdefault(source.address, source)
            if time.monotonic() < self._silent_until.get(source.address, 0):
                return b""
            try:
                content = source.cover(known.key)
            except UnisonoError as error:
                log.debug("%s", error.message)
                self._silent_until[source.address] = time.monotonic() + SILENT_S
                return b""
            with self._covering:
                while len(self._covers) >= MOST_COVERS:
                    self._covers.pop(next(iter(self._covers)))
                self._covers[track.id] = content if len(content) <= LARGEST_COVER else b""
        return self._covers.get(track.id, b"")

    def playlists(self) -> list[str]:
        """Name the playlists on the media servers of the libraries."""
        with self._opened() as libraries:
            return playlists.on_servers(libraries)

    def tracks_of(self, like: Sequence[str]) -> Playlists:
        """Return the playlists on media servers that are among texts of `Query.like`; each is asked for now and then."""
        now = time.monotonic()
        for named in like:
            began, _ = self._playlists.get(named, (-ASK_AGAIN_S, ()))
            if now - began >= ASK_AGAIN_S:
                with self._opened() as libraries:
                    found = playlists.read(libraries, [named])
                self._playlists |= {each: (now, ids) for each, ids in found.items()}
        return {named: self._playlists[named][1] for named in like if named in self._playlists}

    def targets(self) -> list[str]:
        """Name the media servers of the libraries."""
        with self._opened() as libraries:
            return playlists.targets(libraries)

    def save_playlist(self, name: str, tracks: Sequence[IndexedTrack], target: str) -> SavedPlaylist:
        """Make a playlist on a media server of the libraries, or replace the one that was made before under this name."""
        with self._opened() as libraries:
            if target not in playlists.targets(libraries):
                return super().save_playlist(name, tracks, target)
            saved = playlists.write(libraries, f"{target}#{name}", tracks, comment=name)
            return SavedPlaylist(name, target, saved.tracks, saved.left_out)

    def server_ids(self) -> ServerIds:
        """Return what the media servers of the libraries call their tracks and artists."""
        collection = self.collection()
        if self._ids is None or self._ids[0] is not collection:
            with self._opened() as libraries:
                found = [playlists.server_ids(library) for library in libraries]
            of_track = {id: at_server for each in found for id, at_server in each.of_track.items()}
            of_artist = {id: at_server for each in found for id, at_server in each.of_artist.items()}
            self._ids = collection, ServerIds(of_track, of_artist)
        return self._ids[1]

    @contextmanager
    def _opened(self) -> "Iterator[list[Library]]":
        """Yield the libraries, for this thread."""
        with ExitStack() as stack:
            yield [stack.enter_context(Library.open(self._root, name)) for name in self._names]


def _source(library: Library, track: IndexedTrack) -> "tuple[MusicSource, CatalogueTrack]":
    """Return where a track comes from, and what the catalogue knows of it.

    Raises:
        UnisonoError: it is not in the library any more.
    """
    known = library.catalogue.numbered([track.number]).get(track.number)
    addresses = {row.number: row.address for row in library.catalogue.sources()}
    if known is None or known.source not in addresses:
        raise UnisonoError(f"{track.name} is not in the library any more.")
    return sources.build(addresses[known.source], library.root), known


def _file(source: "MusicSource", track: "CatalogueTrack") -> Path | None:
    return Path(source.address, track.key) if source.is_local else None
