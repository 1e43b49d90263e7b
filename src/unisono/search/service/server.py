"""The server of the page and the API.

On the loopback address it asks for no password unless one is set; other users of the same machine can open it. On any
other address one must be set. It answers to names that it knows only, and to no requests that a page of another site
causes: with these, a web page of someone else could read it through the user's browser. A page of someone else can neither
frame it nor embed its audio.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

import msgspec

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import extra
from unisono.base.log import log
from unisono.search.service import answers
from unisono.search.service.auth import Auth, TooManyTriesError
from unisono.search.service.searches import NotFoundError, Searches
from unisono.search.service.transcoded import Transcoded

with extra("serve", "The search page"):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from unisono.search.service.endpoint import Endpoint, Service, StatusError
    from unisono.search.service.endpoints import COOKIE, ENDPOINTS
    from unisono.search.service.guard import LOOPBACK, Guard, refusal
    from unisono.search.service.metrics import Metrics

MOST_CONNECTIONS = 800
"""A browser opens six; more are answered with 503. Many systems allow a process 1,024 open files."""
REQUEST_WITHIN_S = 10
"""A connection on which no whole request has come for so long is closed."""
LARGEST_BODY = 1 << 20
LINES = {"search": (16, MOST_CONNECTIONS), "login": (1, 20), "cover": (4, MOST_CONNECTIONS), "mp3": (2, 20)}
"""Line -> how many requests of it are answered at once, and how many may wait; more are answered with 503."""
PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/player.js": ("player.js", "text/javascript"),
    "/preact.js": ("preact.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Path -> the file of the folder `page`, and its type."""


def make_app(
    searches: Searches,
    *,
    auth: Auth | None = None,
    hosts: Sequence[str] = (),
    any_address: bool = False,
    prefix: str = "",
) -> Guard:
    """Return the service as an ASGI app; see `Guard` for the arguments."""
    metrics = Metrics()
    app = Starlette(
        routes=[
            *(Route(path, _file) for path in PAGE),
            *(Route(each.path, _answering(each), methods=[each.method]) for each in ENDPOINTS),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _failed},
    )
    app.state.service = Service(searches, auth, metrics, Transcoded())
    app.state.lines = {line: _Line(*most) for line, most in LINES.items()} | {"": nullcontext()}
    return Guard(
        app,
        hosts=(*LOOPBACK, *hosts),
        any_address=any_address,
        prefix=prefix,
        auth=auth,
        protected={each.path: not each.is_open for each in ENDPOINTS},
        cookie=COOKIE,
        metrics=metrics,
    )


def serve(
    app: Guard, *, host: str = "127.0.0.1", port: int = 8765, announce: Callable[[str], object] = lambda address: None
) -> None:
    """Serve until interrupted; port 0 is any free one, and `announce` is called with the address of the page.

    Raises:
        UnisonoError: the port is in use.
    """
    with listen(port, host) as listener:
        shown = f"[{host}]" if ":" in host else host
        announce(f"http://{shown}:{listener.getsockname()[1]}/")
        with suppress(KeyboardInterrupt):
            make_server(app).run(sockets=[listener])


def listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Open a port of this machine; 0 takes any free one.

    Raises:
        UnisonoError: the port is in use, or not a port; or the host is not an address of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise UnisonoError(
            f"Cannot listen on {host}, port {port}: {str(error).rstrip('.')}.", hint="Choose another with: --port"
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a body waits 40 ms for its header's arrival
    return listener


def make_server(app: Guard) -> uvicorn.Server:
    """Return the server of an app; it runs on an open socket."""
    config = uvicorn.Config(
        app,
        log_level="critical",  # errors are logged here, in a line
        lifespan="off",
        http=_PatientProtocol,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    return uvicorn.Server(config)


class _Line:
    """A line of requests, of which some at a time go on."""

    def __init__(self, at_once: int, most: int) -> None:
        self._free = most
        self._going = asyncio.Semaphore(at_once)

    async def __aenter__(self) -> None:
        if not self._free:
            raise StatusError(503, "Too many are waiting; try again in some seconds.")
        self._free -= 1
        try:
            await self._going.acquire()
        except BaseException:
            self._free += 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._going.release()
        self._free += 1


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
    name, content_type = PAGE[request.scope["path"]]
    content = resources.files("unisono.search.service").joinpath("page", str(PurePosixPath(name))).read_bytes()
    kept = "max-age=86400" if name == "icon.svg" else "no-cache"  # browsers ask for the icon at each new address
    return Response(content, media_type=content_type, headers={"Cache-Control": kept})


def _answering(endpoint: Endpoint) -> Callable[[Request], Any]:
    """Return the function that answers the requests to a route."""
    lists = {
        field.name
        for field in msgspec.structs.fields(endpoint.takes)
        if "list" in str(getattr(field.type, "__origin__", ""))
    }

    async def answer(request: Request) -> Response:
        try:
            asked = await _asked(request, endpoint, lists)
            service = request.app.state.service
            async with request.app.state.lines[endpoint.line]:
                found = await run_in_threadpool(endpoint.handler, service, asked, request)
        except StatusError as error:
            return refusal(error.status, error.message, error.hint)
        except TooManyTriesError as error:
            return refusal(429, error.message, headers={"Retry-After": f"{error.wait_s:.0f}"})
        except NotFoundError as error:
            return refusal(404, error.message)
        except UnisonoError as error:
            return refusal(400, error.message, error.hint)
        except MemoryError:
            log.error("%s: out of memory.", endpoint.path)
            return refusal(503, "There is not enough memory for this.")
        if isinstance(found, Response):
            return found
        return Response(
            msgspec.json.encode(found), media_type="application/json", headers={"Cache-Control": "no-store"}
        )

    return answer


async def _asked(request: Request, endpoint: Endpoint, lists: set[str]) -> msgspec.Struct:
    """Read the parameters of a request, or its body.

    Raises:
        UsageError: they are not of the right form.
    """
    try:
        if endpoint.method == "POST":
            if endpoint.takes is answers.Nothing:
                return answers.Nothing()
            if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                raise StatusError(415, "The body must be application/json.")
            async with asyncio.timeout(REQUEST_WITHIN_S):
                return msgspec.json.decode(await _body(request), type=endpoint.takes)
        given = request.query_params
        values = {name: given.getlist(name) if name in lists else given[name] for name in given}
        return msgspec.convert(values, endpoint.takes, strict=False)
    except TimeoutError as error:
        raise StatusError(408, "The request did not come to its end.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{error}.") from error


async def _body(request: Request) -> bytes:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise StatusError(413, "This is too long.")
    return content


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail)


def _failed(request: Request, error: Exception) -> Response:
    log.error("%s could not be answered: %s: %s", request.url.path[:100], type(error).__name__, error)
    return refusal(500, "This request failed; the terminal says why.")
