"""Decoding: an excerpt of an audio file -> mono float32 at a rate, block by block, in bounded memory.

No fault of a file raises an exception here: decoding yields blocks of samples and, if need be, a `Fault` as the last
item. The decoder (libsndfile) and the resampler (soxr, high quality) release the interpreter's lock, so threads suffice.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from unisono.audio.faults import CUT_SHORT, DAMAGED, NOT_A_NUMBER, SILENT, TOO_SHORT, Fault, UnusableError
from unisono.audio.open import AudioFile, Samples, open_audio
from unisono.base.log import log

VERSION = 2
"""Changes when the same file is decoded to other samples."""
SHORTEST_S = 1.0
"""Excerpts shorter than this are not used."""
SILENT_PEAK = 1e-4
"""An excerpt that never exceeds -80 dB of full scale is silent."""
LOUDEST = 1e12
"""Larger samples are as bad as infinite ones; integers written as floating point reach 2e9."""
COMPLETE_SHARE = 0.95
"""An excerpt that ends before this share of what the record and the file's header say is cut short."""
USABLE_SHARE = 0.5
"""Of a damaged excerpt, at least this share must be decoded."""
CANCELLED_SHARE = 0.01
"""If less than this share of the channels' energy is left in their mean, they cancel, and one channel is used instead."""
Tail = Literal["shift", "wrap", "short"]
"""What the last window of an excerpt is; see `WindowCutter`."""
NEGLIGIBLE_REST = 0.05
"""A rest at the end of an excerpt that is shorter than this share of a window gets no window of its own: clips that are
meant to be a whole number of windows long vary by a few milliseconds."""
BLOCK_FRAMES = 1 << 20
"""Most clips are one or two blocks: the more often decoder and resampler take turns, the less of each stays in the cache."""


class Excerpt(NamedTuple):
    """A part of a file, in seconds."""

    path: str
    start_s: float
    duration_s: float


class HashLike(Protocol):
    """A hash of bytes, such as those of `hashlib`."""

    def update(self, data: Any, /) -> None:
        """Take more bytes."""


class Decoder:
    """Decodes excerpts at one or several rates at once. Its buffers are used again: each thread needs its own decoder."""

    def __init__(self, rates_hz: set[int]) -> None:
        self.rates_hz = rates_hz
        self._interleaved = np.empty(BLOCK_FRAMES * 2, np.float32)
        self._mono = np.empty(BLOCK_FRAMES, np.float32)
        self._resamplers: dict[tuple[int, int], _Resampler] = {}
        self.hash: HashLike | None = None
        """If set, it is fed with the decoded samples as they are in the file, at its rate and with all channels."""

    def blocks(self, excerpt: Excerpt, rates_hz: set[int] | None = None) -> Iterator[dict[int, Samples] | Fault]:
        """Yield rate -> the next samples; they are valid until the next step. A `Fault`, if any, comes last.

        Damaged places are left out; how much was lost is logged.
        """
        try:
            with open_audio(excerpt.path) as audio:
                yield from self._read(audio, excerpt, rates_hz or self.rates_hz)
                if damage := audio.damage():
                    log.warning("%s is %s.", excerpt.path, damage)
        except UnusableError as error:
            yield error.fault

    def _read(self, audio: AudioFile, excerpt: Excerpt, rates_hz: set[int]) -> Iterator[dict[int, Samples] | Fault]:
        rate_hz = audio.rate_hz
        begin = round(excerpt.start_s * rate_hz)
        wanted = min(round(excerpt.duration_s * rate_hz), audio.stated_frames - begin)
        if wanted < SHORTEST_S * rate_hz:
            file_s = audio.stated_frames / rate_hz
            detail = f"{max(wanted, 0) / rate_hz:.2f} s from {excerpt.start_s:g} s of {file_s:.2f} s"
            yield Fault(TOO_SHORT, detail)
            return
        # A low rate would otherwise become many samples at once.
        most_frames = BLOCK_FRAMES // max(1, max(rates_hz) // audio.lowest_hz)
        resamplers: dict[int, _Resampler] = {}
        block_hz, decoded_s, peak = 0, 0.0, 0.0
        for block in audio.blocks(begin, wanted, self._interleaved, most_frames):
            if block.rate_hz != block_hz:
                if block_hz:
                    yield {rate: resampler.rest() for rate, resampler in resamplers.items()}
                block_hz = block.rate_hz
                resamplers = {rate: self._resampler(block_hz, rate) for rate in rates_hz}
                if self.hash:
                    self.hash.update(f"{block_hz} Hz, {block.samples.shape[1]} channels\n".encode())
            if self.hash:
                self.hash.update(block.samples.ravel())
            decoded_s += len(block.samples) / block_hz
            mono, block_peak = self._mixed(block.samples)
            peak = max(peak, block_peak)
            if not block_peak <= LOUDEST:  # nor is NaN
                yield Fault(NOT_A_NUMBER, f"among the samples before {decoded_s:.2f} s")
                return
            yield {rate: resampler.push(mono) for rate, resampler in resamplers.items()}
        fault = _shortage(audio, excerpt.start_s, wanted / rate_hz, decoded_s)
        if fault or peak < SILENT_PEAK:
            yield fault or Fault(SILENT, f"peak {peak:.1g} of full scale")
        else:
            yield {rate: resampler.rest() for rate, resampler in resamplers.items()}

    @np.errstate(over="ignore", invalid="ignore")  # samples may be anything
    def _mixed(self, block: Samples) -> tuple[Samples, float]:
        """Return the mean of the channels, or one of them where they cancel, and the peak, NaN if any sample is."""
        channels = block.shape[1]
        if channels == 1:
            mono = block[:, 0]
            return mono, _peak(mono)
        # Several times faster than numpy's `mean` on an axis.
        mono = self._mono[: len(block)]
        np.add(block[:, 0], block[:, 1], out=mono)
        for channel in range(2, channels):
            mono += block[:, channel]
        mono *= np.float32(1 / channels)
        peak, flat = _peak(mono), block.ravel()
        cancels = np.dot(mono, mono) * channels < CANCELLED_SHARE * np.dot(flat, flat)
        if cancels or peak < SILENT_PEAK:
            peak = max(peak, _peak(flat))
        return _one_channel(block) if cancels else mono, peak

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

    A window begins every `hop` samples. The last one is shifted back to end with the stream; or, as some encoders expect,
    begins where the others end and is completed with the beginning of the stream ("wrap"), or stays short ("short", where
    a rest shorter than `shortest` is left out). A stream shorter than a window is repeated until it fills one.
    """

    def __init__(self, window: int, hop: int, tail: Tail = "shift", shortest: int = 0) -> None:
        if not 0 < hop <= window:
            raise ValueError(f"a hop of {hop} samples with windows of {window}")
        self.window = window
        self.hop = hop
        self.tail = tail
        self.shortest = shortest
        self._first: Samples | None = None
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
                self._first = self._current if self._first is None and self.tail == "wrap" else self._first
                self._previous, self._current = self._current, np.empty(self.window, np.float32)
                self._filled = self.window - self.hop
                self._current[: self._filled] = self._previous[self.hop :]

    def rest(self) -> Iterator[Samples]:
        """Yield the last window, if the stream did not end with one."""
        rest = self._current[: self._filled]
        if self.tail == "short" and len(rest) >= self.shortest:
            if len(rest):
                yield rest
            return
        if self._previous is None:
            if self._filled:
                yield np.resize(rest, self.window)
            return
        fresh = rest[self.window - self.hop :]
        if self.tail == "short" or len(fresh) < NEGLIGIBLE_REST * self.window:
            return
        if self._first is None:
            yield np.concatenate([self._previous[len(fresh) :], fresh])
        else:
            yield np.concatenate([rest, self._first[: self.window - len(rest)]])


def count_windows(duration_s: float, window_s: float, hop_s: float) -> int:
    """Return the number of windows that `WindowCutter` cuts an excerpt into."""
    whole = max(0, int((duration_s - window_s) // hop_s) + 1)
    if not whole:
        return 1
    rest_s = duration_s - window_s - (whole - 1) * hop_s
    return whole + (rest_s >= NEGLIGIBLE_REST * window_s)


def decode(excerpt: Excerpt, rate_hz: int) -> Samples | Fault:
    """Return a whole excerpt as mono float32 at a rate; for long files, `Decoder.blocks` needs less memory."""
    blocks: list[Samples] = []
    for block in Decoder({rate_hz}).blocks(excerpt):
        if isinstance(block, Fault):
            return block
        blocks.append(block[rate_hz].copy())
    return np.concatenate(blocks)


def _peak(samples: Samples) -> float:
    return max(float(samples.max()), -float(samples.min()))  # both are NaN if any sample is


def _one_channel(block: Samples) -> Samples:
    """Return the first channel that has at least half the energy of the loudest one."""
    energies = np.einsum("ij,ij->j", block, block)
    return block[:, int(np.argmax(energies >= energies.max() / 2))]


def _shortage(audio: AudioFile, start_s: float, wanted_s: float, decoded_s: float) -> Fault | None:
    """Return the fault of an excerpt of which too little was decoded."""
    lost_s = audio.lost_s(start_s, start_s + wanted_s)
    if decoded_s + lost_s < COMPLETE_SHARE * wanted_s:
        return Fault(CUT_SHORT, f"breaks off after {decoded_s:.2f} s of {wanted_s:.2f} s")
    if lost_s and decoded_s < USABLE_SHARE * wanted_s:
        return Fault(DAMAGED, f"{lost_s:.2f} s of {wanted_s:.2f} s are lost")
    return None
