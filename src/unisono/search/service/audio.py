"""Answering a request for audio: only a regular file that is audio by its first bytes, with the type that these say."""

import os
import re
import stat
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

from unisono.audio.faults import UnusableError
from unisono.audio.open import open_audio as decodable
from unisono.base.extras import extra
from unisono.tracks.unpacked import ending_of

with extra("serve", "The search page"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse

TYPES = {
    ".aac": "audio/aac",
    ".aiff": "audio/aiff",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
}
"""Content type by the ending that fits the first bytes; never one that a browser would run."""
DECODED_TYPES = {"CAF": "audio/x-caf", "MP3": "audio/mpeg"}
"""The same by libsndfile's format, of files that the first bytes do not tell; none of the formats without a header."""
SYSTEM_FOLDERS = ("/proc/", "/sys/", "/dev/")
CHUNK = 1 << 16
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class OpenAudio:
    """An open audio file.

    Attributes:
        size: in bytes.
        content_type: by its first bytes.
    """

    def __init__(self, descriptor: int, size: int, content_type: str) -> None:
        self.size = size
        self.content_type = content_type
        self._descriptor = descriptor

    def read(self, at: int, count: int) -> bytes:
        """Read from a place; fewer bytes if the file has become shorter."""
        try:
            return os.pread(self._descriptor, count, at)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def open_audio(path: str) -> OpenAudio | None:
    """Open a file to be sent; None if it is no regular file, is not there, or is not audio by its first bytes."""
    try:
        if is_of_the_system(Path(path)):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its other end
    except (OSError, ValueError, RuntimeError):
        return None
    try:
        status = os.fstat(descriptor)
        content_type = _type(path, os.pread(descriptor, 64, 0)) if stat.S_ISREG(status.st_mode) else ""
    except OSError:
        content_type = ""
    if not content_type:
        os.close(descriptor)
        return None
    return OpenAudio(descriptor, status.st_size, content_type)


def is_of_the_system(path: Path) -> bool:
    """Return whether a path leads to what is no file of a person, such as a device."""
    return path.resolve().as_posix().startswith(SYSTEM_FOLDERS)


def _type(path: str, head: bytes) -> str:
    """Return the content type of a regular file; empty if it is not audio."""
    known = TYPES.get(ending_of(head))
    if known:
        return known
    try:  # an MP3 may begin with anything
        with decodable(path) as audio:
            return DECODED_TYPES.get(audio.streams[0].format, "")
    except UnusableError:
        return ""


class AudioResponse(StreamingResponse):
    """A file, or a range of it. It ends early, without an error, if the file has become shorter in the meantime."""

    def __init__(self, audio: OpenAudio, request: Request, headers: dict[str, str]) -> None:
        wanted = byte_range(request.headers.get("range", ""), audio.size)
        begin, end = wanted or (0, audio.size)
        headers = headers | {"Accept-Ranges": "bytes", "Content-Length": str(end - begin)}
        if wanted:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{audio.size}"
        self.audio = audio
        content = self._chunks(begin, begin if request.method == "HEAD" else end)
        super().__init__(content, 206 if wanted else 200, headers, audio.content_type)

    async def _chunks(self, at: int, end: int) -> AsyncIterator[bytes]:
        while at < end:
            chunk = await run_in_threadpool(self.audio.read, at, min(CHUNK, end - at))
            if not chunk:
                raise EndedEarlyError
            at += len(chunk)
            yield chunk

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        """Send it, and close the file."""
        try:
            await super().__call__(scope, receive, send)
        except EndedEarlyError:
            pass  # the server closes the connection of an answer that is not complete
        except BaseExceptionGroup as error:
            if error.subgroup(lambda each: not isinstance(each, EndedEarlyError)) is not None:
                raise
        finally:
            self.audio.close()


class EndedEarlyError(Exception):
    """The file has become shorter while it was sent."""


class RangeError(ValueError):
    """A range that lies outside the file, which has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Read a Range header: begin and end of the bytes to send; None for the whole file.

    Several ranges at once, and what is no range of bytes, are answered with the whole file, as the standard allows.

    Raises:
        RangeError: it begins behind the end of the file.
    """
    found = _RANGE.fullmatch(header.strip())
    if not found or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < begin:
            return None
    if begin >= size:
        raise RangeError(size)
    return begin, end


def answer_audio(source: AbstractContextManager[Path], request: Request) -> AudioResponse | None:
    """Return the answer with the audio of a file; None if it is not there, or is not audio by its first bytes.

    The file is open when the source is closed, so that a fetched one may be removed at once.

    Raises:
        RangeError: the range that is asked for lies outside the file.
    """
    with source as path:
        audio = open_audio(str(path))
    if audio is None:
        return None
    try:
        return AudioResponse(audio, request, {})
    except RangeError:
        audio.close()
        raise


def refused_range(size: int, headers: dict[str, str]) -> Response:
    """Return the answer to a range outside the file."""
    return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
