"""Playlists of a library: files, playlists on its media servers, and searches that are saved and refreshed.

A target is a file, `found.m3u8`, or `KIND:NAME`, such as `subsonic:Quiet evening`. Where the library follows several servers
of a kind, `subsonic:https://me@music.example.org#Quiet evening` names one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import structs

from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.log import log
from unisono.base.path_map import PathMap
from unisono.library import sources
from unisono.library.catalogue import Catalogue, CatalogueTrack, SourceRow, now
from unisono.library.gathered import artist_id, track_id
from unisono.library.library import Library
from unisono.library.sources import MusicSource
from unisono.retrieval.collection import IndexedTrack
from unisono.retrieval.models import JointModel
from unisono.search.playlist import check_ending, write_playlist
from unisono.search.query import Query, weighted
from unisono.search.run import search
from unisono.search.service.audiomuse import ServerIds
from unisono.search.service.music import SavedPlaylist


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A search whose playlist is refreshed."""

    name: str
    query: Query
    target: str
    path_map: list[str] = []
    relative_to: str = ""
    refreshed: str = ""
    """When its playlist was last written."""


@dataclass(frozen=True)
class Refreshed:
    """What became of a saved search."""

    search: SavedSearch
    playlist: SavedPlaylist | None
    problem: str = ""
    """Why the playlist stayed as it was."""


def is_server(target: str) -> bool:
    """Whether a target is a playlist on a media server, and not a file."""
    kind = target.partition(":")[0]
    return ":" in target and kind != sources.FOLDER and kind in sources.registry.names()


def write(
    libraries: Sequence[Library],
    target: str,
    tracks: Sequence[IndexedTrack],
    *,
    comment: str = "",
    path_map: Sequence[str] = (),
    relative_to: Path | None = None,
) -> SavedPlaylist:
    """Write tracks as a playlist: make it, or replace it in place; if there are none, it stays as it is.

    Args:
        libraries: whose media servers may be meant; a file needs none.
        target: a file, or a playlist on a media server.
        tracks: in their order.
        comment: on a server, what the playlist is said to be.
        path_map: of a file, `FROM=TO`: see `PathMap`.
        relative_to: of a file, the folder that its paths are relative to.

    Raises:
        UsageError: there is no such server, or the playlist there is a person's own.
        UnisonoError: it cannot be written.
    """
    if not is_server(target):
        path = Path(target)
        written = write_playlist(path, tracks, path_map=PathMap(path_map), relative_to=relative_to)
        return SavedPlaylist(path.stem, target, written.files, len(written.left_out))
    library, row, source, name = _server(libraries, target)
    there = _keys(libraries, library.catalogue, row, source, tracks)
    keys = list(dict.fromkeys(there))
    if keys:
        assert source.playlists is not None
        source.log_in()
        setting = f"playlist {row.number} {name}"
        id = source.playlists.write(name, keys, library.catalogue.setting(setting), comment)
        library.catalogue.put_setting(setting, id)
    return SavedPlaylist(name, target, len(keys), len(tracks) - len(there))


def read(libraries: Sequence[Library], like: Iterable[str]) -> dict[str, list[str]]:
    """Return the playlists on media servers that texts of `Query.like` name: text -> ids of their tracks in search.

    What a server has and its library has not is the server's own id, which is that of no track.

    Raises:
        UsageError: there is no such server or playlist.
        UnisonoError: the server refuses, or is away.
    """
    found: dict[str, list[str]] = {}
    for named in {weighted(each)[0] for each in like}:
        if is_server(named):
            library, row, source, name = _server(libraries, named)
            assert source.playlists is not None
            numbers = {track.key: track.number for track in library.catalogue.tracks("source = ?", [row.number])}
            keys = source.playlists.keys(name)
            found[named] = [track_id(library.name, numbers[key]) if key in numbers else key for key in keys]
    return found


def on_servers(libraries: Sequence[Library]) -> list[str]:
    """List the playlists on the media servers of libraries, as targets; servers that are away are left out."""
    found: list[str] = []
    for library in libraries:
        for row in library.catalogue.sources():
            if is_server(row.address):
                listed = sources.build(row.address, library.root).playlists
                try:
                    found += [f"{row.address}#{name}" for name in (listed.names() if listed else ())]
                except UnisonoError as error:
                    log.warning("%s", error.message)
    return found


def targets(libraries: Sequence[Library]) -> list[str]:
    """List the media servers of libraries, on which playlists can be kept; `#NAME` behind one makes a target."""
    return [row.address for library in libraries for row in library.catalogue.sources() if is_server(row.address)]


def check_target(libraries: Sequence[Library], target: str) -> None:
    """Check that a playlist can be written there, before a long search.

    Raises:
        UsageError: it is no file of a playlist, and no server of the libraries.
    """
    if is_server(target):
        _server(libraries, target)
    else:
        check_ending(Path(target))


def server_ids(library: Library) -> ServerIds:
    """Return what the media servers of a library call its tracks and artists."""
    of_track: dict[str, str] = {}
    of_artist: dict[str, str] = {}
    tracks = library.catalogue.tracks()
    for row in library.catalogue.sources():
        if is_server(row.address):
            source = sources.build(row.address, library.root)
            keys = keys_at(library.catalogue, row, source, tracks)
            of_track |= {track_id(library.name, number): key for number, key in keys.items()}
            for track in tracks:
                if track.source == row.number and track.facts.artist_id:
                    of_artist[artist_id(track.facts.artist)] = track.facts.artist_id
    return ServerIds(of_track, of_artist)


def keys_at(
    catalogue: Catalogue, row: SourceRow, source: MusicSource, tracks: Iterable[CatalogueTrack]
) -> dict[int, str]:
    """Return number -> key at a media server: of its own tracks, and of those that are the same music.

    These have the same content, or what is known of them says so: the MusicBrainz id, or title, artist, album and size.
    """
    found: dict[int, str] = {}
    others: list[CatalogueTrack] = []
    for track in tracks:
        if track.source == row.number:
            found[track.number] = track.key
        else:
            others.append(track)
    if others:
        there = catalogue.tracks("source = ? AND removed IS NULL", [row.number])
        of_content = {track.content: track.key for track in there if track.content}
        known = [track for track in others if track.content not in of_content]
        found |= {track.number: of_content[track.content] for track in others if track.content in of_content}
        asked = [structs.replace(track.as_listed, key=str(track.number)) for track in known]
        matched = source.match(asked, [track.as_listed for track in there])
        found |= {int(number): key for key, number in matched.items()}
    return found


def _server(libraries: Sequence[Library], target: str) -> tuple[Library, SourceRow, MusicSource, str]:
    """Return the server that a target means, and the name of the playlist there."""
    kind, _, name = target.partition(":")
    address = ""
    if name.startswith(("http://", "https://")):
        address, _, name = target.partition("#")
    if not name.strip():
        raise UsageError(f"{target!r} names no playlist.", hint=f"Name it like {kind}:'Quiet evening'")
    found = [
        (library, row)
        for library in libraries
        for row in library.catalogue.sources()
        if row.address == address or (not address and row.address.partition(":")[0] == kind)
    ]
    if len(found) > 1:
        raise UsageError(
            f"There are several servers: {', '.join(row.address for _, row in found)}.",
            hint=f"Name one: '{found[0][1].address}#{name}'",
        )
    if not found:
        raise UsageError(
            f"No library follows {address or f'a {kind} server'}.",
            hint=f"Add it first: unisono library add {address or f'{kind}:https://me@music.example.org'}",
        )
    library, row = found[0]
    return library, row, sources.build(row.address, library.root), name


def _keys(
    libraries: Sequence[Library],
    catalogue: Catalogue,
    row: SourceRow,
    source: MusicSource,
    tracks: Sequence[IndexedTrack],
) -> list[str]:
    """Return the keys at a server of those tracks that it has, in their order."""
    keys: dict[str, str] = {}
    for library in libraries:
        numbers = [track.number for track in tracks if track.library == library.name]
        known = list(library.catalogue.numbered(numbers).values())
        if library.catalogue is not catalogue:  # numbers and sources of another catalogue mean other things
            known = [track._replace(source=-1) for track in known]
        keys |= {track_id(library.name, number): key for number, key in keys_at(catalogue, row, source, known).items()}
    return [keys[track.id] for track in tracks if track.id in keys]


# Saved searches


def save(library: Library, saved: SavedSearch) -> None:
    """Keep a search, in place of one of the same name.

    Raises:
        UsageError: its playlist can be written nowhere.
    """
    check_target([library], saved.target)
    library.catalogue.put_search(saved.name, msgspec.json.encode(saved).decode())


def saved_searches(library: Library, names: Sequence[str] = ()) -> list[SavedSearch]:
    """Return the saved searches, or those that are named.

    Raises:
        UsageError: there is none of a name.
        DataError: one cannot be read.
    """
    found = library.catalogue.searches()
    for name in names:
        if name not in found:
            raise UsageError(
                f"There is no saved search {name!r} in the library {library.name}.",
                hint=f"There are: {', '.join(found)}."
                if found
                else "Save one: unisono playlist add NAME 'calm guitar'",
            )
    try:
        return [msgspec.json.decode(found[name], type=SavedSearch) for name in names or found]
    except msgspec.MsgspecError as error:
        raise DataError(f"A saved search of the library {library.name} cannot be read: {error}.") from error


def remove(library: Library, name: str) -> None:
    """Forget a saved search; its playlist stays where it is.

    Raises:
        UsageError: there is none of this name.
    """
    saved_searches(library, [name])
    library.catalogue.put_search(name, "")


def refresh(library: Library, names: Sequence[str] = (), model: JointModel | None = None) -> list[Refreshed]:
    """Search again, and write the playlists of all saved searches, or of some names; `model` is that of the library.

    A playlist whose search finds nothing, or that cannot be written, stays.

    Raises:
        UsageError: there is none of a name.
    """
    saved = saved_searches(library, names)
    if not saved:
        return []
    model = model or library.load_model()
    collection = library.collection(model)
    done: list[Refreshed] = []
    for each in saved:
        try:
            hits = search(model, each.query, collection, read([library], each.query.like))
            playlist = write(
                [library],
                each.target,
                [hit.track for hit in hits],
                comment=each.query.with_conditions(),
                path_map=each.path_map,
                relative_to=Path(each.relative_to) if each.relative_to else None,
            )
        except UnisonoError as error:
            done.append(Refreshed(each, None, error.message))
            continue
        if not playlist.tracks:
            done.append(Refreshed(each, None, "nothing was found that it could hold"))
            continue
        each = structs.replace(each, refreshed=now())
        library.catalogue.put_search(each.name, msgspec.json.encode(each).decode())
        done.append(Refreshed(each, playlist))
    return done
