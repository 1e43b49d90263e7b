"""How long audio files really are. Headers are read in threads; where a header promises more than the file holds, the
file is decoded to its end. What is learnt goes into a journal, so that an interrupted run need not ask twice."""

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import soundfile

from unisono.audio.decode import foreign_format
from unisono.audio.quiet import without_decoder_noise
from unisono.base.cores import available_cores
from unisono.base.files import explained, write_whole
from unisono.base.progress import progress
from unisono.tracks.track import batched

FILES_A_BATCH = 64
DECODED_FRAMES_A_BLOCK = 1024  # a block in which the file breaks off is lost


class Probed(NamedTuple):
    """What is known about one file."""

    duration_s: float
    """Seconds of audio that can be decoded; 0 where there is a fault."""
    fault: str = ""
    """Why the file is of no use, a short phrase."""
    detail: str = ""
    """What was found, with a fault; or what is odd about a file that can be used."""


def probe_all(paths: Iterable[str], workers: int | None, journal: "Journal | None") -> dict[str, Probed]:
    """Measure many files, each once; the result depends on the files alone."""
    known: dict[str, Probed] = {}
    missing: list[str] = []
    for path in dict.fromkeys(paths):
        remembered = journal.known(path) if journal else None
        if remembered is None:
            missing.append(path)
        else:
            known[path] = remembered
    if not missing:
        return known
    pool = ThreadPoolExecutor(workers or available_cores(), thread_name_prefix="probe")
    try:
        with without_decoder_noise(), progress("files") as bar:
            task = bar.add_task("Measuring audio", total=len(missing))
            batches = list(batched(missing, FILES_A_BATCH))
            for batch, results in zip(batches, pool.map(_probe_batch, batches), strict=True):
                known.update(zip(batch, results, strict=True))
                if journal:
                    journal.add(batch, results)
                bar.advance(task, len(batch))
    finally:
        pool.shutdown(cancel_futures=True)
    return known


def _probe_batch(paths: list[str]) -> list[Probed]:
    return [probe(path) for path in paths]


def probe(path: str) -> Probed:
    """Measure one file. Never raises: what is wrong with the file is in the result."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (OSError, ValueError) as error:
        return _unusable(path, error)
    try:
        with _sound(descriptor, path) as sound:
            frames, rate = sound.frames, sound.samplerate
            is_cut = frames > 0 and _is_cut(sound, descriptor)
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
        return _unusable(path, error)
    finally:
        os.close(descriptor)
    if is_cut:
        documented, frames = frames, _count_frames(path)
        if 0 < frames < documented:
            return Probed(
                frames / rate,
                detail=f"cut short: its header says {documented / rate:.2f} s, {frames / rate:.2f} s are there",
            )
    if not frames:
        return Probed(0.0, "no audio in the file", f"{path}: 0 frames")
    return Probed(frames / rate)


def _sound(descriptor: int, path: str) -> soundfile.SoundFile:
    """Open a file that is open already, which is faster, or by its path where only the ending tells what it is."""
    try:
        return soundfile.SoundFile(descriptor, closefd=False)
    except soundfile.SoundFileError:
        return soundfile.SoundFile(path)


def _unusable(path: str, error: Exception) -> Probed:
    try:
        size = os.stat(path).st_size  # noqa: PTH116
        with open(path, "rb"):  # noqa: PTH123
            pass
    except FileNotFoundError:
        return Probed(0.0, "audio file missing", path)
    except OSError as why:
        return Probed(0.0, "audio file cannot be read", f"{path}: {why.strerror}")
    if size == 0:
        return Probed(0.0, "audio file empty", path)
    if foreign := foreign_format(path):
        return Probed(0.0, foreign.reason, f"{path}: {foreign.detail}")
    return Probed(0.0, "not an audio file", f"{path}: {' '.join(str(error).split())}")


def _is_cut(sound: soundfile.SoundFile, descriptor: int) -> bool:
    """Whether a file ends before its header says. Other formats are measured by what is there to begin with."""
    kind = sound.format
    if kind == "MP3":
        return _mp3_is_cut(descriptor)
    if kind == "FLAC":
        return _flac_is_cut(sound)
    return False


def _mp3_is_cut(descriptor: int) -> bool:
    """Compare the bytes that the Xing or Info header of an MP3 file declares with those that follow."""
    head = os.pread(descriptor, 512, 0)
    begin = 0
    if head[:3] == b"ID3":  # a tag, possibly with pictures, before the music; its size comes in 7-bit bytes
        begin = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        head = os.pread(descriptor, 512, begin)
    there = os.fstat(descriptor).st_size - begin
    mark = max(head.find(b"Xing", 0, 64), head.find(b"Info", 0, 64))
    if mark < 0:
        return False
    has_frames, has_bytes = head[mark + 7] & 1, head[mark + 7] & 2
    if not has_bytes:
        return False
    at = mark + 8 + (4 if has_frames else 0)
    return there < 0.99 * int.from_bytes(head[at : at + 4], "big")


def _flac_is_cut(sound: soundfile.SoundFile) -> bool:
    try:
        sound.seek(max(0, sound.frames - 1))
        return len(sound.read(1)) == 0
    except soundfile.SoundFileError:
        return True


def _count_frames(path: str) -> int:
    """Decode a file to where it ends or breaks, in bounded memory."""
    frames = 0
    with suppress(soundfile.SoundFileError), soundfile.SoundFile(path) as sound:
        while read := len(sound.read(DECODED_FRAMES_A_BLOCK, dtype="float32")):
            frames += read
    return frames


class Journal:
    """What an interrupted run has learnt: one line a file, with the size and time of change that it was true for."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self._known = dict(_remembered(path)) if resume else {}
        write_whole(
            path, _lines((name, size, changed, *probed) for name, (size, changed, probed) in self._known.items())
        )
        self._file = path.open("ab")

    def known(self, path: str) -> Probed | None:
        """Give what is remembered of a file, if the file is still the same."""
        entry = self._known.get(path)
        return entry[2] if entry and entry[:2] == _identity(path) else None

    def add(self, paths: list[str], results: list[Probed]) -> None:
        """Remember a batch; it survives a kill from here on."""
        with explained(self.path):
            self._file.write(
                _lines((path, *_identity(path), *probed) for path, probed in zip(paths, results, strict=True))
            )
            self._file.flush()

    def close(self, *, forget: bool) -> None:
        """Close the journal, and remove it where the run is complete."""
        with suppress(OSError):  # what could not be written has been reported by then
            self._file.close()
        if forget:
            self.path.unlink(missing_ok=True)


def _lines(entries: Iterable[tuple[object, ...]]) -> bytes:
    return msgspec.json.Encoder().encode_lines(entries)


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _remembered(path: Path) -> Iterator[tuple[str, tuple[int, int, Probed]]]:
    """Read a journal; a line that a kill cut short ends it."""
    with suppress(FileNotFoundError, ValueError, TypeError), path.open(encoding="utf-8") as file:
        for line in file:
            name, size, changed, *probed = json.loads(line)
            yield name, (size, changed, Probed(*probed))
