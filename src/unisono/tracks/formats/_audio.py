"""Audio that goes into other formats: regular files that hold audio, and nothing else."""

import os
import stat

import soundfile

from unisono.base.tally import Dropped
from unisono.tracks.record import Entry
from unisono.tracks.unpacked import UNKNOWN_ENDING, ending_of

SYSTEM_FOLDERS = ("/proc/", "/sys/", "/dev/")
MEMORY = "/dev/shm/"
"""Holds files like any other folder."""


def read_audio(track: Entry, most_bytes: int) -> bytes | Dropped:
    """Return the content of a track's file, or why it cannot go along."""
    try:
        content = _content(track.audio_path, most_bytes + 1)
    except FileNotFoundError:
        return Dropped(id=track.id, reason="audio file missing", detail=track.audio_path)
    except (OSError, ValueError) as error:
        return Dropped(id=track.id, reason="audio file unreadable", detail=f"{track.audio_path}: {error}")
    if content is None:
        return Dropped(id=track.id, reason="not a regular file", detail=track.audio_path)
    if not content:
        return Dropped(id=track.id, reason="audio file empty", detail=track.audio_path)
    if not _is_audio(content, track.audio_path):
        return Dropped(id=track.id, reason="not an audio file", detail=track.audio_path)
    if len(content) > most_bytes:
        return Dropped(id=track.id, reason="audio larger than a shard (see --shard-size)", detail=track.audio_path)
    return content


def _content(path: str, most_bytes: int) -> bytes | None:
    """Read a file; None for a pipe, a device, or a file of the system, none of which is opened for reading."""
    real = os.path.realpath(path)
    if real.startswith(SYSTEM_FOLDERS) and not real.startswith(MEMORY):
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123
        return file.read(most_bytes) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _is_audio(content: bytes, path: str) -> bool:
    if ending_of(content) != UNKNOWN_ENDING:
        return True
    try:  # an mp3 may begin with anything
        return bool(soundfile.info(path).frames > 0)
    except (RuntimeError, OSError, ValueError):
        return False
