"""Requests to a media server: patient, bounded, and silent about passwords.

Servers of music carry what logs a person in within the address of each request. So no message, no log line and no chain of
exceptions holds an address with its parameters.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from unisono import __version__
from unisono.audio.faults import Fault, UnusableError
from unisono.base.backoff import Patience, retry_after
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import partial_path, remove_left_behind_in
from unisono.base.log import log
from unisono.library.sources import SourceAwayError

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request is sent again."""
LARGEST_ANSWER_BYTES = 1 << 26
LARGEST_FILE_BYTES = 1 << 33
BLOCK = 1 << 18
TEMPORARY = "unisono-track"
"""Folders of this name in the system's temporary folder hold what is fetched; those of killed processes are removed."""
BROKEN_OFF = "download broken off"
WRONG_LENGTH = "server sends another length than it lists"
NO_FILE = "server sends no audio"
Parameters = Sequence[tuple[str, str]]
T = TypeVar("T")


class RefusedError(UnisonoError):
    """A server understood the request and refuses it.

    Attributes:
        code: the server's own number of the reason, or the HTTP status.
    """

    def __init__(self, message: str, *, code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class _BrokenOffError(SourceAwayError):
    """A server began to answer, and broke off."""


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits(Patience):
    """Limits of waiting, in seconds."""

    tries: int = 4
    longest_pause: float = 30
    longest_wait: float = 300


class Connection:
    """One server, at an address that ends without a slash."""

    def __init__(self, address: str, limits: ConnectionLimits | None = None) -> None:
        self.address = checked_address(address)
        self.is_private = urlsplit(self.address).scheme == "https" or _is_loopback(
            urlsplit(self.address).hostname or ""
        )
        """Whether nobody else can read what is sent: over https, or within this machine."""
        self.limits = limits or ConnectionLimits()
        remove_left_behind_in(Path(tempfile.gettempdir()), f"{TEMPORARY}-*")
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"unisono/{__version__}"
        self._session.auth = _no_netrc

    def answer(
        self,
        path: str,
        parameters: Parameters = (),
        *,
        method: str = "GET",
        form: Parameters | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> tuple[int, bytes]:
        """Return the status and the whole body of an answer.

        Args:
            path: of the request.
            parameters: in the address.
            method: of HTTP.
            form: in the body.
            json: in the body.
            headers: of the request.
            once: do not send it again when its answer is lost: the server may have done what it asks.

        Raises:
            SourceAwayError: there is no answer after several tries.
            RefusedError: the server sends elsewhere, or far too much.
        """

        def read(response: requests.Response) -> tuple[int, bytes]:
            return response.status_code, _whole(response)

        return self._ask(read, method, path, parameters, once=once, data=form, json=json, headers=headers)

    @contextmanager
    def file(
        self,
        path: str,
        parameters: Parameters = (),
        *,
        size: int,
        suffix: str,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Path]:
        """Yield the path of a temporary file with what the server sends; it is removed at the end.

        Args:
            path: of the request.
            parameters: of the request.
            size: what the file must have, in bytes; 0 if unknown.
            suffix: of the temporary file's name.
            headers: of the request.

        Raises:
            UnusableError: the server sends another length, or breaks off each time.
            RefusedError: it answers with something other than audio; `message` is what it says.
            SourceAwayError: it does not answer.
        """
        with tempfile.TemporaryDirectory(prefix=f".{TEMPORARY}-", suffix=_of_this_process()) as folder:
            target = Path(folder, f"track{suffix}")

            def read(response: requests.Response) -> None:
                if response.status_code not in (200, 203) or _is_document(response):
                    raise RefusedError(_whole(response).decode("utf-8", "replace"), code=response.status_code)
                _store(response, target, size)

            try:
                self._ask(read, "GET", path, parameters, headers={"Accept-Encoding": "identity", **(headers or {})})
            except _BrokenOffError as error:
                raise UnusableError(Fault(BROKEN_OFF, error.message, lasting=False)) from None
            yield target

    def _ask(
        self,
        read: Callable[[requests.Response], T],
        method: str,
        path: str,
        parameters: Parameters,
        *,
        once: bool = False,
        **settings: Any,
    ) -> T:
        """Send a request until there is an answer that says something, and return what is read from it."""
        failures = 0
        while True:
            failures += 1
            wait, kind = None, SourceAwayError
            try:
                with self._session.request(
                    method,
                    f"{self.address}/{path}",
                    params=list(parameters),
                    timeout=(self.limits.connect, self.limits.stall),
                    stream=True,
                    allow_redirects=False,
                    **settings,
                ) as response:
                    kind = _BrokenOffError
                    status = response.status_code
                    # 500 may be about this request, and not about the server
                    if status not in BUSY or (status == 500 and failures == self.limits.tries):
                        return read(self._at_home(response))
                    wait = retry_after(response.headers)
                    asks = f", and asks to wait {wait:,.0f} s" if wait else ""
                    problem, kind = f"answers {status} {response.reason or ''}".rstrip() + asks, SourceAwayError
            except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as error:
                raise self._away(f"cannot be reached safely ({type(error).__name__})") from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
                problem = "breaks off its answers" if kind is _BrokenOffError else "does not answer"
                problem += f" ({type(error).__name__})"
                if once:
                    raise self._away(problem, kind) from None
            if failures == self.limits.tries or (wait or 0) > self.limits.longest_wait:
                raise self._away(problem, kind)
            if wait is None:
                wait = self.limits.pause(failures)
            log.debug("%s %s; waiting %.1f s before try %d", self.address, problem, wait, failures + 1)
            time.sleep(wait)

    def _at_home(self, response: requests.Response) -> requests.Response:
        if not 300 <= response.status_code < 400:
            return response
        response.close()
        there = urlsplit(response.headers.get("Location", ""))
        where = f" to {there.scheme}://{there.hostname}" if there.hostname else ""
        raise RefusedError(
            f"{self.address} sends elsewhere{where}; a password is not sent after it.",
            code=response.status_code,
            hint="Use the address of the server itself.",
        )

    def _away(self, what: str, kind: type[SourceAwayError] = SourceAwayError) -> SourceAwayError:
        return kind(
            f"{self.address} {what}.",
            hint="What is known of its music stays. Run the same command again when it is there.",
        )


def checked_address(address: str) -> str:
    """Return an address without the slash at its end.

    Raises:
        UsageError: it is not the address of a server, or holds a password.
    """
    try:
        parts = urlsplit(address)
        is_server = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        is_server = False
    if not is_server or parts.query or parts.fragment:
        raise UsageError(
            "The address of a server looks like https://music.example.org, or http://127.0.0.1:4533/below.",
            hint="With the user: subsonic:https://someone@music.example.org",
        )
    if parts.username or parts.password:
        raise UsageError("An address must not hold a password: others can read it, in the shell's history for one.")
    return address.rstrip("/")


def split_user(where: str) -> tuple[str, str]:
    """Return (user, address without the user) of `https://user@host`; an empty user if there is none.

    Raises:
        UsageError: it is not the address of a server, or holds a password.
    """
    scheme, mark, rest = where.partition("://")
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    if ":" in user:
        raise UsageError(
            "An address must not hold a password: others can read it, in the shell's history for one.",
            hint="Leave it out, and it is asked for.",
        )
    return unquote(user) if at else "", checked_address(f"{scheme}{mark}{host}{slash}{path}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of_this_process() -> str:
    """Return the end of the names of this process's temporary folders."""
    return partial_path(Path("x")).name.removeprefix(".x")


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep `requests` from taking a password for this host out of ~/.netrc."""
    return request


def _whole(response: requests.Response) -> bytes:
    content = bytearray()
    for block in response.iter_content(BLOCK):
        content += block
        if len(content) > LARGEST_ANSWER_BYTES:
            raise RefusedError("The server's answer is far too long.", code=response.status_code)
    return bytes(content)


def _is_document(response: requests.Response) -> bool:
    """Whether an answer is a text, such as an error in place of the audio."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("json", "xml"))


def _store(response: requests.Response, target: Path, size: int) -> None:
    """Write the body into a file; its length must be the one that the server lists."""
    written = 0
    with target.open("wb") as file:
        for block in response.iter_content(BLOCK):
            written += len(block)
            if written > (size or LARGEST_FILE_BYTES):
                break
            file.write(block)
    if size and written != size:
        raise UnusableError(Fault(WRONG_LENGTH, f"{size:,} bytes listed", lasting=False))
    if not 0 < written <= LARGEST_FILE_BYTES:
        raise UnusableError(Fault(NO_FILE, f"{written:,} bytes", lasting=False))
