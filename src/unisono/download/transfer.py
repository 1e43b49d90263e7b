"""Fetch one file over HTTP so that what is in place in the end is what its publisher described, or nothing is.

Bytes go to `<name>.part`, and beside it `<name>.part.json` remembers which answer they belong to (the server's entity
tag). Whatever interrupts, the next try asks for the rest only; a server that cannot continue, or whose file is another
one by now, makes it start again. Size and checksum are those published; they decide, not what the server says.
"""

import json
import random
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
import urllib3
from requests.adapters import HTTPAdapter

from unisono import __version__
from unisono.console import log
from unisono.download.checksum import CHUNK, Digest, hash_file, hashing_aside
from unisono.errors import UnisonoError
from unisono.release import RemoteFile

SLOWEST = 512
"""Bytes a second below which a connection is given up and made anew."""
WORTH_REMEMBERING = 65_536
"""Bytes from which on it is noted which version of a file has begun to come, so that it can be continued."""
WORTH_A_THREAD = 16 << 20
"""Bytes from which on hashing has a thread of its own."""
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
"""Answers after which trying again helps."""


class StoppedError(Exception):
    """The run ends: another thread failed or the user interrupted. What was received is kept."""


class FetchError(UnisonoError):
    """None of a file's sources can give it."""


class SourceError(Exception):
    """One source cannot give the file; the next one may."""


class TryAgainError(Exception):
    """This try failed; another may do better, after `wait` seconds if the server asked for that."""

    def __init__(self, reason: str, *, wait: float | None = None, slow: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.slow = slow
        """Bytes came, but too slowly to ever see the end."""


@dataclass(frozen=True)
class Content:
    """Size and checksum of something received."""

    size: int
    checksum: str

    def __str__(self) -> str:
        return f"{self.size:,} bytes, {self.checksum}"


class ChangedError(SourceError):
    """The source gave the same content twice, and it is not what was published."""

    def __init__(self, published: str, got: Content) -> None:
        super().__init__(f"the publisher has changed the file: published {published}; got, twice, {got}")
        self.got = got


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for what, in seconds."""

    connect: float = 20
    stall: float = 60
    retries: int = 8
    """Failures in a row, without a new byte, after which a source is given up."""
    first_pause: float = 1
    longest_pause: float = 60
    longest_wait: float = 900
    """The longest Retry-After that is waited for."""

    def pause(self, failures: int) -> float:
        """Give the pause after so many failures in a row: doubling, with jitter, so that many clients spread out."""
        return random.uniform(0.5, 1) * min(self.longest_pause, self.first_pause * 2.0 ** (failures - 1))


@dataclass
class Part:
    """What has been received of a file so far, on disk."""

    target: Path
    digest: Digest
    size: int = 0
    """Bytes on disk."""
    resumed: bool = False
    """They come from more than one answer."""
    source: str = ""
    """The address they came from."""
    validator: str = ""
    """What the server called this version of the file: its strong entity tag, or else the date of its last change."""
    seen: str = ""
    """A whole transfer that was not what was published: its content. A second one like it is no damage."""
    _new_digest: Callable[[], Digest] = field(repr=False, kw_only=True)

    @classmethod
    def open(cls, target: Path, new_digest: Callable[[], Digest]) -> "Part":
        """Take up what an earlier run has left."""
        part = cls(target, new_digest(), _new_digest=new_digest)
        try:
            state = json.loads(part.state_path.read_bytes())
            part.source, part.validator, part.seen = state["source"], state["validator"], state["seen"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing is known of the bytes, if any: only a published checksum can tell whether they are right
        if part.path.is_file():
            part.size = part.path.stat().st_size
            part.resumed = part.size > 0
        return part

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def state_path(self) -> Path:
        """Where it is remembered what they are."""
        return self.target.with_name(self.target.name + ".part.json")

    def remember(self) -> None:
        """Write down what the bytes are, before the first of them comes."""
        state = {"source": self.source, "validator": self.validator, "seen": self.seen}
        self.state_path.write_text(json.dumps(state))

    def reset(self) -> None:
        """Begin again."""
        self.path.unlink(missing_ok=True)
        self.size, self.resumed, self.validator, self.digest = 0, False, "", self._new_digest()

    def content(self, each: Callable[[int], None]) -> Content:
        """Give size and checksum of what is there; only what came in an earlier run is read for it."""
        if self.digest.length != self.size:
            self.digest = hash_file(self.path, self._new_digest(), each)
        return Content(self.size, str(self.digest))

    def finish(self) -> None:
        """Put the file in place."""
        self.path.replace(self.target)
        self.state_path.unlink(missing_ok=True)


class Web:
    """Connections that are kept and shared between the threads of one run."""

    def __init__(self, patience: Patience, connections: int) -> None:
        self.patience = patience
        self.session = requests.Session()
        self.session.max_redirects = 10
        self.session.headers.update({"User-Agent": f"unisono/{__version__}", "Accept-Encoding": "identity"})
        adapter = HTTPAdapter(pool_connections=connections, pool_maxsize=connections)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)

    @contextmanager
    def get(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        """Open an address, following redirects.

        Raises:
            SourceError: trying again cannot help.
            TryAgainError: it may.
        """
        timeout = (self.patience.connect, self.patience.stall)
        try:
            with self.session.get(url, headers=headers, stream=True, timeout=timeout) as response:
                yield response
        except requests.TooManyRedirects as error:
            raise SourceError("it redirects in a circle") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise SourceError(f"it is no address that can be opened ({error})") from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise TryAgainError(f"nothing came for {self.patience.stall:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            cause = _innermost(error)
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise SourceError(f"its certificate cannot be trusted ({cause.verify_message})") from error
            raise TryAgainError(f"the connection failed ({cause or type(cause).__name__})") from error


class Transfer:
    """Bring one file into place, from the first of its sources that can give it."""

    def __init__(
        self,
        file: RemoteFile,
        target: Path,
        web: Web,
        *,
        advance: Callable[[int], None] = lambda count: None,
        stop: threading.Event | None = None,
        headers: dict[str, str] | None = None,
        accept_changed: bool = False,
    ) -> None:
        """Prepare a transfer.

        Args:
            file: what is wanted.
            target: where it goes.
            web: the connections.
            advance: told how many bytes have come, or, negative, were lost.
            stop: once set, the transfer ends with `StoppedError`.
            headers: sent along, e.g. credentials.
            accept_changed: take a file that its publisher has changed.
        """
        self.file, self.target, self.web = file, target, web
        self.advance, self.stop, self.headers = advance, stop or threading.Event(), headers or {}
        self.accept_changed = accept_changed
        self.accepted = False
        self.part = Part.open(target, lambda: Digest.like(file.checksum, file.size))
        advance(self.part.size)

    def run(self) -> tuple[Content, str]:
        """Fetch the file and give its content and the source it came from.

        Raises:
            FetchError: no source can give it; says why for each.
            StoppedError: the run ends.
        """
        failures: dict[str, SourceError] = {}
        if self.part.seen and not self.accept_changed:
            self._reset()  # ask again: the publisher may have put the file right
        elif self.part.seen and self.part.seen == str(self._content()):
            return self._accept_changed(self._content()), self.part.source
        for url in self.file.urls:
            try:
                return self._fetch(url), url
            except SourceError as failure:
                failures[url] = failure
                log.warning("%s: %s: %s.", self.file.name, url, failure)
        raise self._failed(failures)

    def _failed(self, failures: dict[str, SourceError]) -> FetchError:
        reasons = "".join(f"\n  {url}: {failure}" for url, failure in failures.items())
        message = f"{self.file.name} could not be fetched:{reasons or ' it has no source'}"
        if any(isinstance(failure, ChangedError) for failure in failures.values()):
            hint = "If you trust the new file, run the same command with --accept-new-checksum."
        else:
            kept = f" The first {self.part.size:,} bytes are kept." if self.part.size else ""
            hint = f"Run the same command again later, or fetch the file by other means and use --from-dir.{kept}"
        return FetchError(message, hint=hint)

    def _fetch(self, url: str) -> Content:
        """Fetch the file from one source, however many tries that takes."""
        if self.part.seen and self.part.source != url:
            self._reset()  # another source's changed file
        failures, furthest = 0, self.part.size
        while True:
            try:
                if not self._is_complete():
                    self._receive(url)
                return self._accept(url)
            except TryAgainError as problem:
                failures = 1 if self.part.size > furthest and not problem.slow else failures + 1
                furthest = max(furthest, self.part.size)
                if failures > self.web.patience.retries:
                    raise SourceError(f"{problem}; tried {failures} times") from problem
                wait = self.web.patience.pause(failures) if problem.wait is None else problem.wait
                if wait > self.web.patience.longest_wait:
                    raise SourceError(f"{problem}; it asks to come back in {wait:,.0f} s") from problem
                log.debug("%s: %s; trying again in %.1f s.", self.file.name, problem, wait)
                if self.stop.wait(wait):
                    raise StoppedError from problem

    def _is_complete(self) -> bool:
        """Tell whether everything has been received already."""
        return self.part.size == self.file.size > 0

    def _receive(self, url: str) -> None:
        """Make one request and take what comes, until its end."""
        self._forget_other_sources(url)
        offset = self.part.size
        headers = dict(self.headers)
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self.part.validator:
                headers["If-Range"] = self.part.validator
        with self.web.get(url, headers) as response:
            announced = self._judge(response, offset)
            if not self.part.size:  # the first bytes of this version
                self.part.source, self.part.validator = url, _validator(response)
                if not 0 < announced < WORTH_REMEMBERING:
                    self.part.remember()
            self._stream(response, announced)
            if self.part.size < announced and self.part.size != self.file.size:
                raise TryAgainError(f"the connection ended after {self.part.size:,} of {announced:,} bytes")

    def _forget_other_sources(self, url: str) -> None:
        """Begin again unless what is there can be continued from this source, and found out to be wrong."""
        if self.part.source != url:
            self.part.validator = ""
        continuable = self.part.validator or (self.file.checksum and self.file.size)
        too_much = self.file.size and self.part.size > self.file.size
        if self.part.size and (too_much or not continuable):
            self._reset()
        self.part.resumed = self.part.size > 0

    def _judge(self, response: requests.Response, offset: int) -> int:
        """Decide what an answer is good for, and give the size of the whole file that it announces (0: none)."""
        status = response.status_code
        if status in TEMPORARY:
            raise TryAgainError(f"the server answered {status} {response.reason}", wait=_retry_after(response))
        if status == 416 and offset:
            self._reset()
            raise TryAgainError("the server cannot continue from there")
        if status not in (200, 206):
            raise SourceError(f"the server answered {status} {response.reason}")
        if _is_web_page(response):
            raise TryAgainError("the server sent a web page instead of the file")
        if status == 200:
            if offset:
                log.debug("%s: the server begins again instead of continuing.", self.file.name)
                self._reset()
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() else 0
        start, total = _content_range(response)
        if start != offset:
            self._reset()
            raise TryAgainError(f"asked to continue at {offset:,}, the server continued at {start:,}")
        if self.part.validator and _validator(response) not in ("", self.part.validator):
            self._reset()
            raise TryAgainError("the file was changed on the server between two tries")
        return total

    def _stream(self, response: requests.Response, announced: int) -> None:
        """Write and hash what comes, until the answer ends."""
        self._content()  # hashes what an earlier run has received, so that hashing can go on from there
        limit = 2 * self.file.size + CHUNK if self.file.size else sys.maxsize
        stall = self.web.patience.stall
        mark, size_at_mark = time.monotonic(), self.part.size
        digest = self.part.digest
        aside = hashing_aside(digest) if announced > WORTH_A_THREAD else nullcontext(digest.update)
        with self.part.path.open("ab") as out, aside as to_hash:
            while chunk := response.raw.read1(CHUNK):
                out.write(chunk)
                to_hash(chunk)
                self.part.size += len(chunk)
                self.advance(len(chunk))
                self._check_stop()
                if self.part.size > limit:
                    raise SourceError(f"it sent more than twice the {self.file.size:,} bytes published")
                if (now := time.monotonic()) > mark + stall:
                    if self.part.size - size_at_mark < SLOWEST * stall:
                        raise TryAgainError(f"less than {SLOWEST:,} bytes came a second", slow=True)
                    mark, size_at_mark = now, self.part.size

    def _check_stop(self, _: int = 0) -> None:
        if self.stop.is_set():
            raise StoppedError

    def _content(self) -> Content:
        return self.part.content(self._check_stop)

    def _reset(self) -> None:
        self.advance(-self.part.size)
        self.part.reset()

    def _accept(self, url: str) -> Content:
        """Put a whole file in place if it is what was published; else find out what it is instead."""
        self.part.path.touch()  # of an empty file nothing came
        content = self._content()
        if self.file.size in (0, content.size) and self.file.checksum in ("", content.checksum):
            self.part.finish()
            return content
        if self.part.seen == str(content):
            return self._accept_changed(content)
        if not self.part.resumed:
            self.part.seen = str(content)
            self.part.remember()
        if content.size < self.file.size and not self.part.resumed:
            raise TryAgainError(f"the server ended after {content.size:,} of {self.file.size:,} bytes")
        self._reset()
        raise TryAgainError(f"what came ({content}) is not what was published ({self._published()})")

    def _accept_changed(self, content: Content) -> Content:
        if not self.accept_changed:
            raise ChangedError(self._published(), content)
        log.warning("%s: accepted: published %s; got %s.", self.file.name, self._published(), content)
        self.accepted = True
        self.part.finish()
        return content

    def _published(self) -> str:
        return f"{self.file.size:,} bytes, {self.file.checksum or 'no checksum'}"


def _innermost(error: BaseException) -> BaseException:
    """Give the error that began it all."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _validator(response: requests.Response) -> str:
    tag: str = response.headers.get("ETag") or ""
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified") or ""


def _content_range(response: requests.Response) -> tuple[int, int]:
    """Read `Content-Range: bytes 7-41/42`: where the answer starts and how long the whole is (0: not said)."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdecimal():
        raise TryAgainError("the server does not say which part of the file it sends")
    return int(start), int(total) if total.isdecimal() else 0


def _is_web_page(response: requests.Response) -> bool:
    """Tell whether an error page or a login came; no release consists of web pages."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml")


def _retry_after(response: requests.Response) -> float | None:
    """Read `Retry-After`: seconds, or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
