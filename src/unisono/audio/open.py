"""Opening audio files, for all that measures, decodes or checks them.

Only regular files are opened, and only what is audio by its content. Where libsndfile would believe a header that is wrong,
it is shown the file as it should be: see `mp3`, `ogg` and `riff`.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.audio import mp3, ogg, riff
from unisono.audio.faults import (
    ABSURD_RATE,
    EMPTY,
    NO_AUDIO,
    NOT_A_FILE,
    NOT_AUDIO,
    Fault,
    UnusableError,
    foreign_format,
    of_system,
)
from unisono.audio.mp3 import Hole
from unisono.audio.spliced import spliced

Samples = NDArray[np.float32]

RATES_HZ = range(1_000, 768_001)
"""Any other sample rate is a damaged or malicious header; a resampler would take all memory for some."""
FIRST_STEP = 1024
"""Frames skipped to get behind a damaged place; every further step is a quarter longer."""
_UNKNOWN = 1 << 62
"""libsndfile states more frames than this if it does not know how many there are."""

_ERRORS = (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError)
"""What libsndfile's wrapper raises for files it cannot make sense of."""


class SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read onwards from its beginning, or from where it was set."""

    def seekable(self) -> bool:
        """Return False, or soundfile would seek after every read to where it is, and decode some frames of MP3 twice."""
        return False


@dataclass
class _Stream:
    """What libsndfile opens at once: the whole file, or one link of a chained Ogg file."""

    sound: SoundFile
    reopen: Callable[[], SoundFile]
    frames: int
    is_fresh: bool = True
    """Nothing has been read of it."""


class Block(NamedTuple):
    """The next decoded frames."""

    rate_hz: int
    samples: Samples
    """[frames, channels]; valid until the next block."""


@dataclass
class AudioFile:
    """An open audio file; a context manager. Frames are counted at `rate_hz`."""

    path: str
    descriptor: int
    streams: list[_Stream] = field(default_factory=list)
    stated_frames: int = 0
    """Frames that should be there by the file's own header."""
    holes: list[Hole] = field(default_factory=list)
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
        self.streams = []
        os.close(self.descriptor)

    @property
    def rate_hz(self) -> int:
        """Sample rate; the first one, if there are several."""
        return int(self.streams[0].sound.samplerate)

    @property
    def lowest_hz(self) -> int:
        """The lowest of its sample rates."""
        return min(int(stream.sound.samplerate) for stream in self.streams)

    @property
    def channels(self) -> int:
        """Number of channels; the first one, if there are several."""
        return int(self.streams[0].sound.channels)

    @property
    def frames(self) -> int:
        """Frames that can be decoded, as far as is known without decoding."""
        return sum(_converted(stream.frames, stream.sound.samplerate, self.rate_hz) for stream in self.streams)

    def ends_early(self) -> bool:
        """Return whether a FLAC file ends before its header says. Other formats are known to their true end."""
        stream = self.streams[-1]
        if stream.sound.format != "FLAC":
            return False
        stream.is_fresh = False
        try:
            stream.sound.seek(max(0, stream.frames - 1))
            return len(stream.sound.read(1)) == 0
        except soundfile.SoundFileError:
            return True

    def count(self) -> int:
        """Decode the whole file, and return how many frames that gives."""
        buffer = np.empty(1 << 16, np.float32)
        return sum(len(block.samples) for block in self.blocks(0, _UNKNOWN, buffer))

    def lost_s(self, begin_s: float, end_s: float) -> float:
        """Return how many seconds between two places were damaged, as far as is known."""
        return sum(hole.lost_s for hole in self.holes if begin_s <= hole.at_s <= end_s)

    def damage(self) -> str:
        """Return what is damaged in words; empty if nothing is."""
        if not self.holes:
            return ""
        places = ", ".join(f"{hole.at_s:.2f} s" for hole in self.holes[:3]) + (" ..." if len(self.holes) > 3 else "")
        return f"damaged at {places}: {sum(hole.lost_s for hole in self.holes):.2f} s are lost"

    def blocks(self, begin: int, wanted: int, buffer: Samples, most_frames: int | None = None) -> Iterator[Block]:
        """Decode up to `wanted` frames from `begin` on, into a flat buffer that is used again for every block.

        Damaged places are left out and noted in `holes`.
        """
        for stream in self.streams:
            rate_hz = stream.sound.samplerate
            frames = _converted(stream.frames, rate_hz, self.rate_hz)
            if begin < frames and wanted > 0:
                take = min(wanted, frames - begin)
                yield from self._blocks(
                    stream,
                    _converted(begin, self.rate_hz, rate_hz),
                    _converted(take, self.rate_hz, rate_hz),
                    buffer,
                    most_frames or len(buffer),
                )
                wanted -= take
            begin = max(0, begin - frames)

    def _blocks(
        self, stream: _Stream, begin: int, wanted: int, buffer: Samples, most_frames: int
    ) -> Iterator[Block]:
        rate_hz, channels = int(stream.sound.samplerate), int(stream.sound.channels)
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
                yield Block(rate_hz, view[:count])
            if at < end and (is_broken or not count):
                # The length of Ogg is that of its last page: if that is there, it is damage that makes it shorter.
                resumed = end if stream.sound.format == "OGG" else _resume(stream, at, end)
                if resumed is None:
                    return
                self.holes.append(Hole(at / rate_hz, (resumed - at) / rate_hz))
                at = resumed


def open_audio(path: str, *, exact: bool = True) -> AudioFile:
    """Open an audio file.

    With `exact`, damage inside an MP3 file is known when it is open; without, a header is believed that agrees with the
    file's size and bit rate, which is faster.

    Raises:
        UnusableError: it is no regular file, holds no audio, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its other end
    except (OSError, ValueError) as error:
        raise UnusableError(_refused(path, error)) from error
    audio = AudioFile(path, descriptor)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableError(Fault(NOT_A_FILE))
        if not status.st_size:
            raise UnusableError(Fault(EMPTY))
        _find_streams(audio, status.st_size, exact=exact)
        for stream in audio.streams:
            if stream.sound.samplerate not in RATES_HZ:
                raise UnusableError(Fault(ABSURD_RATE, f"{stream.sound.samplerate} Hz"))
            if stream.frames > _UNKNOWN:
                stream.frames = audio.count()
                audio.holes = []
        audio.stated_frames = audio.stated_frames or audio.frames
        if not audio.frames:
            raise UnusableError(Fault(NO_AUDIO))
    except BaseException as error:
        audio.close()
        if isinstance(error, OSError):
            raise UnusableError(of_system(error)) from error
        raise
    return audio


def _find_streams(audio: AudioFile, size: int, *, exact: bool) -> None:
    """Open what libsndfile should read of a file."""
    descriptor = audio.descriptor

    def whole() -> SoundFile:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return SoundFile(descriptor, closefd=False)

    try:
        sound = whole()
    except _ERRORS as error:
        _find_unrecognised(audio, size, error)
        return
    audio.streams = [_Stream(sound, whole, sound.frames)]
    kind = sound.format
    if kind == "MP3":
        if exact or not mp3.agrees(descriptor, os.pread(descriptor, mp3.HEAD_BYTES, 0), size):
            _use(audio, mp3.walk(descriptor, size))
    elif kind == "OGG":
        links = ogg.links(descriptor, os.pread(descriptor, ogg.HEAD_BYTES, 0), size)
        if len(links) > 1:
            sound.close()
            audio.streams = [stream for link in links if (stream := _link(descriptor, link))]
    elif not sound.frames and (pieces := riff.mended(descriptor, os.pread(descriptor, 16, 0), size)):
        sound.close()
        audio.streams = [_stream(lambda: SoundFile(spliced(descriptor, pieces)))]


def _use(audio: AudioFile, walked: mp3.Walk | None) -> None:
    """Read an MP3 file by its frames, if they tell something else than libsndfile does."""
    if walked is None:
        return
    kind = walked.kind
    if walked.is_cut:
        audio.stated_frames = walked.stated_frames * kind.samples
    audio.holes = list(walked.holes)
    sound = audio.streams[0].sound if audio.streams else None
    is_right = sound is not None and (
        walked.stated_frames == walked.frames or (not walked.stated_frames and sound.frames == walked.samples)
    )
    if is_right and not walked.holes:
        return
    if sound is not None:
        sound.close()
    audio.streams = [_stream(lambda: SoundFile(spliced(audio.descriptor, walked.pieces)))]


def _find_unrecognised(audio: AudioFile, size: int, error: Exception) -> None:
    """Try what libsndfile does not recognise by its first bytes."""
    begin = mp3.behind_tags(audio.descriptor)
    head = os.pread(audio.descriptor, 16, begin)
    if foreign := foreign_format(audio.path, head):
        raise UnusableError(foreign) from error
    _use(audio, mp3.walk(audio.descriptor, size))
    if audio.streams:
        return
    if begin:
        raise UnusableError(Fault(NO_AUDIO, "nothing but tags")) from error
    try:
        audio.streams = [_stream(lambda: SoundFile(audio.path))]  # some formats are known by their ending
    except _ERRORS:
        said = str(error).partition(": ")[2] if isinstance(error, soundfile.LibsndfileError) else str(error)
        raise UnusableError(Fault(NOT_AUDIO, " ".join(said.split()))) from error


def _link(descriptor: int, link: tuple[int, int]) -> _Stream | None:
    try:
        return _stream(lambda: SoundFile(spliced(descriptor, [link])))
    except _ERRORS:  # not audio
        return None


def _stream(reopen: Callable[[], SoundFile]) -> _Stream:
    sound = reopen()
    return _Stream(sound, reopen, sound.frames)


def _refused(path: str, error: OSError | ValueError) -> Fault:
    """Tell a socket, which cannot be opened, from a file that is missing or protected."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return Fault(NOT_A_FILE)
    except (OSError, ValueError):
        pass
    return of_system(error)


def _read(sound: SoundFile, view: Samples, at: int) -> tuple[int, bool]:
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
        stream.sound.close()
        stream.sound = stream.reopen()
    at, channels = 0, stream.sound.channels
    while at < begin:
        view = buffer[: min(len(buffer) // channels, begin - at) * channels].reshape(-1, channels)
        count, is_broken = _read(stream.sound, view, at)
        at += count
        if is_broken or not count:
            return


def _resume(stream: _Stream, at: int, end: int) -> int | None:
    """Open a file again behind a damaged place; return where, or None if nothing can be decoded behind it."""
    step = FIRST_STEP
    one = np.empty((1, stream.sound.channels), np.float32)
    while (at := at + step) < end:
        step += step // 4
        stream.sound.close()
        stream.sound = stream.reopen()
        with suppress(soundfile.SoundFileError):
            stream.sound.seek(at)
            if len(stream.sound.read(out=one)):
                stream.sound.seek(at)
                return at
    return None


def _converted(frames: int, from_hz: int, to_hz: int) -> int:
    return frames if from_hz == to_hz else round(frames * to_hz / from_hz)
