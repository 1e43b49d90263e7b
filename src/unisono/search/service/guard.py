"""What every request passes first: the path prefix, the host it names, the site that caused it, and who asks."""

import ipaddress
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unisono.base.errors import DataError
from unisono.base.extras import extra
from unisono.search.service import answers
from unisono.search.service.auth import Auth

with extra("serve", "The search page"):
    import msgspec
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import RedirectResponse, Response
    from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from unisono.search.service.metrics import Metrics

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer."""


def refusal(status: int, error: str, hint: str = "", headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a request that is refused."""
    content = msgspec.json.encode(answers.Refusal(error=error, hint=hint))
    return Response(content, status, {"Cache-Control": "no-store"} | (headers or {}), "application/json")


class Guard:
    """Refuses what may not be answered, and adds the headers to every answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        any_address: bool,
        prefix: str,
        auth: Auth | None,
        protected: dict[str, bool],
        cookie: str,
        metrics: "Metrics",
    ) -> None:
        """Guard an app.

        Args:
            app: answers what is let through.
            hosts: names that a request may be addressed to.
            any_address: whether it may be addressed to any IP address, too: a hostile name server makes up names, not these.
            prefix: path under which a proxy shows the service, such as `/music`; empty for none.
            auth: who may ask; None for everybody.
            protected: path -> whether a password or token is asked for.
            cookie: name of the session's cookie.
            metrics: counts the answers to these paths.
        """
        self._app = app
        self._hosts = frozenset(host.casefold() for host in hosts)
        self._any_address = any_address
        self._prefix = prefix
        self._auth = auth
        self._protected = protected
        self._cookie = cookie
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
                if scope["path"] in self._protected:
                    self._metrics.count(scope["path"], message["status"], time.perf_counter() - began)
            await send(message)

        scope = dict(scope)
        app = self._redirected(scope) or await self._refused(Request(scope)) or self._app
        await app(scope, receive, send_guarded)

    def _redirected(self, scope: Scope) -> Response | None:
        """Take the prefix from the path; the page's own addresses are relative to one that ends in a slash."""
        if not self._prefix:
            return None
        scope["root_path"] = self._prefix
        if scope["path"] == self._prefix:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"{self._prefix.rpartition('/')[2]}/{'?' if query else ''}{query}", 308)
        if scope["path"].startswith(self._prefix + "/"):  # a proxy may have taken it away already
            scope["path"] = scope["path"][len(self._prefix) :]
        return None

    async def _refused(self, request: Request) -> Response | None:
        """Return the answer to a request that is not let through."""
        host = _host(request.headers.get("host", ""))
        if host not in self._hosts and not (self._any_address and _is_address(host)):
            return refusal(
                400, "This service does not answer to this name.", f"Start it with: --allow-host {host[:100]}"
            )
        if not self._is_own(request):
            return refusal(403, "This page answers no requests of other sites.")
        if self._auth is None or not self._protected.get(request.scope["path"], False):
            return None
        try:
            return (
                None
                if await run_in_threadpool(self._may_ask, request, self._auth)
                else refusal(401, "A password is asked for.", headers={"WWW-Authenticate": "Bearer"})
            )
        except DataError as error:
            return refusal(503, error.message, error.hint)

    def _is_own(self, request: Request) -> bool:
        """Return whether a page of this service causes a request, or the user does."""
        site = request.headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin"):  # a link to the page may stand on any other
            mode, path = request.headers.get("sec-fetch-mode", ""), request.scope["path"]
            wants_page = mode == "navigate" and request.headers.get("sec-fetch-dest", "") == "document"
            return wants_page and path == "/" and request.method == "GET"
        origin = request.headers.get("origin", "")
        return not origin or urlsplit(origin).netloc.casefold() == request.headers.get("host", "").casefold()

    def _may_ask(self, request: Request, auth: Auth) -> bool:
        if not auth.is_set:
            return True
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.casefold() == "bearer":
            return auth.is_token(token.strip())
        return auth.is_session(request.cookies.get(self._cookie, ""))


def _host(header: str) -> str:
    """Return the host of a Host header without its port, in lower case."""
    host = header.strip().casefold()
    name, _, port = host.rpartition(":")
    return name if name and port.isdecimal() and (":" not in name or name.endswith("]")) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
