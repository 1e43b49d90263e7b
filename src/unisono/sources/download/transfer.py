"""Fetch one file over HTTP. It is put in place only if it is the published file.

After an interruption the next try asks for the rest only. It starts again if the server cannot continue, or if its file
has changed. The published size and checksum decide whether a file is right, not the server's headers.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import requests

from unisono.base.backoff import retry_after
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.sources.base import RemoteFile
from unisono.sources.download.checksum import CHUNK, RunningChecksum, hashing_aside
from unisono.sources.download.partial import Content, PartialFile
from unisono.sources.download.web import SourceError, TryAgainError, Web

SLOWEST = 512
"""Bytes per second below which a connection is given up and made again."""
WORTH_REMEMBERING = 65_536
"""The size in bytes from which the version of a file is written down, so that it can be continued."""
WORTH_A_THREAD = 8 << 20
"""The size in bytes from which a file is hashed in a thread of its own."""
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
"""Status codes after which another try may succeed."""


_MOST_DIGITS = 18


class StoppedError(Exception):
    """The run ends, because another thread failed or the user interrupted it. Received bytes are kept."""


class FetchError(UnisonoError):
    """A file cannot be fetched from any of its sources."""


class ChangedError(SourceError):
    """The source sent the same content twice, and it is not the published one."""

    def __init__(self, published: str, got: Content) -> None:
        super().__init__(f"the publisher has changed the file: published {published}; got, twice, {got}")
        self.got = got


class Transfer:
    """The transfer of one file, from the first of its sources that has it."""

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
            file: the file.
            target: its path on disk.
            web: the connections.
            advance: called with the number of bytes received, or, negative, discarded.
            stop: once set, the transfer ends with `StoppedError`.
            headers: additional request headers, such as credentials.
            accept_changed: accept a file that its publisher has changed.
        """
        self.file, self.target, self.web = file, target, web
        self.advance, self.stop, self.headers = advance, stop or threading.Event(), headers or {}
        self.accept_changed = accept_changed
        self.accepted = False
        self._says_its_end = False  # the last response told how long it is, so that it cannot be cut unnoticed
        self.part = PartialFile.open(target, lambda: RunningChecksum.like(file.checksum, file.size))
        advance(self.part.size)

    def run(self) -> tuple[Content, str]:
        """Fetch the file; return its size and checksum, and the address that it came from.

        Raises:
            FetchError: no source has it; the message says why, for each source.
            StoppedError: the run ends.
        """
        failures: dict[str, SourceError] = {}
        if self.part.seen and not self.accept_changed:
            self._reset()  # try again: the publisher may have corrected the file
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
        """Fetch the file from one source, in as many tries as the policy allows."""
        if self.part.seen and self.part.source != url:
            self._reset()  # another source's changed file
        failures, furthest = 0, self.part.size
        while True:
            try:
                if not self._is_complete():
                    self._receive(url)
                return self._accept()
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
        """Return whether all bytes have been received."""
        return self.part.size == self.file.size > 0

    def _receive(self, url: str) -> None:
        """Make one request and receive its response."""
        self._forget_other_sources(url)
        offset = self.part.size
        headers = dict(self.headers)
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self.part.validator:
                headers["If-Range"] = self.part.validator
        with self.web.get(url, headers) as response:
            announced = self._judge(response, offset)
            self._says_its_end = announced > 0 or response.headers.get("Transfer-Encoding", "").lower() == "chunked"
            if not self.part.size:  # the first bytes of this version
                self.part.source, self.part.validator = url, _validator(response)
                if not 0 < announced < WORTH_REMEMBERING:
                    self.part.remember()
            self._stream(response, announced)
            if self.part.size > announced > 0 and not self.file.checksum:
                self._reset()
                raise TryAgainError(f"more than the {announced:,} bytes came that the server announced")
            if self.part.size < announced and self.part.size != self.file.size:
                raise TryAgainError(f"the connection ended after {self.part.size:,} of {announced:,} bytes")

    def _forget_other_sources(self, url: str) -> None:
        """Discard the received bytes if this source cannot continue them, or if an error in them could not be detected."""
        if self.part.source != url:
            self.part.validator = ""
        continuable = self.part.validator or (self.file.checksum and self.file.size)
        too_much = self.file.size and self.part.size > self.file.size
        if self.part.size and (too_much or not continuable):
            self._reset()
        self.part.resumed = self.part.size > 0

    def _judge(self, response: requests.Response, offset: int) -> int:
        """Check a response; return the size of the whole file that it announces, 0 if none."""
        status = response.status_code
        if status in TEMPORARY:
            raise TryAgainError(f"the server answered {status} {response.reason}", wait=retry_after(response.headers))
        if status == 416 and offset:
            self._reset()
            raise TryAgainError("the server cannot continue from there")
        if status not in (200, 206):
            raise SourceError(f"the server answered {status} {response.reason}")
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity") and not self.file.checksum:
            raise SourceError(
                f"it sends the file packed ({encoding}), though asked not to, and no checksum is published"
            )
        if _is_web_page(response):
            raise TryAgainError("the server sent a web page instead of the file")
        if status == 200:
            if offset:
                log.debug("%s: the server begins again instead of continuing.", self.file.name)
                self._reset()
            return _number(response.headers.get("Content-Length", ""))
        start, total = _content_range(response)
        if start != offset:
            self._reset()
            raise TryAgainError(f"asked to continue at {offset:,}, the server continued at {start:,}")
        if self.part.validator and _validator(response) not in ("", self.part.validator):
            self._reset()
            raise TryAgainError("the file was changed on the server between two tries")
        return total

    def _stream(self, response: requests.Response, announced: int) -> None:
        """Write and hash the response."""
        self._content()  # hash the bytes of an earlier run first
        expected = self.file.size or announced or 2 * self.file.about
        limit = 2 * expected + CHUNK if expected else sys.maxsize
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
                    raise SourceError(f"it sent more than twice the {expected:,} bytes expected")
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

    def _accept(self) -> Content:
        """Put a whole file in place if it is the published one; else find out whether it was damaged or changed."""
        self.part.path.touch()  # an empty file has no bytes that created it
        content = self._content()
        if self.file.size in (0, content.size) and self.file.checksum in ("", content.checksum):
            self.part.finish()
            return content
        if not self._says_its_end and content.size < (self.file.size or sys.maxsize):
            if not self.file.size:
                self._reset()
            raise TryAgainError(
                f"it ended after {content.size:,} bytes, and the server does not say how many there are"
            )
        if self.part.seen == str(content):
            return self._accept_changed(content)
        if not self.part.resumed:
            self.part.seen = str(content)
            self.part.remember()
        if content.size < self.file.size and not self.part.resumed:
            raise TryAgainError(f"the server ended after {content.size:,} of {self.file.size:,} bytes")
        self._reset()
        raise TryAgainError(f"what came ({content}) is not the published file ({self._published()})")

    def _accept_changed(self, content: Content) -> Content:
        if not self.accept_changed:
            raise ChangedError(self._published(), content)
        log.warning("%s: accepted: published %s; got %s.", self.file.name, self._published(), content)
        self.accepted = True
        self.part.finish()
        return content

    def _published(self) -> str:
        return f"{self.file.size:,} bytes, {self.file.checksum or 'no checksum'}"


def _validator(response: requests.Response) -> str:
    tag: str = response.headers.get("ETag") or ""
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified") or ""


def _content_range(response: requests.Response) -> tuple[int, int]:
    """Parse `Content-Range: bytes 7-41/42`; return the start and the total size, 0 if it is not stated."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdecimal() or len(start) > _MOST_DIGITS:
        raise TryAgainError("the server does not say which part of the file it sends")
    return int(start), _number(total)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def _is_web_page(response: requests.Response) -> bool:
    """Return whether the response is a web page, such as an error or a login; no release contains web pages."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml")
