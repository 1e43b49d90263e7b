"""Music, and copies of it as datasets hold them: encoded again, trimmed, louder, resampled, retagged."""

import struct
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from unisono.audio.fingerprint import FRAMES_A_SECOND, MOST_DIFFERENT, SHORTEST_OVERLAP_S, Fingerprint

SOURCE_HZ = 22_050
SECONDS = 10.0
BITRATES_KBIT = (64, 96, 128, 192, 256, 320)
Sound = NDArray[np.float64]


def music(seed: int, seconds: float = SECONDS) -> Sound:
    """Make random notes of a scale, several at a time, with overtones; mono at `SOURCE_HZ`."""
    source = np.random.default_rng(seed)
    sound = np.zeros(round(SOURCE_HZ * seconds))
    base, step_s = source.integers(48, 60), source.uniform(0.15, 0.4)
    for at_s in np.arange(0, seconds, step_s):
        for _ in range(source.integers(1, 4)):
            pitch = base + 12 * source.integers(0, 3) + source.choice([0, 2, 4, 5, 7, 9, 11])
            begin = round(at_s * SOURCE_HZ)
            time_s = np.arange(min(round(step_s * source.integers(1, 5) * SOURCE_HZ), len(sound) - begin)) / SOURCE_HZ
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            tone = sum(amount * np.sin(2 * np.pi * hertz * n * time_s) for n, amount in ((1, 1), (2, 0.5), (3, 0.3)))
            sound[begin : begin + len(time_s)] += tone * np.exp(-3 * time_s) * source.uniform(0.3, 1)
    return 0.25 * sound / np.abs(sound).max()


def write_mp3(path: Path, sound: Sound, rate_hz: int, kbit: int) -> None:
    """Write MP3 in stereo with a constant bit rate, which is checked; rates are of MPEG-1."""
    stereo = np.column_stack([sound, sound]) if sound.ndim == 1 else sound
    soundfile.write(path, stereo, rate_hz, format="MP3", bitrate_mode="CONSTANT", compression_level=(320 - kbit) / 288)
    measured = path.stat().st_size * 8 / 1000 / (len(stereo) / rate_hz)
    if not kbit <= measured < 1.05 * kbit:
        raise ValueError(f"{path}: asked for {kbit} kbit/s, the file has {measured:.1f}")


def write_copy(path: Path, sound: Sound, number: int, rate_hz: int = SOURCE_HZ) -> float:
    """Write one of many kinds of copies, without suffix; return how many seconds are missing at the beginning.

    Trimmed by up to 5 s, 6 dB louder or softer, resampled, and encoded: alone and together.
    """
    source = np.random.default_rng(number)
    kind, trimmed_s = number % 6, 0.0
    if kind in (1, 4, 5):
        trimmed_s = round(source.uniform(0, 5) * rate_hz) / rate_hz
        sound = sound[round(trimmed_s * rate_hz) :]
    if kind in (2, 4, 5):
        sound = sound * 10 ** (source.choice([-6, 6]) / 20)
    kbit = BITRATES_KBIT[number // 2 % len(BITRATES_KBIT)]
    encoded = kind in (0, 4, 5)
    to_hz = int(source.choice([32_000, 44_100, 48_000] if encoded else [16_000, 44_100]))
    if encoded or kind == 3:
        sound, rate_hz = soxr.resample(sound, rate_hz, to_hz), to_hz
    if encoded:
        write_mp3(path, sound, rate_hz, kbit)
    else:
        soundfile.write(path, sound, rate_hz, format="WAV", subtype=str(source.choice(["PCM_16", "PCM_24"])))
    return trimmed_s


def retag_mp3(path: Path, to: Path, *, cover_bytes: int = 30_000, version_1: bool = True) -> None:
    """Copy an MP3 with other tags: an ID3v2.3 with a title and a picture in front, an ID3v1 behind."""

    def frame(name: bytes, content: bytes) -> bytes:
        return name + struct.pack(">IH", len(content), 0) + content

    picture = bytes(np.random.default_rng(0).integers(0, 256, cover_bytes, dtype=np.uint8))
    frames = frame(b"TIT2", b"\0Another title") + frame(b"APIC", b"\0image/jpeg\0\3cover\0" + picture)
    size = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    audio = path.read_bytes()
    end = b"TAG" + b"Another title".ljust(30, b"\0") + bytes(94) + b"\x0c" if version_1 else b""
    to.write_bytes(b"ID3\3\0\0" + size + frames + audio + end)


def alike_by_all_pairs(first: list[Fingerprint], second: list[Fingerprint]) -> set[tuple[int, int]]:
    """Compare all pairs at every offset with an overlap of three seconds, by correlation of their bits."""

    def spectra(prints: list[Fingerprint], length: int) -> np.ndarray:
        signs = np.zeros((len(prints), 32, length), np.float32)
        for at, one in enumerate(prints):
            unpacked = np.unpackbits(one.bits.astype(">u4").view(np.uint8)).reshape(-1, 32).T
            signs[at, :, : len(one.bits)] = 2.0 * unpacked - 1
        return np.fft.rfft(signs)

    length = 1 << int(np.ceil(np.log2(2 * max(len(one.bits) for one in [*first, *second]))))
    theirs = spectra(second, length)
    found = set()
    for one, mine in enumerate(spectra(first, length)):
        agreeing = np.fft.irfft((mine.conj() * theirs).sum(axis=1), length)
        for other, scores in enumerate(agreeing):
            frames = len(first[one].bits), len(second[other].bits)
            offsets = np.arange(length)
            offsets[offsets > length // 2] -= length
            overlap = np.minimum(frames[0], frames[1] - offsets) - np.maximum(0, -offsets)
            enough = overlap >= SHORTEST_OVERLAP_S * FRAMES_A_SECOND
            different = 0.5 - scores[enough] / 64 / overlap[enough]
            if different.size and different.min() <= MOST_DIFFERENT:
                found.add((one, other))
    return found
