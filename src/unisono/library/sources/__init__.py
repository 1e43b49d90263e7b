"""Where a library's music comes from: a folder of this machine, or a media server. A module each, registered by being here.

A module holds `build(address, folder) -> MusicSource`. An address begins with the module's name and a colon, such as
`subsonic:https://someone@music.example.org`; one without is the path of a folder.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.registry import Registry

FOLDER = "folder"


class SourceAwayError(UnisonoError):
    """A source cannot be listed or read now: its folder is not there, its server does not answer. Nothing is removed."""


MOST_LETTERS = 500
"""Of a name; a broken or hostile tag can hold megabytes."""


class TrackFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the tags of a file, or a media server, say about a track; endless names are cut."""

    title: str = ""
    artist: str = ""
    artist_id: str = ""
    """At the server that the track is of."""
    album: str = ""
    album_artist: str = ""
    genre: str = ""
    tags: list[str] = []
    """Further genres, moods, and known words of the comment."""
    year: int | None = None
    bpm: float | None = None
    rating: float | None = None
    """From 0 to 5."""
    license: str = "unknown"
    recording: str = ""
    """Identity of the recording across libraries: `musicbrainz:<id>`, `isrc:<code>`."""

    def __post_init__(self) -> None:
        for name in ("title", "artist", "album", "album_artist", "genre"):
            if len(value := getattr(self, name)) > MOST_LETTERS:
                msgspec.structs.force_setattr(self, name, value[: MOST_LETTERS - 1] + "…")


class SourceTrack(msgspec.Struct, frozen=True, gc=False):
    """A playable file that a source lists."""

    key: str
    """Its identity within the source: the path relative to the folder, or the id at the server. Names that are not UTF-8
    are as `os.fsdecode` returns them."""
    path: str
    """Its path as a person would look for it, relative to the folder or as the server tells."""
    size: int = 0
    """In bytes; 0 if unknown."""
    changed: int = 0
    """When it was changed, in nanoseconds; 0 if unknown. Only compared for being the same."""
    duration_s: float = 0.0
    """0 if it is to be measured."""
    facts: TrackFacts | None = None
    """None if they are to be read from the file's tags."""


class Unlisted(NamedTuple):
    """A part of a source that could not be listed; what is known to lie there stays."""

    prefix: str
    """All keys that begin with this are concerned."""
    reason: str


class PlaylistTarget(Protocol):
    """A media server that keeps playlists."""

    def names(self) -> list[str]:
        """List the playlists that the user can see."""
        ...

    def keys(self, name: str) -> list[str]:
        """Return the keys of the tracks of a playlist, in their order.

        Raises:
            UsageError: there is none of this name.
            UnisonoError: the server refuses, or is away.
        """
        ...

    def write(self, name: str, keys: Sequence[str], known_id: str = "", comment: str = "") -> str:
        """Make a playlist of tracks, or replace in place the one that is known by an id; return its id.

        Raises:
            UsageError: the name is that of a playlist that a person made.
            UnisonoError: the server refuses, or is away.
        """
        ...


class MusicSource:
    """A folder or a media server whose music a library follows; what a subclass leaves out is as for a local one."""

    kind: str
    """Name of its module."""
    address: str
    """As it is stored, absolute: two addresses of one source are the same text."""
    is_local: bool = True
    """Its files are on this machine: their content identifies them, be they moved or retagged. Tracks of other sources are
    identified by their keys, and by `match`."""
    playlists: PlaylistTarget | None = None
    """Where it keeps playlists, if it does."""

    def list(self) -> Iterator[SourceTrack]:
        """Yield all tracks, each key once, in an order that is the same whenever the music is.

        Raises:
            SourceAwayError: the source cannot be listed; whatever was yielded before does not count.
        """
        raise NotImplementedError

    def unlisted(self) -> Sequence[Unlisted]:
        """Return what the last `list` could not look at."""
        return ()

    def open(self, track: SourceTrack) -> AbstractContextManager[Path]:
        """Return a context manager of the path of a track's file, which may be removed at its end.

        Raises:
            UnusableError: this track cannot be had (`audio.faults`).
            SourceAwayError: no track can.
        """
        raise NotImplementedError

    def match(self, gone: Sequence[SourceTrack], new: Sequence[SourceTrack]) -> dict[str, str]:
        """Tell which new tracks are known ones under new keys: new key -> gone key. Files are told by their content."""
        return {}

    def cover(self, key: str) -> bytes:
        """Return a small picture of a track that lies on a server; empty if it has none.

        Raises:
            UnisonoError: the server refuses, or is away.
        """
        return b""

    def log_in(self, ask: Callable[[str], str] | None = None) -> None:
        """Log in with what is kept or in the environment, or else with what `ask` returns; local sources do nothing.

        Raises:
            UnisonoError: the server refuses, or there is nothing to log in with.
            SourceAwayError: the server is away.
        """

    def map_paths(self, pairs: Sequence[str]) -> None:
        """Keep where a server's folders are on this machine, as `FROM=TO`.

        Raises:
            UsageError: a pair is not of this form, or the source is local.
        """
        raise UsageError("--path-map is for media servers; the paths of a folder are those of this machine.")


registry = Registry(__name__, "kind of music source", "; or name a folder")


def build(address: str, folder: Path) -> MusicSource:
    """Return the source at an address (a path, or `<kind>:<where>`); nothing is read yet.

    What it needs to log in may be kept in `folder`, that of the libraries.

    Raises:
        UsageError: there is no such kind of source, or the address is not of its form.
    """
    kind, colon, where = address.partition(":")
    if not colon or not kind.isalnum() or Path(address).exists():
        kind, where = FOLDER, address
    source: MusicSource = registry.module(kind).build(where, folder)
    return source
