"""A page on this machine to type descriptions into and to listen to what they find.

    /                   the page
    /about              JSON: how many tracks are searched
    /search?q=...       JSON: the tracks that fit best; further `where=` conditions as on the command line
    /audio/<number>     the audio of one track of the index, whole or in ranges; no other file is ever read

Only this machine can reach it: it listens on the loopback address, and refuses requests that name another host, with
which a foreign web page could read it through the user's browser.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UnisonoError, UsageError
from unisono.search.filters import matching
from unisono.search.index import Index
from unisono.search.options import SearchOptions

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise UnisonoError(
        f"--serve needs the package {error.name}.", hint="Install it with: pip install 'unisono[serve]'"
    ) from error

if TYPE_CHECKING:
    from unisono.retrieval.checkpoint import Model

ADDRESS = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
LONGEST_QUERY = 1000
"""Characters of a description; text encoders read far less."""
HEADERS = {"X-Content-Type-Options": "nosniff"}


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


def serve(
    model: "Model", index: Index, among: NDArray[np.int64], options: SearchOptions, announce: Callable[[str], object]
) -> None:
    """Serve the page until interrupted; `announce` is called with its address once it can be reached.

    Raises:
        UnisonoError: the port is taken.
    """
    model.embed_text(["music"])  # loads the text encoder now, so that the first query does not wait for it
    with listen(options.port) as listener:
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
        announce(address)
        with suppress(KeyboardInterrupt):
            make_server(Search(model, index, among, options)).run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """Open a port of this machine; 0 takes any that is free.

    Raises:
        UnisonoError: the port is taken, or is none.
    """
    try:
        return socket.create_server((ADDRESS, port))
    except (OSError, OverflowError) as error:
        raise UnisonoError(
            f"Cannot listen on port {port}: {str(error).rstrip('.')}.", hint="Choose another with: --port"
        ) from error


def make_server(search: Search) -> uvicorn.Server:
    """Make the server of the page; it runs on a socket that is open."""
    routes = [
        Route("/", _page),
        Route("/about", _about),
        Route("/search", _search),
        Route("/audio/{number:int}", _audio),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={HTTPException: _refuse},
    )
    app.state.search = search
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))


def _page(request: Request) -> Response:
    return HTMLResponse(resources.files("unisono.search").joinpath("page.html").read_bytes(), headers=HEADERS)


def _about(request: Request) -> Response:
    return JSONResponse({"tracks": request.app.state.search.tracks}, headers=HEADERS)


def _search(request: Request) -> Response:
    asked = request.query_params
    try:
        return JSONResponse(request.app.state.search.find(asked.get("q", ""), asked.getlist("where")), headers=HEADERS)
    except UnisonoError as error:
        return JSONResponse({"error": f"{error.message} {error.hint}".strip()}, 400, headers=HEADERS)


def _audio(request: Request) -> Response:
    number, tracks = request.path_params["number"], request.app.state.search.index.tracks
    path = Path(tracks[number].audio_path) if number < len(tracks) else None
    if path is None or not path.is_file():
        raise HTTPException(404, "The audio is not there.")
    return FileResponse(path, headers=HEADERS)


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=HEADERS)
