"""Findings about the sound of an excerpt: silent, clipped, speech, damaged, shorter than its record, unreadable."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import LOUDEST, SILENT_PEAK
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import NOT_A_NUMBER, UnusableError
from unisono.audio.findings import Finding
from unisono.audio.open import AudioFile, open_audio
from unisono.audio.speech import SpeechMeter
from unisono.base.cores import available_cores
from unisono.base.progress import progress
from unisono.tracks.track import Track, batched

BLOCK_FRAMES = 1 << 16
MOST_CHANNELS_A_BLOCK = 8
QUIET_RMS = 10 ** (-60 / 20)
"""A block below -60 dB of full scale is quiet."""
MOSTLY = 0.5
"""An excerpt is silent if more than this share of its blocks is quiet."""
FULL_SCALE = 0.999
CLIPPED_SHARE = 0.001
"""An excerpt is clipped if more than this share of its samples is in runs of three or more at full scale."""
TOLERANCE_S = 0.5
"""A record may end this much after its file."""
TRACKS_A_BATCH = 16


def listen_all(tracks: Sequence[Track], workers: int | None) -> Iterator[list[Finding]]:
    """Yield the findings of each track, in order."""
    batches = list(batched(tracks, TRACKS_A_BATCH))
    threads = ThreadPoolExecutor(workers or available_cores())
    with hide_decoder_messages(), threads as pool, progress() as bar:
        task = bar.add_task("Listening", total=len(tracks))
        for found in pool.map(lambda batch: [listen(track) for track in batch], batches):
            bar.advance(task, len(found))
            yield from found


def listen(track: Track) -> list[Finding]:
    """Decode the excerpt of one track, and return what is wrong with it."""
    found: list[Finding] = []
    try:
        with open_audio(track.audio_path) as audio:
            end_s, file_s = track.start + track.duration, audio.frames / audio.rate_hz
            if end_s > file_s + audio.lost_s(0, end_s) + TOLERANCE_S:
                found.append(Finding("duration", f"the record ends at {end_s:.2f} s, the file at {file_s:.2f} s"))
            found += _measure(audio, round(track.start * audio.rate_hz), round(track.duration * audio.rate_hz))
            if damage := audio.damage():
                found.append(Finding("damaged", damage))
    except UnusableError as error:
        found.append(Finding("unreadable", ": ".join(filter(None, error.fault[:2]))))
    return found


@np.errstate(over="ignore", invalid="ignore")  # samples may be anything
def _measure(audio: AudioFile, begin: int, wanted: int) -> list[Finding]:
    frames = clipped = quiet = blocks = 0
    peak = 0.0
    speech = SpeechMeter(audio.rate_hz)
    buffer = np.empty(BLOCK_FRAMES * min(audio.channels, MOST_CHANNELS_A_BLOCK), np.float32)
    for rate_hz, block in audio.blocks(begin, wanted, buffer, BLOCK_FRAMES):
        frames += len(block)
        blocks += 1
        loudest = max(float(block.max()), -float(block.min()))
        if not loudest <= LOUDEST:
            return [Finding("unreadable", NOT_A_NUMBER)]
        peak = max(peak, loudest)
        quiet += float(np.dot(block.ravel(), block.ravel())) < QUIET_RMS**2 * block.size
        if loudest >= FULL_SCALE:
            clipped += _in_runs(np.abs(block).max(axis=1) >= FULL_SCALE)
        if rate_hz == audio.rate_hz:
            speech.push(block @ np.full(block.shape[1], 1 / block.shape[1], np.float32))
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
    """Count the samples that are in runs of three or more."""
    three = full[2:] & full[1:-1] & full[:-2]
    inside = np.zeros(len(full), bool)
    for shift in range(3):
        inside[shift : len(full) - 2 + shift] |= three
    return int(inside.sum())
