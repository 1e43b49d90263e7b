"""Makers of sound files that play in ordinary players, and whose headers are missing, wrong, or elsewhere than expected."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile

from tests.broken_audio import music

_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


class Mp3:
    """An MP3 file that LAME wrote, taken to pieces."""

    def __init__(self, seconds: float = 8, rate_hz: int = 44_100, channels: int = 2, mode: str = "CONSTANT") -> None:
        self.seconds, self.rate_hz = seconds, rate_hz
        file = io.BytesIO()
        with soundfile.SoundFile(
            file, "w", rate_hz, channels, "MPEG_LAYER_III", format="MP3", bitrate_mode=mode, compression_level=0.4
        ) as sound:
            sound.write(music(seconds, rate_hz, channels))
        self.whole = file.getvalue()
        self.frames: list[bytes] = []
        at = 0
        while at < len(self.whole):
            size = frame_bytes(self.whole[at : at + 4])
            self.frames.append(self.whole[at : at + size])
            at += size
        self.header = self.frames.pop(0)
        self.audio = b"".join(self.frames)
        self.frame_s = (1152 if rate_hz >= 32_000 else 576) / rate_hz
        self.mark = max(self.header.find(b"Xing"), self.header.find(b"Info"))
        assert self.mark > 0

    @property
    def all_frames_s(self) -> float:
        """Seconds with the encoder's padding, which is decoded where no header says how long it is."""
        return len(self.frames) * self.frame_s

    def stating(self, frames: int | None = None, size: int | None = None, flags: int = 15) -> bytes:
        """Return the file with another header."""
        header = bytearray(self.header)
        struct.pack_into(">I", header, self.mark + 4, flags)
        struct.pack_into(">I", header, self.mark + 8, len(self.frames) if frames is None else frames)
        struct.pack_into(">I", header, self.mark + 12, len(self.whole) if size is None else size)
        return bytes(header) + self.audio

    def with_vbri(self, frames: int | None = None) -> bytes:
        """Return the file with the header of Fraunhofer's encoder."""
        header = bytearray(len(self.header))
        header[:4] = self.header[:4]
        count = len(self.frames) if frames is None else frames
        struct.pack_into(">4sHHHII", header, 36, b"VBRI", 1, 0, 75, len(self.whole), count)
        return bytes(header) + self.audio


def frame_bytes(header: bytes) -> int:
    """Return the size of a layer III frame."""
    version = header[1] >> 3 & 3
    kbps = (_KBPS_1 if version == 3 else _KBPS_2)[header[2] >> 4]
    rate_hz = _RATES_HZ[version][header[2] >> 2 & 3]
    return (144_000 if version == 3 else 72_000) * kbps // rate_hz + (header[2] >> 1 & 1)


def id3v2(size: int, content: bytes = b"\0") -> bytes:
    """Return a tag with a picture's worth of content at the beginning of a file."""
    body = (content * (size // len(content) + 1))[:size]
    return b"ID3\4\0\0" + bytes([size >> shift & 127 for shift in (21, 14, 7, 0)]) + body


def id3v1() -> bytes:
    """Return a tag of 128 bytes at the end of a file."""
    return b"TAG" + b"Title".ljust(125, b"\0")


def ape(size: int) -> bytes:
    """Return a tag at the end of a file, with its own header and footer."""
    ends = [struct.pack("<8sIIII8x", b"APETAGEX", 2000, size + 32, 1, flags) for flags in (0xA0000000, 0x80000000)]
    return ends[0] + np.random.default_rng(0).bytes(size) + ends[1]


def lyrics3(size: int) -> bytes:
    """Return lyrics before an ID3v1 tag."""
    text = b"LYRICSBEGIN" + b"la " * (size // 3)
    return text + b"%06dLYRICS200" % len(text) + id3v1()


def jpeg(size: int) -> bytes:
    """Return bytes like those of a cover, with marks that look a little like those of frames."""
    noise = np.random.default_rng(3).integers(0, 255, size, np.uint8).tobytes()
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + noise + b"\xff\xd9"


def encoded(seconds: float, rate_hz: int, channels: int, kind: str, subtype: str | None = None, seed: int = 0) -> bytes:
    """Return music in a format of libsndfile's."""
    file = io.BytesIO()
    soundfile.write(file, music(seconds, rate_hz, channels, seed), rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


def wav(data_size: int | None, riff_size: int | None = None, seconds: float = 3, kind: str = "WAV") -> bytes:
    """Return a WAV file whose header states these sizes."""
    content = bytearray(encoded(seconds, 22_050, 2, kind, "PCM_16"))
    if data_size is not None:
        struct.pack_into("<I", content, content.find(b"data") + 4, data_size)
    if riff_size is not None:
        struct.pack_into("<I", content, 4, riff_size)
    return bytes(content)


def flac_of_unknown_length(content: bytes) -> bytes:
    """Return a FLAC file without its total number of samples, as encoders write to a pipe."""
    changed = bytearray(content)
    assert changed[:4] == b"fLaC" and changed[4] & 0x7F == 0
    changed[21] &= 0xF0
    changed[22:26] = bytes(4)
    return bytes(changed)


def written(path: Path, content: bytes) -> str:
    """Write a file and return its path."""
    path.write_bytes(content)
    return str(path)
