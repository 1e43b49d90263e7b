"""A web page on this machine to search by description and listen to the results.

    /                   the page
    /about              JSON: how many tracks are searched
    /search?q=...       JSON: the tracks that fit best; `where=` conditions as on the command line
    /audio/<number>     the audio of one track of the collection, whole or in ranges; no other file is sent, and none
                        that is not audio by its first bytes

Only this machine can reach it. It listens on the loopback address, and refuses requests that name another host or that a
page of another site causes: with these, a web page of someone else could read it through the user's browser. A page of
someone else can neither frame it nor embed its audio.
"""

import math
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import extra
from unisono.base.log import log
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
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from unisono.search.audio_answer import AudioResponse, RangeError, open_audio, refused_range

ADDRESS = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
LONGEST_QUERY = 1000
"""Characters of a description; text encoders read far fewer."""
MOST_CONNECTIONS = 200
"""A browser opens six; more are answered with 503."""
REQUEST_WITHIN_S = 10
"""A connection on which no whole request has come for so long is closed."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer."""
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
"""Path -> the file of this package, and its type."""


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
            _finite(asdict(hit.track)) | {"score": round(hit.score, 4), "number": self._number_of[hit.track.id]}
            for hit in hits
            if math.isfinite(hit.score)
        ]


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Replace numbers that JSON cannot express by 0."""
    return {
        name: 0.0 if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


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
        *(Route(path, _file) for path in FILES),
        Route("/about", _about),
        Route("/search", _search),
        Route("/audio/{number}", _audio),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(_Guard),
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _failed},
    )
    app.state.service = service
    config = uvicorn.Config(
        app,
        log_level="critical",  # errors are logged here, in a line
        lifespan="off",
        http=_PatientProtocol,
        limit_concurrency=MOST_CONNECTIONS,
        server_header=False,
    )
    return uvicorn.Server(config)


class _Guard:
    """Refuses requests that a page of another site causes, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        site = Request(scope).headers.get("sec-fetch-site", "none") if scope["type"] == "http" else "none"
        app = self.app
        if site not in ("none", "same-origin"):
            app = JSONResponse({"error": "This page answers no requests of other sites."}, 403)
        await app(scope, receive, send_guarded)


class _PatientProtocol(H11Protocol):
    """A connection that is closed if no whole request comes for a while."""

    def connection_made(self, transport: Any) -> None:
        """Begin to watch a new connection."""
        super().connection_made(transport)
        self._watch(None)

    def _watch(self, before: object) -> None:
        if self.transport.is_closing():
            return
        is_waiting = self.cycle is None or self.cycle.response_complete
        if is_waiting and self.cycle is before and self._is_watched:
            self.transport.close()
            return
        self._is_watched = True
        self.loop.call_later(REQUEST_WITHIN_S, self._watch, self.cycle)

    _is_watched = False


def _file(request: Request) -> Response:
    name, content_type = FILES[request.url.path]
    return Response(resources.files("unisono.search").joinpath(name).read_bytes(), media_type=content_type)


def _about(request: Request) -> Response:
    return JSONResponse({"tracks": request.app.state.service.tracks})


def _search(request: Request) -> Response:
    asked = request.query_params
    try:
        return JSONResponse(request.app.state.service.find(asked.get("q", ""), asked.getlist("where")))
    except UnisonoError as error:
        return JSONResponse({"error": f"{error.message} {error.hint}".strip()}, 400)


def _audio(request: Request) -> Response:
    number, tracks = request.path_params["number"], request.app.state.service.collection.tracks
    is_number = re.fullmatch("[0-9]{1,12}", number) and int(number) < len(tracks)
    audio = open_audio(tracks[int(number)].audio_path) if is_number else None
    if audio is None:
        raise HTTPException(404, "The audio file is not there, or is not audio.")
    try:
        return AudioResponse(audio, request, {})
    except RangeError:
        audio.close()
        return refused_range(audio.size, {})


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


def _failed(request: Request, error: Exception) -> Response:
    log.error("%s could not be answered: %s: %s", request.url.path[:100], type(error).__name__, error)
    return JSONResponse({"error": "This request failed; the terminal says why."}, 500, headers=HEADERS)
