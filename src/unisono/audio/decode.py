"""Decoding: an excerpt of an audio file -> mono float32 at a rate, block by block, in bounded memory.

Nothing here raises for what is wrong with a file: decoding gives blocks of samples and, if need be, a `Fault` as the last
item. The decoder (libsndfile) and the resampler (soxr, high quality) release the interpreter's lock, so threads suffice.
"""

import math
import os
import shlex
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SHORTEST_S = 1.0
"""What is shorter says too little about music to be embedded."""
SILENT_PEAK = 1e-4
"""An excerpt that never exceeds -80 dB of full scale is silent."""
COMPLETE_SHARE = 0.95
"""A file that breaks off before this share of what its header promises is cut short."""
NEGLIGIBLE_REST = 0.05
"""A rest at the end of an excerpt shorter than this share of a window gets no window of its own: the durations of clips
that are meant to be whole windows long vary by a few milliseconds."""
BLOCK_FRAMES = 1 << 20
"""Most clips are one or two blocks: the more often decoder and resampler take turns, the less of each stays in the cache."""

UNREADABLE = (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError)
"""What libsndfile's wrapper raises for files it cannot make sense of."""

FOREIGN_FORMATS = (
    (4, b"ftyp", "AAC or ALAC in MP4 (m4a)"),
    (0, b"\xff\xf0", "AAC"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf8", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"DSD ", "DSD"),
)
"""Audio that libsndfile cannot decode: at which byte, which bytes, what it is."""


class Excerpt(NamedTuple):
    """A part of a file, in seconds."""

    path: str
    start_s: float
    duration_s: float


class Fault(NamedTuple):
    """Why an excerpt cannot be used."""

    reason: str
    """A short phrase, the same for all of one kind."""
    detail: str = ""
    lasting: bool = True
    """It lies in the file itself, and will be the same as long as the file is."""


class _SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from its beginning, or from where it was set, onwards."""

    def seekable(self) -> bool:
        """Say no: else soundfile seeks after every read to where it is anyway, and mp3 decodes some frames twice for it."""
        return False


class Digest(Protocol):
    """What makes a hash of samples, as those of `hashlib` do."""

    def update(self, data: Any, /) -> None:
        """Take more bytes."""


class Decoder:
    """Decodes excerpts at one or several rates at once. Holds buffers that it uses again: one for each thread."""

    def __init__(self, rates_hz: set[int]) -> None:
        self.rates_hz = rates_hz
        self._interleaved = np.empty(BLOCK_FRAMES * 2, np.float32)
        self._mono = np.empty(BLOCK_FRAMES, np.float32)
        self._resamplers: dict[tuple[int, int], _Resampler] = {}
        self.digest: Digest | None = None
        """If set, it is fed with the decoded samples as they are in the file, at its rate and with all channels."""

    def blocks(self, excerpt: Excerpt, rates_hz: set[int] | None = None) -> Iterator[dict[int, Samples] | Fault]:
        """Yield rate -> the next samples; they are valid until the next step. A `Fault`, if any, comes last."""
        try:
            status = os.stat(excerpt.path)  # noqa: PTH116
        except (OSError, ValueError) as error:
            yield _not_there(error)
            return
        if not stat.S_ISREG(status.st_mode):
            yield Fault("not a file")
            return
        if status.st_size == 0:
            yield Fault("empty file")
            return
        try:
            with _SoundFile(excerpt.path) as sound:
                yield from self._read(sound, excerpt, rates_hz or self.rates_hz)
        except UNREADABLE as error:
            yield _unreadable(excerpt.path, error)

    def _read(
        self, sound: soundfile.SoundFile, excerpt: Excerpt, rates_hz: set[int]
    ) -> Iterator[dict[int, Samples] | Fault]:
        rate_hz = sound.samplerate
        begin = round(excerpt.start_s * rate_hz)
        wanted = min(round(excerpt.duration_s * rate_hz), sound.frames - begin)
        if wanted < SHORTEST_S * rate_hz:
            file_s = sound.frames / rate_hz
            yield Fault("too short", f"{max(wanted, 0) / rate_hz:.2f} s from {excerpt.start_s:g} s of {file_s:.2f} s")
            return
        if begin:
            sound.seek(begin)
        if self.digest:
            self.digest.update(f"{rate_hz} Hz, {sound.channels} channels\n".encode())
        resamplers = {rate: self._resampler(rate_hz, rate) for rate in rates_hz}
        decoded, peak = 0, 0.0
        while decoded < wanted:
            mono = self._read_mono(sound, min(BLOCK_FRAMES, wanted - decoded))
            if not len(mono):
                break
            decoded += len(mono)
            block_peak = max(float(mono.max()), -float(mono.min()))  # both are NaN if any sample is
            peak = max(peak, block_peak)
            if not math.isfinite(block_peak):
                yield Fault("not a number", f"among the samples before {decoded / rate_hz:.2f} s")
                return
            yield {rate: resampler.push(mono) for rate, resampler in resamplers.items()}
        if decoded < COMPLETE_SHARE * wanted:
            yield Fault("cut short", f"breaks off after {decoded / rate_hz:.2f} s of {wanted / rate_hz:.2f} s")
        elif peak < SILENT_PEAK:
            yield Fault("silent", f"peak {peak:.1g} of full scale")
        else:
            yield {rate: resampler.rest() for rate, resampler in resamplers.items()}

    def _read_mono(self, sound: soundfile.SoundFile, frames: int) -> Samples:
        """Read up to so many frames, and average the channels (several times faster than numpy's `mean` on an axis)."""
        channels = sound.channels
        if len(self._interleaved) < frames * channels:
            self._interleaved = np.empty(BLOCK_FRAMES * channels, np.float32)
        view = self._interleaved[: frames * channels].reshape(frames, channels)
        try:
            block: Samples = sound.read(out=view)
        except soundfile.SoundFileError:  # broken in the middle: what was decoded before decides
            return self._mono[:0]
        if self.digest:
            self.digest.update(block.ravel())
        if channels == 1:
            return block[:, 0]
        mono = self._mono[: len(block)]
        np.add(block[:, 0], block[:, 1], out=mono)
        for channel in range(2, channels):
            mono += block[:, channel]
        mono *= np.float32(1 / channels)
        return mono

    def _resampler(self, from_hz: int, to_hz: int) -> "_Resampler":
        key = (from_hz, to_hz)
        if key not in self._resamplers:
            if len(self._resamplers) >= 16:  # a file can claim any rate: do not collect them
                self._resamplers.clear()
            self._resamplers[key] = _Resampler(from_hz, to_hz)
        self._resamplers[key].clear()
        return self._resamplers[key]


class _Resampler:
    def __init__(self, from_hz: int, to_hz: int) -> None:
        import soxr

        self._stream = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, "float32", "HQ")

    def clear(self) -> None:
        if self._stream:
            self._stream.clear()

    def push(self, mono: Samples) -> Samples:
        resampled: Samples = self._stream.resample_chunk(mono) if self._stream else mono
        return resampled

    def rest(self) -> Samples:
        nothing = np.empty(0, np.float32)
        resampled: Samples = self._stream.resample_chunk(nothing, last=True) if self._stream else nothing
        return resampled


class WindowCutter:
    """Cuts a stream of samples into windows of one length.

    A window begins every `hop` samples; the last one is shifted back to end with the stream. What is shorter than a
    window is repeated until it fills one.
    """

    def __init__(self, window: int, hop: int) -> None:
        if not 0 < hop <= window:
            raise ValueError(f"a hop of {hop} samples with windows of {window}")
        self.window = window
        self.hop = hop
        self._previous: Samples | None = None
        self._current = np.empty(window, np.float32)
        self._filled = 0

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Take samples and yield the windows that they complete."""
        position = 0
        while position < len(samples):
            count = min(self.window - self._filled, len(samples) - position)
            self._current[self._filled : self._filled + count] = samples[position : position + count]
            self._filled += count
            position += count
            if self._filled == self.window:
                yield self._current
                self._previous, self._current = self._current, np.empty(self.window, np.float32)
                self._filled = self.window - self.hop
                self._current[: self._filled] = self._previous[self.hop :]

    def rest(self) -> Iterator[Samples]:
        """Yield the last window, if the stream did not end with one."""
        if self._previous is None:
            if self._filled:
                yield np.resize(self._current[: self._filled], self.window)
            return
        fresh = self._current[self.window - self.hop : self._filled]
        if len(fresh) >= NEGLIGIBLE_REST * self.window:
            yield np.concatenate([self._previous[len(fresh) :], fresh])


def count_windows(duration_s: float, window_s: float, hop_s: float) -> int:
    """Count the windows that `WindowCutter` cuts an excerpt into."""
    whole = max(0, int((duration_s - window_s) // hop_s) + 1)
    if not whole:
        return 1
    rest_s = duration_s - window_s - (whole - 1) * hop_s
    return whole + (rest_s >= NEGLIGIBLE_REST * window_s)


def decode(excerpt: Excerpt, rate_hz: int) -> Samples | Fault:
    """Decode a whole excerpt as mono float32 at a rate; for long files rather read `Decoder.blocks`."""
    blocks: list[Samples] = []
    for block in Decoder({rate_hz}).blocks(excerpt):
        if isinstance(block, Fault):
            return block
        blocks.append(block[rate_hz].copy())
    return np.concatenate(blocks)


def _not_there(error: OSError | ValueError) -> Fault:
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)):
        return Fault("missing file", lasting=False)
    return Fault("unreadable file", error.strerror or str(error), lasting=False)


def _unreadable(path: str, error: Exception) -> Fault:
    """Tell a file that is no audio from one of a foreign format, one that went away, or that the system refuses."""
    try:
        foreign = foreign_format(path)
    except (OSError, ValueError) as why:
        return _not_there(why)
    return foreign or Fault("not audio", " ".join(str(error).replace(repr(path), "").split()))


def foreign_format(path: str) -> Fault | None:
    """Say what a file is that libsndfile cannot decode, if it is audio, and how to convert it.

    Raises:
        OSError, ValueError: the file is not there, or cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(16)
    for place, mark, name in FOREIGN_FORMATS:
        if head.startswith(mark, place):
            converted = shlex.quote(os.path.splitext(path)[0] + ".flac")  # noqa: PTH122
            return Fault(f"{name}: to be converted first", f"ffmpeg -i {shlex.quote(path)} {converted}")
    return None
