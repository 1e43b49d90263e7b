"""HTTP connections: how long to wait, how often to try, and which failures are worth another try."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SHUT_RDWR
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from unisono import __version__
from unisono.base.backoff import Patience


class SourceError(Exception):
    """One source does not have the file; the next one may."""


class TryAgainError(Exception):
    """This try failed; another one may succeed, after `wait` seconds if the server asked for that."""

    def __init__(self, reason: str, *, wait: float | None = None, slow: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.slow = slow
        """Bytes arrived, but too slowly."""


@dataclass(frozen=True, kw_only=True)
class TransferPolicy(Patience):
    """How long to wait, in seconds, and how often to try."""

    connect: float = 20
    retries: int = 8
    """The number of failures in a row, without a new byte, after which a source is given up."""
    longest_wait: float = 900


class _Session(requests.Session):
    """A session that takes no credentials from a `.netrc`, neither instead of a token nor after a redirect."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = lambda request: request

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Drop credentials where a redirect leads to another host; follow none that leaves encryption."""
        if str(response.request.url).startswith("https:") and not str(prepared_request.url).startswith("https:"):
            raise requests.exceptions.InvalidSchema(f"it redirects from https to {prepared_request.url}")
        strip: Callable[[str, str], bool] = self.should_strip_auth
        if strip(str(response.request.url), str(prepared_request.url)):
            prepared_request.headers.pop("Authorization", None)


class _PatientConnection(urllib3.connection.HTTPConnection):
    """A connection whose timeout bounds the whole header of an answer, not only the pause before each of its bytes."""

    def getresponse(self) -> Any:
        """Wait for an answer and read its header."""
        sock, is_late = self.sock, threading.Event()

        def end() -> None:
            is_late.set()
            with suppress(OSError):
                sock.shutdown(SHUT_RDWR)

        timer = threading.Timer(self.timeout or threading.TIMEOUT_MAX, end)
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()
            if is_late.is_set():
                raise TimeoutError


class _PatientTLSConnection(_PatientConnection, urllib3.connection.HTTPSConnection):
    """The same, encrypted."""


class _Adapter(HTTPAdapter):
    """Makes such connections."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return the pool of the connections to a host, through a proxy if there is one."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _PatientTLSConnection if pool.scheme == "https" else _PatientConnection
        return pool


class Web:
    """Connections that are kept and shared between the threads of one run."""

    def __init__(self, patience: TransferPolicy, connections: int) -> None:
        self.patience = patience
        self.session = _Session()
        self.session.max_redirects = 10
        self.session.headers.update({"User-Agent": f"unisono/{__version__}", "Accept-Encoding": "identity"})
        adapter = _Adapter(pool_connections=connections, pool_maxsize=connections)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)

    @contextmanager
    def get(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        """Request an address, following redirects.

        Raises:
            SourceError: another try cannot succeed.
            TryAgainError: another try may succeed.
        """
        try:
            with self._request(url, headers) as response:
                yield response
        except requests.TooManyRedirects as error:
            raise SourceError("it redirects in a circle") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise SourceError(f"it is no address that can be opened ({error})") from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise TryAgainError(f"nothing came for {self.patience.stall:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            cause = _innermost(error)
            if isinstance(cause, TimeoutError):  # through a proxy
                raise TryAgainError(f"no answer came within {self.patience.stall:g} s") from error
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise SourceError(f"its certificate cannot be trusted ({cause.verify_message})") from error
            raise TryAgainError(f"the connection failed ({cause or type(cause).__name__})") from error

    def _request(self, url: str, headers: dict[str, str]) -> requests.Response:
        timeout = (self.patience.connect, self.patience.stall)
        try:
            return self.session.get(url, headers=headers, stream=True, timeout=timeout)
        except requests.ReadTimeout as error:
            raise TryAgainError(f"no answer came within {self.patience.stall:g} s") from error
        except requests.RequestException:
            raise
        except ValueError as error:  # of a redirect's address
            raise SourceError(f"it is no address that can be opened ({error})") from error


def _innermost(error: BaseException) -> BaseException:
    """Return the first cause of an error."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
