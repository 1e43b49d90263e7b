"""Edits of audio that a listener would hardly call other music: level, MP3, noise, where it begins."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.audio.decode import Excerpt, decode
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault

Samples = NDArray[np.float32]
RATE_HZ = 44_100
MP3_KBIT = 64
QUIETER_DB = 12.0
NOISE_DB = 3.0
"""The noise is this much softer than the music."""
OFFSET_S = 0.7
SHORTEST_S = 2.0
"""The offset leaves at least this much of a track."""


def softer(samples: Samples) -> Samples:
    """Lower the level."""
    return np.asarray(samples * 10 ** (-QUIETER_DB / 20), dtype=np.float32)


def noisy(samples: Samples) -> Samples:
    """Add white noise; where both together would clip, both are lowered."""
    noise = np.random.default_rng(0).normal(size=len(samples)).astype(np.float32)
    power = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    mixed = samples + noise * power * 10 ** (-NOISE_DB / 20)
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max(initial=0))), dtype=np.float32)


def later(samples: Samples) -> Samples:
    """Begin later."""
    skipped = min(int(OFFSET_S * RATE_HZ), max(0, len(samples) - int(SHORTEST_S * RATE_HZ)))
    return samples[skipped:]


def same(samples: Samples) -> Samples:
    """Change nothing."""
    return samples


EDITS: dict[str, tuple[Callable[[Samples], Samples], str]] = {
    "unchanged": (same, "wav"),
    f"level -{QUIETER_DB:g} dB": (softer, "wav"),
    f"mp3 at {MP3_KBIT} kbit/s": (same, "mp3"),
    f"white noise, {NOISE_DB:g} dB below the music": (noisy, "wav"),
    f"begins {OFFSET_S:g} s later": (later, "wav"),
}
"""Name -> the edit, and the file format that the result is written in. The others are compared with the first."""


def write_edited(excerpt: Excerpt, name: str, path: Path) -> bool:
    """Write an excerpt, mono and edited, to a file without an ending; return whether it could be decoded."""
    with hide_decoder_messages():
        samples = decode(excerpt, RATE_HZ)
    if isinstance(samples, Fault):
        return False
    edit, kind = EDITS[name]
    edited = edit(samples)
    if kind == "wav":
        soundfile.write(path, edited, RATE_HZ, format="WAV", subtype="FLOAT")
        return True
    level = (320 - MP3_KBIT) / (320 - 32)  # libsndfile's scale from 320 kbit/s (0) to 32 kbit/s (1)
    with soundfile.SoundFile(
        path, "w", RATE_HZ, 1, "MPEG_LAYER_III", format="MP3", compression_level=level, bitrate_mode="CONSTANT"
    ) as file:
        for start in range(0, len(edited), RATE_HZ):  # libsndfile's encoder has a small buffer
            file.write(np.clip(edited[start : start + RATE_HZ], -1, 1))
    return True
