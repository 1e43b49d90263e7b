"""A web page on this machine to search by description and listen to the results.

    /                   the page
    /about              JSON: how many tracks are searched
    /search?q=...       JSON: the tracks that fit best; `where=` conditions as on the command line
    /audio/<number>     the audio of one track of the collection, whole or in ranges; no other file is read

Only this machine can reach it. It listens on the loopback address, and refuses requests that name another host: with
these, a web page of someone else could read it through the user's browser.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import extra
from unisono.retrieval.collection import Collection
from unisono.retrieval.models import JointModel
from unisono.search.filters import matching

with extra("serve", "The search page"):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

ADDRESS = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
LONGEST_QUERY = 1000
"""Characters of a description; text encoders read far fewer."""
HEADERS = {"X-Content-Type-Options": "nosniff"}


class SearchService:
    """The searches of the page, apart from HTTP."""

    def __init__(
        self,
        model: JointModel,
        collection: Collection,
        among: NDArray[np.int64],
        *,
        top: int = 10,
        max_per_artist: int | None = None,
    ) -> None:
        """Prepare to search.

        Args:
            model: embeds the descriptions.
            collection: what is searched.
            among: positions of the tracks to search among, ascending.
            top: the most tracks of a result.
            max_per_artist: the most tracks of one artist in a result.
        """
        self.collection = collection
        self._model = model
        self._among = among
        self._top = top
        self._max_per_artist = max_per_artist
        self._one_at_a_time = threading.Lock()
        self._number_of = {track.id: number for number, track in enumerate(collection.tracks)}

    @property
    def tracks(self) -> int:
        """How many tracks are searched."""
        return len(self._among)

    def find(self, query: str, where: list[str]) -> list[dict[str, Any]]:
        """Return the tracks that fit best, each with its number in the collection.

        Raises:
            UsageError: the query is empty or too long, or a condition is not of the right form.
        """
        if not query.strip() or len(query) > LONGEST_QUERY:
            raise UsageError(f"A description has 1 to {LONGEST_QUERY:,} characters.")
        among = self._among
        if where:
            among = np.intersect1d(among, matching(self.collection.tracks, where))
        with self._one_at_a_time:
            vector = self._model.embed_text(query)[0]
        hits = self.collection.search(vector, self._top, among, self._max_per_artist)
        return [
            {"score": round(hit.score, 4), "number": self._number_of[hit.track.id], **asdict(hit.track)} for hit in hits
        ]


def serve(
    service: SearchService, *, port: int = 8765, announce: Callable[[str], object] = lambda address: None
) -> None:
    """Serve the page until interrupted.

    Args:
        service: the searches.
        port: of this machine; 0 takes any free one.
        announce: called with the address of the page when it can be reached.

    Raises:
        UnisonoError: the port is in use.
    """
    service.find("music", [])  # loads the text encoder now, so that the first query does not wait for it
    with listen(port) as listener:
        announce(f"http://{ADDRESS}:{listener.getsockname()[1]}/")
        with suppress(KeyboardInterrupt):
            make_server(service).run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """Open a port of this machine; 0 takes any free one.

    Raises:
        UnisonoError: the port is in use, or not a port.
    """
    try:
        return socket.create_server((ADDRESS, port))
    except (OSError, OverflowError) as error:
        raise UnisonoError(
            f"Cannot listen on port {port}: {str(error).rstrip('.')}.", hint="Choose another with: --port"
        ) from error


def make_server(service: SearchService) -> uvicorn.Server:
    """Return the server of the page; it runs on an open socket."""
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
    app.state.service = service
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))


def _page(request: Request) -> Response:
    return HTMLResponse(resources.files("unisono.search").joinpath("page.html").read_bytes(), headers=HEADERS)


def _about(request: Request) -> Response:
    return JSONResponse({"tracks": request.app.state.service.tracks}, headers=HEADERS)


def _search(request: Request) -> Response:
    asked = request.query_params
    try:
        return JSONResponse(request.app.state.service.find(asked.get("q", ""), asked.getlist("where")), headers=HEADERS)
    except UnisonoError as error:
        return JSONResponse({"error": f"{error.message} {error.hint}".strip()}, 400, headers=HEADERS)


def _audio(request: Request) -> Response:
    number, tracks = request.path_params["number"], request.app.state.service.collection.tracks
    path = Path(tracks[number].audio_path) if number < len(tracks) else None
    if path is None or not path.is_file():
        raise HTTPException(404, "The audio file is not there.")
    return FileResponse(path, headers=HEADERS)


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=HEADERS)
