"""Jellyfin servers, and those that speak its API. Tried against a stub of the documented API only: no real one was at hand.

With a user in the address, a password is asked for, and the session that it opens is kept; without one, an API key, which
can list and fetch everything, and keeps playlists for the first administrator.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import structs

from unisono import __version__
from unisono.library.sources import SourceAwayError, SourceTrack, TrackFacts
from unisono.library.sources._cells import limited, name, number, objects, recording, text, texts, whole
from unisono.library.sources._connection import Connection, Parameters, RefusedError
from unisono.library.sources._logins import Secret
from unisono.library.sources._originals import Originals
from unisono.library.sources._server import COVER_SIZE, MediaServer, id_of, name_is_taken
from unisono.tracks.track import batched

PAGE = 500
TICKS_A_SECOND = 10_000_000
FIELDS = "Path,Genres,MediaSources,ProviderIds"
IDS_A_REQUEST = 50
MOST_PASSES = 4
FORBIDDEN = {401, 403}
WAYS: dict[str, Parameters] = {"Items/{id}/Download": (), "Items/{id}/File": ()}
"""To the original file; the first needs the right to download."""


class JellyfinClient:
    """The routes of the API that a library needs."""

    def __init__(self, connection: Connection, user: str) -> None:
        self.connection = connection
        self.user = user
        self.secret: Secret | None = None
        self._originals = Originals(connection, WAYS, lambda answered: answered)

    def log_in(self, secret: Secret) -> Secret:
        """Log in, and return what the server accepted: for a password, the token of a session that it can revoke.

        Raises:
            RefusedError: it accepts nothing, or the password would have to be sent where others can read it.
            SourceAwayError: it does not answer.
        """
        if secret.kind == "password":
            if not self.connection.is_private:
                raise RefusedError(
                    f"A password for {self.connection.address} is sent over https or within this machine only.",
                    code=41,
                    hint="Use its https address, or an API key (Dashboard, API keys), without the user in the address.",
                )
            self.secret = None
            opened = self.call("POST", "Users/AuthenticateByName", json={"Username": self.user, "Pw": secret.value})
            user = opened.get("User")
            id = text(user.get("Id")) if isinstance(user, dict) else ""
            self.secret = Secret(kind="token", value=text(opened.get("AccessToken")), user_id=id)
            return self.secret
        self.secret = secret
        if not secret.user_id:
            self.secret = structs.replace(secret, user_id=self._user_id())
        self.call("GET", "Items", ("userId", self.secret.user_id), ("IncludeItemTypes", "Audio"), ("Limit", "1"))
        return self.secret

    def call(self, method: str, path: str, *parameters: tuple[str, str], json: Any = None, once: bool = False) -> Any:
        """Return the content of an answer; an empty one as an empty object.

        Raises:
            RefusedError: the server refuses; `code` is the HTTP status.
            SourceAwayError: there is no answer, or none that such a server sends.
        """
        status, body = self.connection.answer(
            path, parameters, method=method, json=json, headers=self._headers(), once=once
        )
        if 400 <= status < 600:
            said = limited(body.decode("utf-8", "replace"))
            hint = "Check the password or the key." if status in FORBIDDEN else ""
            raise RefusedError(
                f"{self.connection.address} answers {path} with HTTP {status}{f': {said}' if said else ''}.",
                code=status,
                hint=hint,
            )
        try:
            return msgspec.json.decode(body) if body.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SourceAwayError(
                f"{self.connection.address} answers {path} with something else than Jellyfin does.",
                hint="Is this the address of the server itself, without /web?",
            ) from None

    def items(self, *parameters: tuple[str, str]) -> list[dict[str, Any]]:
        """Return all items of a query, each id once; pages may shift while they are read."""
        found: dict[str, dict[str, Any]] = {}
        for _ in range(MOST_PASSES):
            before, at, total = len(found), 0, None
            while total is None or at < total:
                query = [("userId", self.user_id), ("Recursive", "true"), *parameters]
                page = self.call("GET", "Items", *query, ("StartIndex", str(at)), ("Limit", str(PAGE)))
                items = [item for item in page.get("Items") or [] if isinstance(item, dict)]
                found |= {text(item.get("Id")): item for item in items}
                at, total = at + len(items), whole(page.get("TotalRecordCount")) if items else 0
            if at == len(found) or before == len(found):
                break
        found.pop("", None)
        return list(found.values())

    def audio(self, track: SourceTrack) -> AbstractContextManager[Path]:
        """Return a context manager of a temporary file with the original audio."""
        return self._originals.fetched(track, headers=self._headers())

    def picture(self, id: str) -> bytes:
        """Return the picture of a track, or of its album; empty if there is none."""
        size = ("maxWidth", str(COVER_SIZE)), ("maxHeight", str(COVER_SIZE)), ("quality", "85")
        path = f"Items/{quote(id, safe='')}/Images/Primary"
        status, content = self.connection.answer(path, size, headers=self._headers())
        return content if status == 200 else b""

    @property
    def user_id(self) -> str:
        """Id of the user whose music and playlists these are."""
        return self.secret.user_id if self.secret else ""

    @property
    def has_session(self) -> bool:
        """Whether a user is logged in, and not a key alone."""
        return self.secret is not None and self.secret.kind == "token"

    def _user_id(self) -> str:
        users = [user for user in self.call("GET", "Users") if isinstance(user, dict)]
        for user in users:
            policy = user.get("Policy")
            is_administrator = isinstance(policy, dict) and policy.get("IsAdministrator") is True
            if text(user.get("Name")).casefold() == self.user.casefold() or (not self.user and is_administrator):
                return text(user.get("Id"))
        raise RefusedError(f"There is no user {self.user or 'who administers'} at {self.connection.address}.", code=404)

    def _headers(self) -> dict[str, str]:
        device = sha256(f"{self.user}@{self.connection.address}".encode()).hexdigest()[
            :16
        ]  # a session a device: the last one counts
        parts = {"Client": "unisono", "Device": "unisono", "DeviceId": device, "Version": __version__}
        if self.secret is not None:
            parts["Token"] = self.secret.value
        return {"Authorization": "MediaBrowser " + ", ".join(f'{name}="{value}"' for name, value in parts.items())}


class JellyfinPlaylists:
    """The playlists of one user at the server.

    Jellyfin lets administrators alone write a playlist's description. So there is no mark in it, and only a playlist whose
    id is known is replaced.
    """

    def __init__(self, source: "JellyfinSource") -> None:
        self._source = source
        self._client = source.client

    def write(self, name: str, keys: Sequence[str], known_id: str = "", comment: str = "") -> str:
        """Make a playlist of tracks, or replace in place the one that is known by an id; return its id."""
        client = self._client
        entries = self._entries(known_id)
        if entries is None:
            self._check_name(name)
            made = {"Name": name, "Ids": [], "UserId": client.user_id, "MediaType": "Audio"}
            known_id = text(client.call("POST", "Playlists", json=made, once=True).get("Id"))
            self._add(known_id, keys)
        elif [text(entry.get("Id")) for entry in entries] != list(keys):
            self._replace(known_id, entries, keys)
        return known_id

    def names(self) -> list[str]:
        """List the playlists that the user can see."""
        self._source.log_in()
        return [name for name, _ in self._listed()]

    def keys(self, name: str) -> list[str]:
        """Return the ids of the tracks of a playlist, in their order."""
        self._source.log_in()
        entries = self._entries(id_of(name, self._listed(), self._client.connection.address))
        return [text(entry.get("Id")) for entry in entries or ()]

    def _listed(self) -> list[tuple[str, str]]:
        found = self._client.items(("IncludeItemTypes", "Playlist"))
        return [(text(item.get("Name")), text(item.get("Id"))) for item in found]

    def _entries(self, id: str) -> list[dict[str, Any]] | None:
        """Return what a playlist holds; None if there is none of this id any more."""
        if not id:
            return None
        try:
            page = self._client.call("GET", f"Playlists/{quote(id, safe='')}/Items", ("userId", self._client.user_id))
        except RefusedError as error:
            if error.code in (400, 404, 410):
                return None
            raise
        return objects(page, "Items")

    def _check_name(self, name: str) -> None:
        if name in (listed for listed, _ in self._listed()):
            raise name_is_taken(name, self._client.connection.address)

    def _replace(self, id: str, entries: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
        if self._client.has_session:
            try:
                self._client.call("POST", f"Playlists/{quote(id, safe='')}", json={"Ids": list(keys)})
                return
            except RefusedError as error:
                if error.code not in (404, 405):  # before 10.9 there is no such route
                    raise
        for batch in batched((text(entry.get("PlaylistItemId")) for entry in entries), IDS_A_REQUEST):
            self._client.call("DELETE", f"Playlists/{quote(id, safe='')}/Items", ("entryIds", ",".join(batch)))
        self._add(id, keys)

    def _add(self, id: str, keys: Sequence[str]) -> None:
        for batch in batched(keys, IDS_A_REQUEST):
            whose = ("userId", self._client.user_id)
            self._client.call("POST", f"Playlists/{quote(id, safe='')}/Items", ("ids", ",".join(batch)), whose)


class JellyfinSource(MediaServer):
    """The music of one user at a server."""

    kind = "jellyfin"

    def __init__(self, where: str, folder: Path) -> None:
        super().__init__(where, folder)
        self.client = JellyfinClient(self.connection, self.user)
        self.playlists = JellyfinPlaylists(self)

    def _log_in(self, secret: Secret) -> Secret:
        return self.client.log_in(secret)

    def _listed(self) -> Iterator[SourceTrack]:
        return map(_track, self.client.items(("IncludeItemTypes", "Audio"), ("Fields", FIELDS)))

    def _cover(self, key: str) -> bytes:
        return self.client.picture(key)

    def _fetched(self, track: SourceTrack) -> AbstractContextManager[Path]:
        return self.client.audio(track)


def build(where: str, folder: Path) -> JellyfinSource:
    """Return the source at `https://user@host`; nothing is read yet."""
    return JellyfinSource(where, folder)


def _track(item: dict[str, Any]) -> SourceTrack:
    genres = texts(item, "Genres")
    ids = item.get("ProviderIds")
    of_recording = ids.get("MusicBrainzRecording") if isinstance(ids, dict) else None
    sizes = [whole(source.get("Size")) for source in objects(item, "MediaSources")]
    rated = item.get("UserData")
    artists = objects(item, "ArtistItems")
    return SourceTrack(
        key=text(item.get("Id")),
        path=text(item.get("Path")),
        size=sizes[0] if len(sizes) == 1 else 0,
        duration_s=(number(item.get("RunTimeTicks")) or 0.0) / TICKS_A_SECOND,
        facts=TrackFacts(
            title=text(item.get("Name")),
            artist=", ".join(texts(item, "Artists")),
            artist_id=text(artists[0].get("Id")) if len(artists) == 1 else "",
            album=name(item.get("Album")),
            album_artist=name(item.get("AlbumArtist")),
            genre=genres[0] if genres else "",
            tags=[*genres[1:], *texts(item, "Tags")],
            year=whole(item.get("ProductionYear")) or None,
            rating=number(rated.get("Rating")) if isinstance(rated, dict) else None,
            recording=recording(text(of_recording)),
        ),
    )
