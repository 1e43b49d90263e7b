"""Any audio that can be decoded here, as MP3: for players that do not know its format."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.open import Samples, open_audio

RATES_HZ = (32_000, 44_100, 48_000)
OTHER_HZ = 44_100
"""Audio of another rate is resampled to this one."""
LEVEL = 0.3
"""Of LAME, with a variable bitrate: about 170 kbit/s."""
BLOCK = 1 << 16
"""Numbers at a time; libsndfile's encoder has a small buffer."""
SURROUND = 0.7
"""What is added of the channels beyond left and right."""


def write_mp3(path: Path, target: Path) -> None:
    """Write the audio of a file as MP3, in mono or stereo; damaged places are left out.

    Raises:
        UnusableError: it cannot be decoded.
        OSError: the target cannot be written.
    """
    with hide_decoder_messages(), open_audio(str(path)) as audio:
        rate_hz, channels = audio.rate_hz if audio.rate_hz in RATES_HZ else OTHER_HZ, min(audio.channels, 2)
        resamplers: dict[int, Any] = {}
        with soundfile.SoundFile(
            target,
            "w",
            rate_hz,
            channels,
            "MPEG_LAYER_III",
            format="MP3",
            compression_level=LEVEL,
            bitrate_mode="VARIABLE",
        ) as file:
            for block in audio.blocks(0, audio.frames, np.empty(BLOCK, np.float32)):
                samples = _mixed(block.samples, channels)
                if block.rate_hz != rate_hz:
                    if block.rate_hz not in resamplers:
                        resamplers[block.rate_hz] = _resampler(block.rate_hz, rate_hz, channels)
                    samples = resamplers[block.rate_hz].resample_chunk(samples)
                file.write(np.clip(samples, -1, 1))


def _resampler(from_hz: int, to_hz: int, channels: int) -> Any:
    import soxr

    return soxr.ResampleStream(from_hz, to_hz, channels, "float32", "HQ")


def _mixed(samples: Samples, channels: int) -> Samples:
    """Return [frames, 1 or 2] of [frames, any]."""
    if samples.shape[1] > 2:
        mixed: Samples = samples[:, :channels] + SURROUND * samples[:, 2:].mean(axis=1, keepdims=True)
        return mixed
    return samples if samples.shape[1] == channels else np.repeat(samples[:, :1], channels, axis=1)
