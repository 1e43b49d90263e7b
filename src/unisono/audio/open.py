"""Opening audio files, for all that measures, decodes or checks them.

Only regular files are opened, and only what is audio by its content. Where libsndfile would believe a header that is wrong,
it is shown the file as it should be: see `mp3`, `ogg` and `unfinished`. What it does not know is left to `ffmpeg`.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.audio import ffmpeg, mp3, ogg, unfinished
from unisono.audio.faults import (
    ABSURD_RATE,
    CONTAINERS,
    EMPTY,
    NO_AUDIO,
    NOT_A_FILE,
    NOT_AUDIO,
    Fault,
    Foreign,
    UnusableError,
    foreign_format,
    of_system,
    other_content,
)
from unisono.audio.mp3 import Hole
from unisono.audio.spliced import spliced
from unisono.base import storage

Samples = NDArray[np.float32]

LOWEST_HZ, HIGHEST_HZ = 1_000, 768_000
"""Any other sample rate is a damaged or malicious header; a resampler would take all memory for some."""
FIRST_STEP = 1024
"""Frames skipped to get behind a damaged place; every further step is a quarter longer."""
LONGEST_HOLE_S = 30
"""In a file of unknown length, nothing is looked for behind a longer damaged place."""
_LONGEST_PADDING = 1 << 20
_UNKNOWN = 1 << 62
"""libsndfile states more frames than this if it does not know how many there are."""

_ERRORS = (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError)
"""What libsndfile's wrapper raises for files it cannot make sense of."""


class SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read onwards from its beginning, or from where it was set."""

    def seekable(self) -> bool:
        """Return False, or soundfile would seek after every read to where it is, and decode some frames of MP3 twice."""
        return False


class _Stream:
    """What libsndfile opens at once: the whole file, or one link of a chained Ogg file."""

    __slots__ = ("channels", "format", "frames", "is_fresh", "rate_hz", "reopen", "sound")

    def __init__(self, reopen: Callable[[], Any]) -> None:
        """Open it by `reopen`, which returns a `SoundFile` or what has its methods."""
        self.reopen = reopen
        self.sound = sound = reopen()
        self.format: str = sound.format
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        self.frames: int = sound.frames
        self.is_fresh = True  # nothing has been read of it

    def begin_again(self) -> None:
        """Open it again, after an error that libsndfile does not recover from."""
        self.sound.close()
        self.sound = self.reopen()
        self.is_fresh = True


class DecodedBlock(NamedTuple):
    """The next decoded frames."""

    rate_hz: int
    samples: Samples
    """[frames, channels]; valid until the next block."""


class AudioFile:
    """An open audio file; a context manager. Frames are counted at `rate_hz`."""

    def __init__(self, path: str, descriptor: int, size: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = size
        """In bytes."""
        self.head = os.pread(descriptor, mp3.HEAD_BYTES, 0)
        self.streams: list[_Stream] = []
        self.rate_hz = 0
        """Sample rate; the first one, if there are several."""
        self.frames = 0
        """Frames that can be decoded, as far as is known without decoding."""
        self.stated_frames = 0
        """Frames that should be there by the file's own header."""
        self.holes: list[Hole] = []
        """Damaged places: those known when the file was opened, and those met while reading."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        for stream in self.streams:
            stream.sound.close()
        os.close(self.descriptor)

    @property
    def lowest_hz(self) -> int:
        """The lowest of its sample rates."""
        return min(stream.rate_hz for stream in self.streams)

    @property
    def channels(self) -> int:
        """Number of channels; the first one, if there are several."""
        return self.streams[0].channels

    def ends_early(self) -> bool:
        """Return whether a FLAC file ends before its header says. Other formats are known to their true end."""
        stream = self.streams[-1]
        if stream.format != "FLAC":
            return False
        stream.is_fresh = False
        try:
            stream.sound.seek(max(0, stream.frames - 1))
            return len(stream.sound.read(1)) == 0
        except soundfile.SoundFileError:
            return True

    def count(self) -> int:
        """Decode the whole file, and return how many frames there are."""
        buffer = np.empty(1 << 16, np.float32)
        return sum(len(block.samples) for block in self.blocks(0, 2 * _UNKNOWN, buffer))

    def lost_s(self, begin_s: float, end_s: float) -> float:
        """Return how many seconds between two places were damaged, as far as is known."""
        return sum(hole.lost_s for hole in self.holes if begin_s <= hole.at_s <= end_s)

    def damage(self) -> str:
        """Return what is damaged in words; empty if nothing is."""
        if not self.holes:
            return ""
        places = ", ".join(f"{hole.at_s:.2f} s" for hole in self.holes[:3]) + (" ..." if len(self.holes) > 3 else "")
        return f"damaged at {places}: {max(0.01, sum(hole.lost_s for hole in self.holes)):.2f} s are lost"

    def blocks(
        self, begin: int, wanted: int, buffer: Samples, most_frames: int | None = None
    ) -> Iterator[DecodedBlock]:
        """Decode up to `wanted` frames from `begin` on, into a flat buffer that is used again for every block.

        Damaged places are left out and noted in `holes`.
        """
        for stream in self.streams:
            frames = _converted(stream.frames, stream.rate_hz, self.rate_hz)
            take = min(wanted, frames - begin)
            if take > 0:
                first, count = (_converted(each, self.rate_hz, stream.rate_hz) for each in (begin, take))
                try:
                    yield from self._blocks(stream, first, count, buffer, most_frames or len(buffer))
                except _ERRORS as error:  # the file has changed since it was opened
                    raise UnusableError(_not_audio(error)._replace(lasting=False)) from error
                wanted -= take
            begin = max(0, begin - frames)

    def _blocks(
        self, stream: _Stream, begin: int, wanted: int, buffer: Samples, most_frames: int
    ) -> Iterator[DecodedBlock]:
        rate_hz, channels = stream.rate_hz, stream.channels
        size = max(1, min(most_frames, len(buffer) // channels))
        if len(buffer) < channels:
            buffer = np.empty(channels, np.float32)
        _go_to(stream, begin, buffer)
        at, end = begin, begin + wanted
        while at < end:
            view = buffer[: min(size, end - at) * channels].reshape(-1, channels)
            count, is_broken = _read(stream.sound, view, at)
            at += count
            if count:
                yield DecodedBlock(rate_hz, view[:count])
            if at < end and (is_broken or not count):
                resumed = _behind_damage(stream, at, end, is_broken=is_broken)
                if resumed is None:
                    return
                self.holes.append(Hole(at / rate_hz, (resumed - at) / rate_hz))
                at = resumed


class Length(NamedTuple):
    """How much audio a file holds."""

    frames: int
    rate_hz: int
    note: str = ""
    """What is odd about it."""


def open_audio(path: str) -> AudioFile:
    """Open an audio file to be decoded.

    Raises:
        UnusableError: it is no regular file, holds no audio, or cannot be read.
    """
    return _ready(_opened(path))


def measure(path: str) -> Length:
    """Return how much of a file can be decoded, reading as little of it as possible.

    Damage inside an MP3 file is not noticed here, if its header agrees with its size and bit rate.

    Raises:
        UnusableError: as for `open_audio`.
    """
    audio = _opened(path)
    if audio.head[:3] == b"ID3" or audio.head[:1] == b"\xff":
        stated = mp3.stated_length(audio.descriptor, audio.head, audio.size)
        if stated:
            audio.close()
            return Length(*stated)
    with _ready(audio):
        frames = audio.count() if audio.ends_early() else audio.frames
        is_plain = frames == audio.stated_frames and not audio.holes and len(audio.streams) == 1
        return Length(frames, audio.rate_hz, "" if is_plain else _oddities(audio, frames))


def _oddities(audio: AudioFile, frames: int) -> str:
    notes = []
    if frames < audio.stated_frames:
        stated_s, there_s = audio.stated_frames / audio.rate_hz, frames / audio.rate_hz
        notes.append(f"cut short: its header says {stated_s:.2f} s, {there_s:.2f} s are there")
    if audio.holes:
        notes.append(audio.damage())
    if len(audio.streams) > 1:
        notes.append(f"{len(audio.streams)} chained streams")
    return "; ".join(notes)


def _opened(path: str) -> AudioFile:
    """Open a regular file."""
    try:
        descriptor, path = storage.open_file(path)
    except (OSError, ValueError) as error:
        raise UnusableError(_refused(path, error)) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return AudioFile(path, descriptor, status.st_size)
    os.close(descriptor)
    raise UnusableError(Fault(EMPTY if stat.S_ISREG(status.st_mode) else NOT_A_FILE))


def _ready(audio: AudioFile) -> AudioFile:
    """Find the streams of a file and check them; close the file if it cannot be used."""
    try:
        _find_streams(audio)
        _settle(audio)
    except BaseException as error:
        audio.close()
        if isinstance(error, _ERRORS):
            fault = _not_audio(error)
            what = other_content(audio.head) if fault.reason == NOT_AUDIO else ""
            raise UnusableError(fault._replace(detail=what or fault.detail)) from error
        raise
    return audio


def _settle(audio: AudioFile) -> None:
    """Check what was found, and set the length of the whole file."""
    if not audio.streams:
        raise UnusableError(Fault(NO_AUDIO))
    audio.rate_hz = audio.streams[0].rate_hz
    for stream in audio.streams:
        if not LOWEST_HZ <= stream.rate_hz <= HIGHEST_HZ:
            raise UnusableError(Fault(ABSURD_RATE, f"{stream.rate_hz} Hz"))
        if stream.frames > _UNKNOWN:
            stream.frames = audio.count()
            stream.begin_again()
            audio.holes = []
        audio.frames += _converted(stream.frames, stream.rate_hz, audio.rate_hz)
    audio.stated_frames = audio.stated_frames or audio.frames
    if not audio.frames:
        raise UnusableError(Fault(NO_AUDIO))


def _find_streams(audio: AudioFile) -> None:
    """Open what libsndfile should read of a file."""
    descriptor, size = audio.descriptor, audio.size

    def whole() -> SoundFile:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return SoundFile(descriptor, closefd=False)

    try:
        stream = _Stream(whole)
    except _ERRORS as error:
        _find_unrecognised(audio, error)
        return
    audio.streams = [stream]
    if stream.format == "MP3":
        _use(audio, mp3.walk(descriptor, size))
    elif stream.format == "OGG":
        _use_links(audio, ogg.links(descriptor, audio.head, size))
    elif not stream.frames and (pieces := unfinished.mended(descriptor, audio.head, size)):
        stream.sound.close()
        audio.streams = [_Stream(lambda: SoundFile(spliced(descriptor, pieces)))]


def _use(audio: AudioFile, walks: list[mp3.Walk]) -> None:
    """Read an MP3 file by its frames, if they tell something else than libsndfile does."""
    if not walks:
        return
    first = walks[0]
    if first.is_cut:
        audio.stated_frames = first.stated_frames * first.kind.samples
    begin_s = 0.0
    for walked in walks:
        audio.holes += [hole._replace(at_s=begin_s + hole.at_s) for hole in walked.holes]
        begin_s += walked.samples / walked.kind.rate_hz
    if audio.streams:
        stream = audio.streams[0]
        is_right = first.frames == first.stated_frames or first.samples == stream.frames
        if is_right and not audio.holes and len(walks) == 1:
            return
        stream.sound.close()
    audio.streams = [_Stream(partial(_pieces, audio.descriptor, walked)) for walked in walks]


def _use_links(audio: AudioFile, links: list[tuple[int, int]]) -> None:
    """Read an Ogg file by its links, if there are several."""
    if len(links) > 1:
        audio.streams[0].sound.close()
        audio.streams = [each for link in links if (each := _link(audio.descriptor, link))]


def _pieces(descriptor: int, walked: mp3.Walk) -> SoundFile:
    return SoundFile(spliced(descriptor, walked.pieces))


def _find_unrecognised(audio: AudioFile, error: Exception) -> None:
    """Try what libsndfile does not recognise by its first bytes."""
    if pieces := unfinished.mended(audio.descriptor, audio.head, audio.size):
        with suppress(*_ERRORS):
            audio.streams = [_Stream(lambda: SoundFile(spliced(audio.descriptor, pieces)))]
            return
    tags_end = mp3.behind_tags(audio.descriptor)
    if _find_from(audio, tags_end):
        return
    begin = _behind_zeros(audio.descriptor, tags_end)
    if begin > tags_end and _find_from(audio, begin):
        return
    _use(audio, mp3.walk(audio.descriptor, audio.size))
    if audio.streams:
        return
    if tags_end:
        raise UnusableError(Fault(NO_AUDIO, "nothing but tags")) from error
    if container := foreign_format(audio.head, CONTAINERS):
        audio.streams = [_of_rare_encoding(audio.path, container, error)]
        return
    raise error


def _behind_zeros(descriptor: int, at: int) -> int:
    """Return where the zeros at a place of a file end, as some programs leave them; the place itself if all is zeros."""
    content = os.pread(descriptor, _LONGEST_PADDING, at)
    return at + len(content) - len(content.lstrip(b"\0") or content)


def _find_from(audio: AudioFile, begin: int) -> bool:
    """Open what begins behind tags or zeros; return whether its format is known. Frames of MP3 are found otherwise."""
    head = os.pread(audio.descriptor, 64, begin)
    if foreign := foreign_format(head):
        audio.streams = [_Stream(lambda: ffmpeg.open_foreign(audio.path, foreign, begin))]
        return True
    stream = _link(audio.descriptor, (begin, audio.size - begin)) if begin else None
    if stream is None:
        return False
    if stream.format == "MP3":
        stream.sound.close()
        return False
    audio.streams = [stream]
    if stream.format == "OGG":
        _use_links(audio, ogg.links(audio.descriptor, head, audio.size, begin))
    return True


def _of_rare_encoding(path: str, container: Foreign, error: Exception) -> _Stream:
    """Open a file of which libsndfile knows the container alone; raise its error if ffmpeg does not know more."""
    try:
        return _Stream(lambda: ffmpeg.open_foreign(path, container))
    except UnusableError as refused:
        if ffmpeg.is_here():
            raise error from None
        said = _not_audio(error)
        raise UnusableError(
            Fault(said.reason, f"{said.detail} If it plays elsewhere, {refused.fault.detail}", lasting=False)
        ) from error


def _link(descriptor: int, link: tuple[int, int]) -> _Stream | None:
    try:
        return _Stream(lambda: SoundFile(spliced(descriptor, [link])))
    except _ERRORS:  # not audio
        return None


def _not_audio(error: Exception) -> Fault:
    if isinstance(error, OSError):
        return of_system(error)
    said = str(error).partition(": ")[2] if isinstance(error, soundfile.LibsndfileError) else str(error)
    return Fault(NOT_AUDIO, " ".join(said.split()))


def _refused(path: str, error: OSError | ValueError) -> Fault:
    """Tell a socket, which cannot be opened, from a file that is missing or protected."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return Fault(NOT_A_FILE)
    except (OSError, ValueError):
        pass
    return of_system(error)


def _read(sound: Any, view: Samples, at: int) -> tuple[int, bool]:
    """Read frames from `at` on; return how many there are, and whether an error ended them."""
    try:
        return len(sound.read(out=view)), False
    except soundfile.SoundFileError:
        with suppress(soundfile.SoundFileError):
            return max(0, sound.tell() - at), True
        return 0, True


def _go_to(stream: _Stream, begin: int, buffer: Samples) -> None:
    """Set where reading begins; formats that cannot seek are read up to there."""
    if stream.is_fresh and not begin:
        stream.is_fresh = False
        return
    try:
        stream.sound.seek(begin)
        stream.is_fresh = False
        return
    except soundfile.SoundFileError:
        stream.begin_again()
    at, channels = 0, stream.channels
    while at < begin:
        view = buffer[: min(len(buffer) // channels, begin - at) * channels].reshape(-1, channels)
        count, is_broken = _read(stream.sound, view, at)
        at += count
        if is_broken or not count:
            return


def _behind_damage(stream: _Stream, at: int, end: int, *, is_broken: bool) -> int | None:
    """Go on behind a damaged place; return where, or None if nothing can be decoded behind it."""
    if stream.format == "OGG":  # its length is that of the last page, so that shorter audio is damaged, not cut
        return end
    if stream.format == ffmpeg.FORMAT:  # goes on by itself where it can
        return None
    if end > _UNKNOWN:
        if not is_broken:
            return None
        end = at + LONGEST_HOLE_S * stream.rate_hz
    step = FIRST_STEP
    one = np.empty((1, stream.channels), np.float32)
    while (at := at + step) < end:
        step += step // 4
        stream.begin_again()
        with suppress(soundfile.SoundFileError):
            stream.sound.seek(at)
            if len(stream.sound.read(out=one)):
                stream.sound.seek(at)
                return at
    return None


def _converted(frames: int, from_hz: int, to_hz: int) -> int:
    return frames if from_hz == to_hz else round(frames * to_hz / from_hz)
