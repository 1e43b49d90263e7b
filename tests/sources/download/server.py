"""A web server on this machine that misbehaves on request.

`Server.files` maps paths to contents. `Server.script[path]` lists behaviours, one for each request in turn; requests after
that are answered properly. A behaviour is a function of the request's handler and the content.
"""

import hashlib
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PIECE = 16384


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append((path, dict(self.headers)))
        with self.server.lock:
            script = self.server.script[path]
            behaviour = script.pop(0) if script else self.server.otherwise
        content = self.server.files.get(path)
        if content is None and behaviour is well:
            self.answer(404, b"no such file", {})
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            behaviour(self, content or b"")

    def answer(self, status: int, body: bytes, headers: dict[str, str], *, length: int | None = None) -> None:
        """Send an answer; `length` is what is announced, if that is not the truth."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body) if length is None else length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(body), PIECE):
            self.wfile.write(body[start : start + PIECE])
            if self.server.pause_s:
                time.sleep(self.server.pause_s)

    def hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.script: dict[str, list[Behaviour]] = defaultdict(list)
        self.otherwise: Behaviour = well
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.pause_s = 0.0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *args: Any) -> None:
        pass  # clients that go away are the point here


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server; with a context, over TLS."""
    server = Server()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


Behaviour = Callable[[Handler, bytes], None]


def tag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def wanted_range(handler: Handler, content: bytes, *, heed_if_range: bool = True) -> int | None:
    """Return the offset at which the client resumes, if it does and the file is still the same."""
    text = handler.headers.get("Range")
    condition = handler.headers.get("If-Range")
    if text is None or (heed_if_range and condition not in (None, tag(content))):
        return None
    return int(text.removeprefix("bytes=").removesuffix("-"))


def send(handler: Handler, content: bytes, start: int | None) -> None:
    """Send the whole, or from `start` on."""
    if start is None:
        handler.answer(200, content, {"ETag": tag(content), "Accept-Ranges": "bytes"})
    elif start >= len(content):
        handler.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
    else:
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.answer(206, content[start:], {"ETag": tag(content), "Content-Range": span})


def well(handler: Handler, content: bytes) -> None:
    """Answer properly: ranges, validators."""
    send(handler, content, wanted_range(handler, content))


def cut(after: int) -> Behaviour:
    """Close the connection after so many bytes of the body."""

    def behave(handler: Handler, content: bytes) -> None:
        start = wanted_range(handler, content) or 0
        headers = {"ETag": tag(content)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        handler.answer(206 if start else 200, body[:after], headers, length=len(body))
        handler.hang_up()

    return behave


def without_length(after: int) -> Behaviour:
    """Announce no length, and close the connection after so many bytes: nobody can tell that it is early."""

    def behave(handler: Handler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(content[:after])
        handler.hang_up()

    return behave


def ignore_range(handler: Handler, content: bytes) -> None:
    """Send everything, whatever was asked for."""
    send(handler, content, None)


def announce(length: int) -> Behaviour:
    """Lie about the length: announce `length`, send as much of it as there is, and hang up."""

    def behave(handler: Handler, content: bytes) -> None:
        handler.answer(200, content[:length], {}, length=length)
        handler.hang_up()

    return behave


def ignore_if_range(handler: Handler, content: bytes) -> None:
    """Go on in a file that has been changed since, as if nothing had happened."""
    send(handler, content, wanted_range(handler, content, heed_if_range=False))


def ignore_if_range_without_tag(handler: Handler, content: bytes) -> None:
    """The same, without even a tag that would tell."""
    start = wanted_range(handler, content, heed_if_range=False) or 0
    handler.answer(206, content[start:], {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})


def wrong_part(handler: Handler, content: bytes) -> None:
    """Send another part than was asked for."""
    handler.answer(206, content[1:], {"Content-Range": f"bytes 1-{len(content) - 1}/{len(content)}"})


def no_content_range(handler: Handler, content: bytes) -> None:
    """Send a part without saying which."""
    handler.answer(206, content[100:], {})


def status(code: int, **headers: str) -> Behaviour:
    """Answer with an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, content: handler.answer(code, b"sorry", {"Content-Type": "text/plain", **named})


def redirect(target: str) -> Behaviour:
    """Send the client elsewhere."""
    return lambda handler, content: handler.answer(302, b"", {"Location": target})


def web_page(handler: Handler, content: bytes) -> None:
    """Send a page where a file was asked for."""
    handler.answer(200, b"<!DOCTYPE html><html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"})


def stall(after: int) -> Behaviour:
    """Send so many bytes, then nothing for ever."""

    def behave(handler: Handler, content: bytes) -> None:
        start = wanted_range(handler, content) or 0
        headers = {"ETag": tag(content)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.answer(206 if start else 200, content[start : start + after], headers, length=len(content) - start)
        handler.server.closing.wait(20)
        handler.hang_up()

    return behave


def trickle(handler: Handler, content: bytes) -> None:
    """Send a byte now and then."""
    handler.answer(200, b"", {"ETag": tag(content)}, length=len(content))
    for byte in content:
        handler.wfile.write(bytes([byte]))
        if handler.server.closing.wait(0.05):
            break
    handler.hang_up()


def trickle_header(handler: Handler, content: bytes) -> None:
    """Send a header that never ends, a byte now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-More: ")
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b"x")
    handler.hang_up()


def damaged(handler: Handler, content: bytes) -> None:
    """Send the right number of bytes, one of them wrong, another one each time."""
    where = len(handler.server.requests) % len(content)
    wrong = content[:where] + bytes([content[where] ^ 255]) + content[where + 1 :]
    handler.answer(200, wrong, {})


def hang_up(handler: Handler, content: bytes) -> None:
    """Close the connection without a word."""
    handler.hang_up()
