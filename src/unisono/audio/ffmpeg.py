"""What libsndfile cannot decode (m4a, WMA, APE and others), by the programs ffmpeg and ffprobe where they are installed.

They are separate programs, asked for plain samples through a pipe. A file is opened as the format that its first bytes say,
by its absolute path and nothing else: what a file names (another file, an address) is never opened. A program that is silent
for too long is ended.
"""

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.audio.faults import NEEDS_FFMPEG, NO_AUDIO, NOT_AUDIO, Fault, Foreign, UnusableError

FORMAT = "ffmpeg"
INSTALL = (
    "install ffmpeg: apt install ffmpeg, dnf install ffmpeg, brew install ffmpeg, or winget install ffmpeg; "
    "then run the same command again"
)
PROBE_S = 30.0
STALL_S = 60.0
"""How long a program may be silent."""
WITHOUT_LENGTH = frozenset({"aac", "ac3", "dts", "amr", "shn", "mpc8", "ogg"})
"""Formats whose files do not say how long they are, or of which ffprobe says too little (Musepack SV8, chained Ogg): they
are decoded to be measured."""
UNKNOWN_FRAMES = 1 << 63


def is_here() -> bool:
    """Return whether both programs are on this machine."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def open_foreign(path: str, foreign: Foreign, begin: int = 0) -> "PipedSound":
    """Open a file of a format that libsndfile does not know, from an offset in bytes on.

    Raises:
        UnusableError: the programs are not here, or cannot decode it.
    """
    if not foreign.demuxer:
        raise UnusableError(
            Fault(f"{foreign.name}: cannot be decoded", "convert it to FLAC with the program that made it")
        )
    if not is_here():
        raise UnusableError(Fault(foreign.name + NEEDS_FFMPEG, INSTALL, lasting=False))
    return PipedSound(path, foreign, begin)


def tags(path: str, foreign: Foreign) -> dict[str, str]:
    """Return the tags of a file by their names in lower case; none if ffmpeg is not here or cannot read it."""
    if not foreign.demuxer or not is_here():
        return {}
    try:
        said = _asked(_input(path, foreign), "format_tags:stream_tags").stdout
        found = json.loads(said or b"{}")
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    parts = [*found.get("streams", ())[:1], found.get("format", {})]
    return {name.lower(): text for part in parts for name, text in part.get("tags", {}).items()}


def _input(path: str, foreign: Foreign, begin: int = 0) -> list[str]:
    place = f"file:{Path(path).absolute()}"
    part = [] if not begin else ["subfile", f"subfile,,start,{begin},end,0,,:{place}"]
    return ["-protocol_whitelist", ",".join(["file", *part[:1]]), "-f", foreign.demuxer, "-i", *(part[1:] or [place])]


def _asked(source: list[str], entries: str) -> "subprocess.CompletedProcess[bytes]":
    words = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", entries, "-of", "json", *source]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_S, check=False)


class PipedSound:
    """A file that ffmpeg decodes, with those methods of `soundfile.SoundFile` that are used."""

    format = FORMAT

    def __init__(self, path: str, foreign: Foreign, begin: int) -> None:
        self._input = _input(path, foreign, begin)
        self._process: subprocess.Popen[bytes] | None = None
        self._at = 0
        found = self._probed()
        stream = next(iter(found.get("streams", ())), None)
        if stream is None or not stream.get("channels") or not int(stream.get("sample_rate") or 0):
            raise UnusableError(Fault(NO_AUDIO, f"{foreign.name} without a stream of audio"))
        self.samplerate = int(stream["sample_rate"])
        self.channels = int(stream["channels"])
        stated_s = float(stream.get("duration") or found.get("format", {}).get("duration") or 0)
        is_known = 0 < stated_s < 1e7 and foreign.demuxer not in WITHOUT_LENGTH
        self.frames = round(stated_s * self.samplerate) if is_known else UNKNOWN_FRAMES

    def _probed(self) -> dict[str, Any]:
        try:
            done = _asked(self._input, "stream=sample_rate,channels,duration:format=duration")
        except subprocess.TimeoutExpired as error:
            raise UnusableError(Fault(NOT_AUDIO, f"ffprobe says nothing for {PROBE_S:.0f} s")) from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise UnusableError(Fault(NOT_AUDIO, f"ffmpeg: {said[-1] if said else 'it cannot be decoded'}"))
        found: dict[str, Any] = json.loads(done.stdout or b"{}")
        return found

    def _start(self) -> "subprocess.Popen[bytes]":
        words = ["ffmpeg", "-nostdin", "-v", "quiet", "-threads", "1"]
        words += ["-ss", f"{self._at / self.samplerate:.9f}"] if self._at else []
        words += [*self._input, "-map", "0:a:0", "-vn", "-ac", str(self.channels), "-ar", str(self.samplerate)]
        words += ["-f", "f32le", "-c:a", "pcm_f32le", "pipe:1"]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def read(self, *, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Read frames into `out` [n, channels]; return those that there are.

        Raises:
            soundfile.SoundFileRuntimeError: ffmpeg is silent.
        """
        if self._process is None:
            self._process = self._start()
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        view, filled = memoryview(out.data).cast("B"), 0
        while filled < len(view):
            deadline = time.monotonic() + STALL_S
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.close()
                raise soundfile.SoundFileRuntimeError(f"ffmpeg says nothing for {STALL_S:.0f} s")
            count = os.readv(pipe, [view[filled:]])
            if not count:
                break
            filled += count
        frames = filled // (4 * self.channels)
        self._at += frames
        return out[:frames]

    def seek(self, frame: int) -> int:
        """Go on reading from a frame."""
        self.close()
        self._at = frame
        return frame

    def tell(self) -> int:
        """Return which frame is read next."""
        return self._at

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
