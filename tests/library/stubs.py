"""Strict stubs of media servers on this machine: what no server of a package index does, and whatever goes wrong."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.library.servers import PASSWORD, USER
from tests.serving import QuietHandler, served

KEY = "key of the stub"


@dataclass
class Reply:
    """What is sent back."""

    body: bytes
    kind: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Send only so many bytes of what is announced, and close the connection."""


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    values: dict[str, list[str]]
    """Of the address and of a form."""
    json: Any
    authorization: str
    length: int
    """Of the address."""

    def value(self, name: str) -> str:
        return self.values.get(name, [""])[0]


@dataclass
class Stub:
    """A server; `faults` are sent first, in their order, for the paths that they are of."""

    url: str = ""
    asked: list[Request] = field(default_factory=list)
    faults: dict[str, list[Reply]] = field(default_factory=lambda: defaultdict(list))

    def paths(self) -> list[str]:
        return [request.path for request in self.asked]


@contextmanager
def serving(stub: Any) -> Iterator[Any]:
    """Serve `stub.answer(request)`."""

    class Handler(QuietHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_json = self.headers.get("Content-Type", "").startswith("application/json")
            values = parse_qs(parts.query, keep_blank_values=True)
            if body and not is_json:
                values |= parse_qs(body.decode(), keep_blank_values=True)
            request = Request(
                self.command, parts.path, values, json.loads(body) if is_json and body else None,
                self.headers.get("Authorization", ""), len(self.path),
            )  # fmt: skip
            stub.asked.append(request)
            waiting = stub.faults[parts.path]
            self.send(waiting.pop(0) if waiting else stub.answer(request))

        def send(self, reply: Reply) -> None:
            headers = {"Content-Type": reply.kind, "Content-Length": str(len(reply.body)), **reply.headers}
            self.reply(reply.status, reply.body[: reply.cut], headers)
            if reply.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_DELETE = answer

    with served(Handler) as stub.url:
        yield stub


def of_subsonic(status: str = "ok", **content: Any) -> Reply:
    return Reply(json.dumps({"subsonic-response": {"status": status, "version": "1.16.1", **content}}).encode())


def failed(code: int, message: str = "no") -> Reply:
    return of_subsonic("failed", error={"code": code, "message": message})


@dataclass
class SubsonicStub(Stub):
    """One that knows tokens and keys, lists by search, and refuses what is not as the protocol says."""

    songs: list[dict[str, Any]] = field(default_factory=list)
    audio: dict[str, bytes] = field(default_factory=dict)
    extensions: list[str] = field(default_factory=list)
    takes: set[str] = field(default_factory=lambda: {"t", "apiKey"})
    page: int = 500
    order: Callable[[int, list[dict[str, Any]]], list[dict[str, Any]]] = lambda request, songs: songs
    playlists: dict[str, dict[str, Any]] = field(default_factory=dict)
    longest: int = 8000
    folders: dict[str, str] = field(default_factory=dict)
    """Name of a music folder -> its id; songs have `folder`."""
    covers: dict[str, bytes] = field(default_factory=dict)

    def answer(self, request: Request) -> Reply:
        method = request.path.removeprefix("/rest/")
        if request.length > self.longest:
            return Reply(b"URI too long", "text/plain", 414)
        if method == "getOpenSubsonicExtensions":
            return of_subsonic(openSubsonicExtensions=[{"name": name, "versions": [1]} for name in self.extensions])
        if request.method == "POST" and "formPost" not in self.extensions:
            return Reply(b"no", "text/plain", 405)
        if refused := self.refused(request):
            return refused
        return getattr(self, method, lambda request: Reply(b"404 page not found", "text/plain", 404))(request)

    def refused(self, request: Request) -> Reply | None:
        given = {"t", "p", "apiKey"} & request.values.keys()
        if request.value("f") != "json" or not request.value("c"):
            return failed(10)
        if len(given) != 1 or ("apiKey" in given and "u" in request.values):
            return failed(43 if given else 10)
        if not given <= self.takes:
            return failed(41 if given == {"t"} else 42)
        if given == {"apiKey"}:
            return None if request.value("apiKey") == KEY else failed(44)
        right = hashlib.md5((PASSWORD + request.value("s")).encode()).hexdigest()
        said = request.value("t") == right or request.value("p") == "enc:" + PASSWORD.encode().hex()
        return None if said and request.value("u") == USER else failed(40, "Wrong username or password")

    def ping(self, request: Request) -> Reply:
        return of_subsonic()

    def search3(self, request: Request) -> Reply:
        at, count = int(request.value("songOffset")), int(request.value("songCount"))
        assert request.values["query"] == [""] and count <= 500
        number = self.paths().count("/rest/search3")
        within = request.value("musicFolderId")
        songs = [song for song in self.songs if not within or song.get("folder", within) == within]
        return of_subsonic(searchResult3={"song": self.order(number, songs)[at:][: min(count, self.page)]})

    def getMusicFolders(self, request: Request) -> Reply:
        return of_subsonic(
            musicFolders={"musicFolder": [{"id": id, "name": name} for name, id in self.folders.items()]}
        )

    def getSong(self, request: Request) -> Reply:
        found = [song for song in self.songs if song["id"] == request.value("id")]
        return of_subsonic(song=found[0]) if found else failed(70)

    def getCoverArt(self, request: Request) -> Reply:
        found = self.covers.get(request.value("id"))
        return Reply(found, "image/png") if found and request.value("size") == "300" else failed(70)

    def download(self, request: Request) -> Reply:
        id = request.value("id")
        return Reply(self.audio[id], "audio/mpeg") if id in self.audio else failed(70, "not found")

    def stream(self, request: Request) -> Reply:
        assert request.value("format") == "raw"
        return self.download(request)

    def getPlaylists(self, request: Request) -> Reply:
        listed = [{key: value for key, value in found.items() if key != "entry"} for found in self.playlists.values()]
        return of_subsonic(playlists={"playlist": listed[0] if len(listed) == 1 else listed} if listed else {})

    def getPlaylist(self, request: Request) -> Reply:
        found = self.playlists.get(request.value("id"))
        return of_subsonic(playlist=found) if found else failed(70)

    def createPlaylist(self, request: Request) -> Reply:
        id = request.value("playlistId") or f"pl-{len(self.playlists)}"
        if id not in self.playlists:
            self.playlists[id] = {"id": id, "name": request.value("name")}
        self.playlists[id]["entry"] = [{"id": song} for song in request.values.get("songId", [])]
        return of_subsonic(playlist=self.playlists[id])

    def updatePlaylist(self, request: Request) -> Reply:
        playlist = self.playlists[request.value("playlistId")]
        playlist["entry"] += [{"id": song} for song in request.values.get("songIdToAdd", [])]
        if "comment" in request.values:
            playlist["comment"] = request.value("comment")
        return of_subsonic()


@dataclass
class JellyfinStub(Stub):
    """The documented routes that unisono uses, for one administrator."""

    items: list[dict[str, Any]] = field(default_factory=list)
    audio: dict[str, bytes] = field(default_factory=dict)
    playlists: dict[str, dict[str, Any]] = field(default_factory=dict)
    covers: dict[str, bytes] = field(default_factory=dict)
    may_download: bool = True
    replaces: bool = True
    """Since 10.9."""

    def answer(self, request: Request) -> Reply:
        token = dict(re.findall(r'(\w+)="([^"]*)"', request.authorization)).get("Token", "")
        if request.path == "/Users/AuthenticateByName":
            if request.method != "POST" or request.json != {"Username": USER, "Pw": PASSWORD}:
                return Reply(b"Error processing request.", "text/plain", 401)
            return said({"User": {"Id": "u1", "Name": USER}, "AccessToken": "session"})
        if not request.authorization.startswith("MediaBrowser ") or token not in ("session", KEY):
            return Reply(b"", "text/plain", 401)
        whose, playlist = request.value("userId"), re.fullmatch(r"/Playlists/([^/]+)(/Items)?", request.path)
        if request.path == "/Users":
            return said(
                [{"Id": "u0", "Name": "guest"}, {"Id": "u1", "Name": USER, "Policy": {"IsAdministrator": True}}]
            )
        if request.path == "/Items" and whose == "u1":
            return self.listed(request)
        if request.path == "/Playlists" and request.method == "POST":
            id = f"pl-{len(self.playlists)}"
            assert request.json["UserId"] == "u1"
            self.playlists[id] = {"Id": id, "Name": request.json["Name"], "ids": list(request.json["Ids"])}
            return said({"Id": id})
        if playlist and playlist[1] in self.playlists:
            return self.of_playlist(request, self.playlists[playlist[1]], bool(playlist[2]), token)
        picture = re.fullmatch(r"/Items/([^/]+)/Images/Primary", request.path)
        if picture and picture[1] in self.covers and request.value("maxWidth") == "300":
            return Reply(self.covers[picture[1]], "image/png")
        file = re.fullmatch(r"/Items/([^/]+)/(Download|File)", request.path)
        if file and file[2] == "Download" and not self.may_download:
            return Reply(b"", "text/plain", 403)
        if file and file[1] in self.audio:
            return Reply(self.audio[file[1]], "audio/flac")
        return Reply(b"", "text/plain", 404)

    def listed(self, request: Request) -> Reply:
        if request.value("IncludeItemTypes") == "Playlist":
            found = [{"Id": each["Id"], "Name": each["Name"]} for each in self.playlists.values()]
        else:
            found = self.items
        at, count = int(request.value("StartIndex") or 0), int(request.value("Limit"))
        return said({"Items": found[at:][:count], "TotalRecordCount": len(found), "StartIndex": at})

    def of_playlist(self, request: Request, playlist: dict[str, Any], of_items: bool, token: str) -> Reply:
        ids = playlist["ids"]
        if not of_items:
            if request.method != "POST" or not self.replaces or token == KEY:  # a key has no user, whose it could be
                return Reply(b"", "text/plain", 404)
            playlist["ids"] = list(request.json["Ids"])
        elif request.method == "GET":
            return said({"Items": [{"Id": id, "PlaylistItemId": f"entry-{id}"} for id in ids]})
        elif request.method == "DELETE":
            gone = request.value("entryIds").split(",")
            playlist["ids"] = [id for id in ids if f"entry-{id}" not in gone]
        else:
            playlist["ids"] = ids + [id for id in request.value("ids").split(",") if id not in ids]
        return Reply(b"", status=204)


def said(content: Any) -> Reply:
    return Reply(json.dumps(content).encode())
