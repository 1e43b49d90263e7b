"""Tiny audio files: tones, and files that are broken in the ways that real ones are."""

import functools
import io
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16000


def tone(path: Path, seconds: float, hertz: float, rate_hz: int = RATE_HZ) -> None:
    """Write a mono tone in the format that the path's ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path.suffix[1:].upper(), seconds, hertz, rate_hz))


@functools.lru_cache(maxsize=256)
def _encoded(kind: str, seconds: float, hertz: float, rate_hz: int) -> bytes:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    file = io.BytesIO()
    soundfile.write(file, (0.3 * np.sin(2 * np.pi * hertz * time_s)).astype(np.float32), rate_hz, format=kind)
    return file.getvalue()


def broken(path: Path, how: str) -> None:
    """Write a file that is no proper audio: `empty`, `truncated` or `not audio`; `missing` writes none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        tone(path, 2, 440)
        path.write_bytes(path.read_bytes()[:100])
    elif how == "not audio":
        path.write_text("<html>404 Not Found</html>\n")
    elif how != "missing":
        raise ValueError(how)
