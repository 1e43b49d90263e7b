"""A page on this machine to type descriptions into and to listen to what they find.

    /                   the page
    /search?q=...       JSON: the tracks that fit best; further `where=` conditions as on the command line
    /audio/<number>     the audio of one track of the index, whole or in ranges; no other file is ever read

Only this machine can reach it: it listens on the loopback address, and refuses requests that name another host, with
which a foreign web page could read it through the user's browser.
"""

import json
import mimetypes
import os
import re
import threading
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from unisono import console
from unisono.errors import UnisonoError, UsageError
from unisono.search.filters import matching
from unisono.search.index import Index
from unisono.search.options import SearchOptions

if TYPE_CHECKING:
    from unisono.train.checkpoint import Model

ADDRESS = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
BLOCK = 1 << 16
LONGEST_QUERY = 1000
"""Characters of a description; text encoders read far less."""
HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"


class Search:
    """What the page asks for, apart from how it asks."""

    def __init__(self, model: "Model", index: Index, among: NDArray[np.int64], options: SearchOptions) -> None:
        self._model = model
        self._among = among
        self._options = options
        self._one_at_a_time = threading.Lock()
        self._number_of = {track.id: number for number, track in enumerate(index.tracks)}
        self.index = index

    @property
    def tracks(self) -> int:
        """How many tracks are searched."""
        return len(self._among)

    def find(self, query: str, where: list[str]) -> list[dict[str, Any]]:
        """Find the tracks that fit best, each with its number in the index.

        Raises:
            UsageError: the query is empty or too long, or a condition cannot be understood.
        """
        if not query.strip() or len(query) > LONGEST_QUERY:
            raise UsageError(f"A description has 1 to {LONGEST_QUERY:,} characters.")
        among = self._among
        if where:
            among = np.intersect1d(among, matching(self.index.tracks, where))
        with self._one_at_a_time:
            vector = self._model.embed_text([query])[0]
        hits = self.index.search(vector, self._options.top, among, self._options.max_per_artist)
        return [
            {"score": round(hit.score, 4), "number": self._number_of[hit.track.id], **asdict(hit.track)} for hit in hits
        ]


def serve(model: "Model", index: Index, among: NDArray[np.int64], options: SearchOptions) -> None:
    """Serve the page until interrupted.

    Raises:
        UnisonoError: the port is taken.
    """
    with make_server(Search(model, index, among, options), options.port) as server:
        address = f"http://{ADDRESS}:{server.server_address[1]}/"
        console.out.print(f"Searching {len(among):,} tracks at [bold]{address}[/]; Ctrl-C ends it.", soft_wrap=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.out.print("Ended.")


def make_server(search: Search, port: int) -> ThreadingHTTPServer:
    """Open the port; 0 takes any that is free."""

    class Handler(_Handler):
        pass

    Handler.search = search
    try:
        return ThreadingHTTPServer((ADDRESS, port), Handler)
    except (OSError, OverflowError) as error:
        raise UnisonoError(f"Cannot listen on port {port}: {error}.", hint="Choose another with: --port") from error


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    search: Search
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        url = urlsplit(self.path)
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if host not in HOSTS:
            self._answer(HTTPStatus.FORBIDDEN, JSON, b'{"error": "This page is for this machine only."}')
        elif url.path == "/":
            page = resources.files("unisono.search").joinpath("page.html").read_bytes()
            self._answer(HTTPStatus.OK, HTML, page.replace(b"{{tracks}}", f"{self.search.tracks:,}".encode()))
        elif url.path == "/search":
            self._find(parse_qs(url.query))
        elif number := re.fullmatch(r"/audio/([0-9]{1,12})", url.path):
            self._send_audio(int(number[1]))
        else:
            self._answer(HTTPStatus.NOT_FOUND, JSON, b'{"error": "There is no such page."}')

    do_HEAD = do_GET  # noqa: N815 - named by the library

    def _find(self, asked: dict[str, list[str]]) -> None:
        try:
            found: Any = self.search.find(asked.get("q", [""])[0], asked.get("where", []))
            status = HTTPStatus.OK
        except UnisonoError as error:
            found, status = {"error": f"{error.message} {error.hint}".strip()}, HTTPStatus.BAD_REQUEST
        self._answer(status, JSON, json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))

    def _send_audio(self, number: int) -> None:
        tracks = self.search.index.tracks
        path = Path(tracks[number].audio_path) if number < len(tracks) else None
        if path is None or not path.is_file():
            self._answer(HTTPStatus.NOT_FOUND, JSON, b'{"error": "The audio is not there."}')
            return
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            wanted = byte_range(self.headers.get("Range"), size)
            if wanted is None:
                self._answer(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, JSON, b"", {"Content-Range": f"bytes */{size}"}
                )
                return
            first, last = wanted
            whole = self.headers.get("Range") is None
            self.send_response(HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Type", mimetypes.guess_type(path.name)[0] or "application/octet-stream")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last - first + 1))
            if not whole:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            if self.command == "GET":
                self._copy(file, first, last - first + 1)

    def _copy(self, file: Any, first: int, count: int) -> None:
        file.seek(first)
        while count and (block := file.read(min(BLOCK, count))):
            try:
                self.wfile.write(block)
            except (BrokenPipeError, ConnectionResetError):  # the listener went on to something else
                self.close_connection = True
                return
            count -= len(block)

    def _answer(self, status: HTTPStatus, kind: str, content: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
        """Log requests for debugging only."""
        console.log.debug(format, *args)


def byte_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """Read a Range header: (first, last) byte to send; None if the file has no such bytes.

    What is no range of bytes, or several ranges, gets the whole file, as the standard allows.
    """
    found = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", (asked or "").strip())
    if not found or found[0] == "bytes=-":
        return 0, size - 1
    if not found[1]:
        first, last = max(size - int(found[2]), 0), size - 1
    else:
        first, last = int(found[1]), min(int(found[2]) if found[2] else size - 1, size - 1)
    return (first, last) if first <= last else None
