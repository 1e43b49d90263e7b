"""What all media servers have in common: the login, paths that are real or not, ids that change, cells of any type."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from msgspec import structs

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.base.path_map import PathMap
from unisono.library.sources import MusicSource, SourceAwayError, SourceTrack
from unisono.library.sources._again import recognised
from unisono.library.sources._connection import Connection, RefusedError, split_user
from unisono.library.sources._logins import Ask, KnownServer, KnownServers, Secret, asked, how_to_log_in, of_environment
from unisono.library.sources._paths import are_here, is_here, is_mapped

MOST_NAMED = 20
COVER_SIZE = 300
"""Pixels of the covers that are asked for."""
MARK = "[unisono]"
"""In the comment of a playlist that unisono made, so that it never replaces one that a person made."""


class MediaServer(MusicSource, ABC):
    """A media server as a source of music, for one user."""

    is_local = False

    def __init__(self, where: str, folder: Path) -> None:
        self.user, base = split_user(where)
        self.connection = Connection(base)
        scheme, _, rest = base.partition("://")
        self.address = f"{self.kind}:{scheme}://{self.user}@{rest}" if self.user else f"{self.kind}:{base}"
        self._known_as = self.address
        self._known_servers = KnownServers(folder)
        self._is_logged_in = False

    def log_in(self, ask: Ask | None = None) -> None:
        """Log in with what is kept for this address, what the environment holds, or what is asked for; once.

        What was asked for is kept, in a file that only its owner can read.

        Raises:
            RefusedError: the server accepts nothing of it.
            UsageError: there is nothing to log in with.
            SourceAwayError: the server does not answer.
        """
        if self._is_logged_in:
            return
        known = self._known_servers.get(self._known_as)
        refused: RefusedError | None = None
        for secret in [*([known.secret] if known.secret else []), *of_environment()]:
            try:
                self._log_in(secret)
            except RefusedError as error:
                refused = error
            else:
                self._is_logged_in = True
                return
        typed = asked(ask, self.user, self.connection.address) if ask is not None else None
        if typed is not None:
            secret = self._log_in(typed)
            self._known_servers.put(self._known_as, KnownServer(secret=secret, path_map=known.path_map))
            self._is_logged_in = True
            return
        if refused is not None:
            raise RefusedError(refused.message, code=refused.code, hint=refused.hint or how_to_log_in())
        raise UsageError(
            f"Nothing is known that logs {self.user or 'anybody'} in at {self.connection.address}.",
            hint=how_to_log_in(),
        )

    def map_paths(self, pairs: Sequence[str]) -> None:
        """Keep where the server's folders are on this machine, as `FROM=TO`."""
        PathMap(pairs)
        known = self._known_servers.get(self._known_as)
        self._known_servers.put(self._known_as, KnownServer(secret=known.secret, path_map=list(pairs)))

    def list(self) -> Iterator[SourceTrack]:
        """Yield all tracks, each id once, in the order of their ids; with paths of this machine, where there are."""
        try:
            self.log_in()
            tracks = sorted(self._listed(), key=lambda track: track.key)
        except RefusedError as error:
            raise SourceAwayError(error.message, hint=error.hint) from None
        path_map = self._path_map()
        if path_map.targets and are_here(tracks, path_map):
            log.info("%s: its files are on this machine, and are read from the disk.", self.connection.address)
            yield from (structs.replace(track, path=path_map(track.path)) for track in tracks)
            return
        if path_map.targets:
            log.warning(
                "%s: its paths are made up, or --path-map does not lead to them; files are fetched from it.",
                self.connection.address,
            )
        yield from tracks

    @contextmanager
    def open(self, track: SourceTrack) -> Iterator[Path]:
        """Yield the track's file on this machine, or a temporary one that was fetched and is removed at the end."""
        if is_here(track.path, track.size) and is_mapped(track.path, self._path_map()):
            yield Path(track.path)
            return
        try:
            self.log_in()
        except RefusedError as error:
            raise SourceAwayError(error.message, hint=error.hint) from None
        with self._fetched(track) as path:
            yield path

    def cover(self, key: str) -> bytes:
        """Return a small picture of a track; empty if the server has none."""
        self.log_in()
        try:
            return self._cover(key)
        except RefusedError:
            return b""

    def match(self, gone: Sequence[SourceTrack], new: Sequence[SourceTrack]) -> dict[str, str]:
        """Return new id -> known id of the tracks that the server has under another id now."""
        return recognised(gone, new)

    def _path_map(self) -> PathMap:
        return PathMap(self._known_servers.get(self._known_as).path_map)

    @abstractmethod
    def _log_in(self, secret: Secret) -> Secret:
        """Log in, and return what to keep for the next time."""

    @abstractmethod
    def _listed(self) -> Iterator[SourceTrack]: ...

    @abstractmethod
    def _cover(self, key: str) -> bytes: ...

    @abstractmethod
    def _fetched(self, track: SourceTrack) -> AbstractContextManager[Path]: ...


def id_of(name: str, listed: Sequence[tuple[str, str]], address: str) -> str:
    """Return the id of the playlist of a name, among (name, id); case counts only where it tells two apart.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = [id for each, id in listed if each == name] or [
        id for each, id in listed if each.casefold() == name.casefold()
    ]
    if len(found) != 1:
        what = f"{len(found)} playlists are called" if found else "There is no playlist"
        known = ", ".join(each for each, _ in listed[:MOST_NAMED])
        raise UsageError(
            f"{what} {name!r} at {address}.", hint=f"There are: {known}." if known else "", parameter="like"
        )
    return found[0]


def name_is_taken(name: str, address: str) -> UnisonoError:
    """Return the error of a playlist whose name belongs to one that a person made."""
    return UsageError(
        f"There is a playlist {name!r} at {address} that unisono did not make, and it is not replaced.",
        hint="Choose another name, or rename that playlist.",
    )
