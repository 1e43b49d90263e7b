"""Audio files that are valid but unusual, and files with the defects of real ones."""

import functools
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 44_100


def music(seconds: float, rate_hz: int = RATE_HZ, channels: int = 2, seed: int = 0) -> np.ndarray:
    """Make [n, channels] of a few tones that come and go, and a little noise."""
    return _music(seconds, rate_hz, channels, seed).copy()


@functools.lru_cache(maxsize=32)
def _music(seconds: float, rate_hz: int, channels: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    tones = sum(
        np.sin(2 * np.pi * hertz * time_s) * (np.sin(2 * np.pi * beat * time_s) > 0)
        for hertz, beat in zip(generator.uniform(80, 2000, 4), generator.uniform(0.3, 3, 4), strict=True)
    )
    noise = generator.standard_normal((len(time_s), channels))
    return (0.15 * tones[:, None] + 0.02 * noise).astype(np.float32)


def write_music(path: Path, seconds: float, rate_hz: int = RATE_HZ, channels: int = 2, seed: int = 0) -> Path:
    """Write music in the format that the path's ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path.suffix, seconds, rate_hz, channels, seed))
    return path


@functools.lru_cache(maxsize=64)
def _encoded(ending: str, seconds: float, rate_hz: int, channels: int, seed: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, _music(seconds, rate_hz, channels, seed), rate_hz, format=ending[1:].upper())
    return file.getvalue()


def _half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _cut_mp3(path: Path) -> None:
    write_music(path, 10)
    _half(path)


def _cut_flac(path: Path) -> None:
    flac = write_music(path.with_suffix(".flac"), 10)
    _half(flac)
    flac.replace(path)


def _silent(path: Path) -> None:
    soundfile.write(path, np.zeros((10 * RATE_HZ, 2), np.float32), RATE_HZ)


def _not_a_number(path: Path) -> None:
    samples = music(10)
    samples[123_456, 1] = np.nan
    soundfile.write(path, samples, RATE_HZ, format="WAV", subtype="FLOAT")


def _infinite(path: Path) -> None:
    samples = music(10)
    samples[-1, 0] = np.inf
    soundfile.write(path, samples, RATE_HZ, format="WAV", subtype="FLOAT")


BROKEN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("audio file missing", lambda path: None),
    "empty": ("audio file empty", lambda path: path.write_bytes(b"")),
    "web page": ("not an audio file", lambda path: path.write_text("<html>404 Not Found</html>\n" * 50)),
    "noise": ("not an audio file", lambda path: path.write_bytes(np.random.default_rng(1).bytes(3000))),
    "cut mp3": ("cut short", _cut_mp3),
    "cut flac": ("cut short", _cut_flac),
    "silent": ("silent", _silent),
    "not a number": ("not a number", _not_a_number),
    "infinite": ("not a number", _infinite),
    "half a second": ("too short", lambda path: write_music(path, 0.5)),
    "a folder": ("not a regular file", lambda path: path.mkdir()),
}
"""Defect -> the reason to be reported, and a function that writes such a file."""


def write_broken(path: Path, how: str) -> Path:
    """Write a broken file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    BROKEN[how][1](path)
    return path
