"""Audio that is silent, clipped, possibly speech, shorter than its record says, or unreadable; decoded block by block."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.audio.decode import SILENT_PEAK, UNREADABLE
from unisono.audio.findings import Finding
from unisono.audio.quiet import without_decoder_noise
from unisono.audio.speech import SpeechMeter
from unisono.base.cores import available_cores
from unisono.base.progress import progress
from unisono.tracks.track import Track, batched

BLOCK_FRAMES = 1 << 16
QUIET_RMS = 10 ** (-60 / 20)
"""A block below -60 dB of full scale is quiet."""
MOSTLY = 0.5
"""An excerpt is silent if this share of its blocks is quiet."""
FULL_SCALE = 0.999
CLIPPED_SHARE = 0.001
"""An excerpt is clipped if this share of its samples stands in runs of three or more at full scale."""
TOLERANCE_S = 0.5
"""A record may end this much behind its file."""
TRACKS_A_BATCH = 16


def listen_all(tracks: Sequence[Track], workers: int | None) -> Iterator[list[Finding]]:
    """Yield the findings of each track, in order."""
    batches = list(batched(tracks, TRACKS_A_BATCH))
    threads = ThreadPoolExecutor(workers or available_cores())
    with without_decoder_noise(), threads as pool, progress() as bar:
        task = bar.add_task("Listening", total=len(tracks))
        for heard in pool.map(lambda batch: [listen(track) for track in batch], batches):
            bar.advance(task, len(heard))
            yield from heard


def listen(track: Track) -> list[Finding]:
    """Decode one excerpt and say what is wrong with it."""
    try:
        with soundfile.SoundFile(track.audio_path) as sound:
            rate_hz = sound.samplerate
            end_s, file_s = track.start + track.duration, sound.frames / rate_hz
            found = []
            if end_s > file_s + TOLERANCE_S:
                found.append(Finding("duration", f"the record ends at {end_s:.2f} s, the file at {file_s:.2f} s"))
            sound.seek(min(round(track.start * rate_hz), sound.frames))
            return found + _measure(sound, round(track.duration * rate_hz))
    except UNREADABLE as error:
        return [Finding("unreadable", " ".join(str(error).split()))]


def _measure(sound: soundfile.SoundFile, wanted: int) -> list[Finding]:
    frames = clipped = quiet = blocks = 0
    peak = 0.0
    speech, average = SpeechMeter(sound.samplerate), np.full(sound.channels, 1 / sound.channels, np.float32)
    while frames < wanted:
        block: NDArray[np.float32] = sound.read(min(BLOCK_FRAMES, wanted - frames), dtype="float32", always_2d=True)
        if not len(block):
            break
        frames += len(block)
        blocks += 1
        loudest = max(float(block.max()), -float(block.min()))
        if not np.isfinite(loudest):
            return [Finding("unreadable", "samples that are no numbers")]
        peak = max(peak, loudest)
        quiet += float(np.dot(block.ravel(), block.ravel())) < QUIET_RMS**2 * block.size
        if loudest >= FULL_SCALE:
            clipped += _in_runs(np.abs(block).max(axis=1) >= FULL_SCALE)
        speech.push(block @ average)
    if not frames:
        return [Finding("unreadable", "no audio where the excerpt begins")]
    if peak < SILENT_PEAK or quiet > MOSTLY * blocks:
        return [Finding("silent", f"peak {peak:.2g} of full scale, {quiet} of {blocks} blocks below -60 dB")]
    found = []
    if clipped > CLIPPED_SHARE * frames:
        found.append(Finding("clipped", f"{clipped / frames:.2%} of the samples"))
    if talk := speech.finding():
        found.append(Finding("speech", talk))
    return found


def _in_runs(full: NDArray[np.bool_]) -> int:
    """Count the samples that stand in runs of three or more."""
    three = full[2:] & full[1:-1] & full[:-2]
    inside = np.zeros(len(full), bool)
    for shift in range(3):
        inside[shift : len(full) - 2 + shift] |= three
    return int(inside.sum())
