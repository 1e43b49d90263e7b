"""Servers that speak Subsonic or OpenSubsonic: Navidrome, gonic, LMS, Ampache, Funkwhale, supysonic and others.

Whatever came after Subsonic 1.8 is optional, and every extension is: a server that lacks one is asked in the older way.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log
from unisono.library.sources import SourceAwayError, SourceTrack, TrackFacts
from unisono.library.sources._cells import limited, name, number, objects, recording, text, texts, whole
from unisono.library.sources._connection import Connection, Parameters, RefusedError
from unisono.library.sources._logins import Ask, Secret
from unisono.library.sources._originals import Originals
from unisono.library.sources._server import COVER_SIZE, MARK, MediaServer, id_of, name_is_taken
from unisono.tracks.track import batched

VERSION, CLIENT = "1.16.1", "unisono"
"""`c` must stay as it is: Navidrome keeps settings, such as real paths, by user and client."""
PAGE = 500
"""The most that the protocol allows."""
IDS_A_REQUEST = 50
"""In an address; longer ones are refused by servers and proxies."""
MOST_PASSES = 4
NOT_LOGGED_IN = {40, 44}
TRY_PASSWORD = {10, 41, 42}
"""Answers to a token. supysonic, which knows none, misses a parameter (10)."""
NOT_ALLOWED, NOT_THERE = 50, 70
WAYS: dict[str, Parameters] = {"rest/download": (), "rest/stream": [("format", "raw")]}
"""To the original file; a bare `stream` may be transcoded."""


class SubsonicClient:
    """The methods of the API that a library needs."""

    def __init__(self, connection: Connection, user: str) -> None:
        self.connection = connection
        self.user = user
        self.secret: Secret | None = None
        self._takes_forms = False
        self._folder: list[tuple[str, str]] = []
        self._originals = Originals(connection, WAYS, self._meaning)

    def log_in(self, secret: Secret) -> Secret:
        """Log in, and return what the server accepted: a salted token in place of the password, if it takes tokens.

        Raises:
            RefusedError: it accepts nothing, or the password would have to be sent where others can read it.
            SourceAwayError: it does not answer.
        """
        if secret.kind == "password":
            salt = secrets.token_hex(8)
            token = hashlib.md5((secret.value + salt).encode(), usedforsecurity=False).hexdigest()
            attempts = [Secret(kind="token", value=token, salt=salt), secret]
        else:
            attempts = [secret]
        for attempt in attempts:
            if attempt.kind == "password" and not self.connection.is_private:
                raise RefusedError(
                    f"{self.connection.address} takes no tokens, and passwords go over https or within this machine only.",
                    code=41,
                    hint="Use its https address, or an API key.",
                )
            self.secret = attempt
            try:
                self.call("ping")
            except RefusedError as error:
                if attempt.kind == "token" and attempt is not attempts[-1] and error.code in TRY_PASSWORD:
                    continue
                raise
            break
        self._takes_forms = any(found.get("name") == "formPost" for found in self._extensions())
        assert self.secret is not None
        return self.secret

    def call(self, method: str, *parameters: tuple[str, str], once: bool = False) -> dict[str, Any]:
        """Return the content of an answer.

        Raises:
            RefusedError: the server says that the request failed; `code` is its number, or the HTTP status.
            SourceAwayError: there is no answer, or none that such a server sends.
        """
        if self._takes_forms:
            status, body = self.connection.answer(
                f"rest/{method}", method="POST", form=[*self._login(), *parameters], once=once
            )
        else:
            status, body = self.connection.answer(f"rest/{method}", [*self._login(), *parameters], once=once)
        answer = _content(body)
        if answer is None or (status != 200 and answer.get("status") == "ok"):
            if status in (401, 403, 404, 405, 410, 414, 431, 501):
                raise RefusedError(f"{self.connection.address} answers {method} with HTTP {status}.", code=status)
            raise SourceAwayError(
                f"{self.connection.address} answers {method} with something else than Subsonic does (HTTP {status}).",
                hint="Is this the address of the music server itself, without /rest?",
            )
        if answer.get("status") != "ok":
            raise self._failed(method, answer)
        return answer

    def songs(self) -> list[dict[str, Any]]:
        """Return all songs, each id once.

        No order is promised, so pages may overlap and leave gaps: all pages are read again until nothing new comes.
        """
        found: dict[str, dict[str, Any]] = {}
        for _ in range(MOST_PASSES):
            before, listed = len(found), 0
            for song in self._pass():
                listed += 1
                found[text(song.get("id"))] = song
            if listed == len(found) or before == len(found):
                break
            log.debug("%s lists some songs twice; they are read again.", self.connection.address)
        found.pop("", None)
        return list(found.values())

    def audio(self, track: SourceTrack) -> AbstractContextManager[Path]:
        """Return a context manager of a temporary file with the original audio."""
        return self._originals.fetched(track, [*self._login(), ("id", track.key)])

    def picture(self, id: str) -> bytes:
        """Return the picture of a track; empty if there is none.

        It has the track's id, or one that the server tells, such as that of the album's folder.
        """
        if found := self._cover_art(id):
            return found
        song = self.call("getSong", ("id", id)).get("song")
        other = text(song.get("coverArt")) if isinstance(song, dict) else ""
        return self._cover_art(other) if other not in ("", id) else b""

    def _cover_art(self, id: str) -> bytes:
        parameters = [*self._login(), ("id", id), ("size", str(COVER_SIZE))]
        status, content = self.connection.answer("rest/getCoverArt", parameters)
        return content if status == 200 and _content(content) is None else b""

    def choose_folder(self, name: str) -> None:
        """List the songs of one of the server's music folders only.

        Raises:
            RefusedError: there is none of this name, or the server lists all songs whatever folder is asked for.
        """
        if self._folder:
            return
        listed = objects(self.call("getMusicFolders").get("musicFolders"), "musicFolder")
        folders = {text(folder.get("name")): text(folder.get("id")) for folder in listed}
        if name not in folders:
            raise RefusedError(
                f"{self.connection.address} has no music folder {name!r}.",
                code=NOT_THERE,
                hint=f"There are: {', '.join(folders)}.",
            )
        firsts = {each: self._first_of(("musicFolderId", id)) for each, id in folders.items()}
        first = firsts.pop(name)
        if first and first in firsts.values():
            raise RefusedError(f"{self.connection.address} does not tell its music folders apart.", code=NOT_ALLOWED)
        self._folder = [("musicFolderId", folders[name])]

    def _first_of(self, folder: tuple[str, str]) -> str:
        """Return the id of a song or album of a folder; empty if it has none."""
        for method, field, item, *parameters in (
            ("search3", "searchResult3", "song", ("query", ""), ("songCount", "1"), ("songOffset", "0")),
            ("getAlbumList2", "albumList2", "album", ("type", "alphabeticalByName"), ("size", "1"), ("offset", "0")),
        ):  # fmt: skip
            for found in objects(self.call(method, *parameters, folder).get(field), item):
                return text(found.get("id"))
        return ""

    def playlists(self) -> list[dict[str, Any]]:
        """Return the playlists, without their songs."""
        return objects(self.call("getPlaylists").get("playlists"), "playlist")

    def playlist(self, id: str) -> dict[str, Any]:
        """Return a playlist with its songs."""
        found = self.call("getPlaylist", ("id", id)).get("playlist")
        return found if isinstance(found, dict) else {}

    def create_playlist(self, name: str, ids: Sequence[str]) -> str:
        """Make a playlist, and return its id."""
        known = {text(found.get("id")) for found in self.playlists()}
        first, *others = self._batches(ids)
        songs = [("songId", id) for id in first]
        made = self.call("createPlaylist", ("name", name), *songs, once=True).get("playlist")
        id = text(made.get("id")) if isinstance(made, dict) else ""
        if not id:  # before 1.14 the answer is empty
            new = [
                found for found in self.playlists() if text(found.get("id")) not in known and found.get("name") == name
            ]
            if len(new) != 1:
                raise SourceAwayError(
                    f"{self.connection.address} did not make the playlist {name!r}, without saying why."
                )
            id = text(new[0].get("id"))
        self._append(id, others)
        return id

    def replace_playlist(self, id: str, ids: Sequence[str]) -> None:
        """Replace all songs of a playlist."""
        first, *others = self._batches(ids)
        self.call("createPlaylist", ("playlistId", id), *(("songId", song) for song in first))
        self._append(id, others)

    def comment_playlist(self, id: str, comment: str) -> None:
        """Replace the comment of a playlist."""
        self.call("updatePlaylist", ("playlistId", id), ("comment", comment))

    def _append(self, id: str, batches: Sequence[Sequence[str]]) -> None:
        for ids in batches:
            self.call("updatePlaylist", ("playlistId", id), *(("songIdToAdd", song) for song in ids))

    def _batches(self, ids: Sequence[str]) -> list[Sequence[str]]:
        return [ids] if self._takes_forms else list(batched(ids, IDS_A_REQUEST)) or [()]

    def _login(self) -> list[tuple[str, str]]:
        common = [("v", VERSION), ("c", CLIENT), ("f", "json")]
        match self.secret:
            case None:
                return common
            case Secret(kind="key", value=key):
                return [("apiKey", key), *common]  # a user in addition is refused (43)
            case Secret(kind="token", value=token, salt=salt):
                return [("u", self.user), ("t", token), ("s", salt), *common]
            case Secret(value=password):
                return [("u", self.user), ("p", "enc:" + password.encode().hex()), *common]

    def _extensions(self) -> list[dict[str, Any]]:
        try:
            return objects(self.call("getOpenSubsonicExtensions"), "openSubsonicExtensions")
        except UnisonoError:  # servers without them answer with all kinds of errors
            return []

    def _pass(self) -> Iterator[dict[str, Any]]:
        """Yield all songs once, or some twice: by an empty search, or else album by album."""
        searched = False
        for song in self._search():
            searched = True
            yield song
        if not searched:
            for album in self._paged(
                "getAlbumList2", "albumList2", "album", "offset", "size", ("type", "alphabeticalByName")
            ):
                try:
                    yield from objects(self.call("getAlbum", ("id", text(album.get("id")))).get("album"), "song")
                except RefusedError as error:
                    if error.code not in (NOT_THERE, 404, 410):  # gone since it was listed
                        raise

    def _search(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self._paged(
                "search3", "searchResult3", "song", "songOffset", "songCount",
                ("query", ""), ("artistCount", "0"), ("albumCount", "0"),
            )  # fmt: skip
        except RefusedError as error:
            if error.code in NOT_LOGGED_IN | {NOT_ALLOWED, 401, 403}:
                raise
            log.debug("%s cannot list by search: %s", self.connection.address, error.message)

    def _paged(
        self, method: str, field: str, item: str, offset: str, count: str, *parameters: tuple[str, str]
    ) -> Iterator[dict[str, Any]]:
        at, seen = 0, set[str]()
        while True:
            answer = self.call(method, *parameters, *self._folder, (count, str(PAGE)), (offset, str(at)))
            page = objects(answer.get(field), item)
            ids = {text(found.get("id")) for found in page}
            if ids <= seen:  # none, or a server that does not know pages
                return
            seen |= ids
            yield from page
            at += len(page)

    def _failed(self, method: str, answer: dict[str, Any]) -> RefusedError:
        error = answer.get("error")
        code = whole(error.get("code")) if isinstance(error, dict) else 0
        said = text(error.get("message")) if isinstance(error, dict) else ""
        help_url = text(error.get("helpUrl")) if isinstance(error, dict) else ""
        hint = f"The server says more at {help_url}" if help_url.startswith("https://") else ""
        if code == 42 and not hint:
            hint = "Use an API key: leave the user out of the address."
        return RefusedError(
            f"{self.connection.address} refuses {method}: {limited(said).rstrip('.') or 'no reason'} ({code}).",
            code=code,
            hint=hint,
        )

    def _meaning(self, answered: RefusedError) -> RefusedError:
        """Return what an answer in place of the audio means."""
        answer = _content(answered.message.encode())
        return self._failed("the audio", answer) if answer else answered


class SubsonicPlaylists:
    """The playlists of one user at the server."""

    def __init__(self, source: "SubsonicSource") -> None:
        self._source = source

    def write(self, name: str, keys: Sequence[str], known_id: str = "", comment: str = "") -> str:
        """Make a playlist of tracks, or replace in place the one that is known by an id; return its id."""
        client = self._source.client
        mark = f"{comment} {MARK}".strip()
        playlist = self._known(known_id) or self._of_name(name)
        if not playlist:
            id = client.create_playlist(name, keys)
            client.comment_playlist(id, mark)
            return id
        id = text(playlist.get("id"))
        if playlist.get("readonly") is True:
            raise RefusedError(f"The playlist {name!r} is read-only at {client.connection.address}.", code=NOT_ALLOWED)
        if [text(song.get("id")) for song in objects(playlist, "entry")] != list(keys):
            client.replace_playlist(id, keys)
        if text(playlist.get("comment")) != mark:
            client.comment_playlist(id, mark)
        return id

    def names(self) -> list[str]:
        """List the playlists that the user can see."""
        self._source.log_in()
        return [name for name, _ in self._listed()]

    def keys(self, name: str) -> list[str]:
        """Return the ids of the songs of a playlist, in their order."""
        self._source.log_in()
        client = self._source.client
        found = client.playlist(id_of(name, self._listed(), client.connection.address))
        return [text(song.get("id")) for song in objects(found, "entry")]

    def _listed(self) -> list[tuple[str, str]]:
        return [(text(each.get("name")), text(each.get("id"))) for each in self._source.client.playlists()]

    def _known(self, id: str) -> dict[str, Any]:
        """Return the playlist of an id; empty if there is none any more."""
        if not id:
            return {}
        try:
            return self._source.client.playlist(id)
        except RefusedError as error:
            if error.code in (NOT_THERE, 404, 410, 0, 10):  # 0: an id that this server never gave out
                return {}
            raise

    def _of_name(self, name: str) -> dict[str, Any]:
        """Return the playlist of a name that unisono made; one that a person made is not touched."""
        named = [found for found in self._source.client.playlists() if found.get("name") == name]
        for found in named:
            if MARK in text(found.get("comment")):
                return self._source.client.playlist(text(found.get("id")))
        if named:
            raise name_is_taken(name, self._source.client.connection.address)
        return {}


class SubsonicSource(MediaServer):
    """The music of one user at a server, or that of one of its music folders: `https://user@host?folder=Audiobooks`."""

    kind = "subsonic"

    def __init__(self, where: str, folder: Path) -> None:
        where, _, query = where.partition("?")
        super().__init__(where, folder)
        name, _, named = query.partition("=")
        self.music_folder = unquote(named)
        if query and (name != "folder" or not self.music_folder):
            raise UsageError(
                "After ? an address names a music folder: subsonic:https://me@music.example.org?folder=Music"
            )
        self.address += query and f"?folder={self.music_folder}"
        self.client = SubsonicClient(self.connection, self.user)
        self.playlists = SubsonicPlaylists(self)

    def log_in(self, ask: Ask | None = None) -> None:
        """Log in, and find the music folder, if one is chosen."""
        super().log_in(ask)
        if self.music_folder:
            self.client.choose_folder(self.music_folder)

    def _log_in(self, secret: Secret) -> Secret:
        return self.client.log_in(secret)

    def _cover(self, key: str) -> bytes:
        return self.client.picture(key)

    def _listed(self) -> Iterator[SourceTrack]:
        for song in self.client.songs():
            if not (song.get("isDir") or song.get("isVideo") or song.get("type") in ("podcast", "video")):
                yield _track(song)

    def _fetched(self, track: SourceTrack) -> Any:
        return self.client.audio(track)


def build(where: str, folder: Path) -> SubsonicSource:
    """Return the source at `https://user@host`; nothing is read yet."""
    return SubsonicSource(where, folder)


def _content(body: bytes) -> dict[str, Any] | None:
    """Return what an answer holds; of one in XML, whether it failed and why."""
    try:
        answer = msgspec.json.decode(body)
        found = answer.get("subsonic-response") if isinstance(answer, dict) else None
        return found if isinstance(found, dict) else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if b"<subsonic-response" not in body[:1000]:
        return None
    words = body[:10_000].decode("utf-8", "replace")
    error = re.search(r"<error\s[^>]*>", words)
    attributes = dict(re.findall(r"(\w+)=[\"']([^\"']*)[\"']", error[0])) if error else {}
    failed = {"code": attributes.get("code"), "message": unescape(attributes.get("message", ""))}
    return {"status": "failed", "error": failed} if error else None


def _track(song: dict[str, Any]) -> SourceTrack:
    genres = texts(song, "genres") or [genre for genre in (name(song.get("genre")),) if genre]
    return SourceTrack(
        key=text(song.get("id")),
        path=text(song.get("path")),
        size=whole(song.get("size")),
        duration_s=number(song.get("duration")) or 0.0,
        facts=TrackFacts(
            title=text(song.get("title")),
            artist=name(song.get("displayArtist")) or name(song.get("artist")),
            artist_id=text(song.get("artistId")),
            album=name(song.get("album")),
            album_artist=name(song.get("displayAlbumArtist")) or ", ".join(texts(song, "albumArtists")),
            genre=genres[0] if genres else "",
            tags=[*genres[1:], *texts(song, "moods")],
            year=whole(song.get("year")) or None,
            bpm=number(song.get("bpm")),
            rating=number(song.get("userRating")),
            recording=recording(text(song.get("musicBrainzId")), texts(song, "isrc")),
        ),
    )
