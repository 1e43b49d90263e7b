"""Which records hold one recording by their sound: fingerprints in threads, and the matches between two lists."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from unisono import console
from unisono.audio import Decoder, Excerpt, Fault
from unisono.decoder_noise import without_decoder_noise
from unisono.fingerprint import RATE_HZ, Fingerprint, fingerprint, same_audio
from unisono.mix.matching import Match
from unisono.track import Track, batched

TRACKS_A_BATCH = 16


def fingerprints(tracks: Sequence[Track], workers: int | None = None) -> list[Fingerprint]:
    """Take the fingerprints of tracks; an empty one where the audio cannot be decoded, which is logged."""
    local = threading.local()

    def take(batch: list[Track]) -> list[Fingerprint | Fault]:
        if not hasattr(local, "decoder"):
            local.decoder = Decoder({RATE_HZ})
        excerpts = [Excerpt(track.audio_path, track.start, track.duration) for track in batch]
        return [fingerprint(local.decoder, excerpt) for excerpt in excerpts]

    found: list[Fingerprint] = []
    faults = 0
    threads = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    with without_decoder_noise(), threads as pool, console.progress() as bar:
        task = bar.add_task("Listening", total=len(tracks))
        for taken in pool.map(take, batched(tracks, TRACKS_A_BATCH)):
            for item in taken:
                faults += isinstance(item, Fault)
                found.append(np.zeros(0, np.uint32) if isinstance(item, Fault) else item)
            bar.advance(task, len(taken))
    if faults:
        console.log.warning(
            "%d of %d records could not be listened to: missing, broken or silent.", faults, len(tracks)
        )
    return found


def audio_matches(first: Sequence[Track], second: Sequence[Track], workers: int | None = None) -> list[Match]:
    """Compare all of one list with all of another by sound."""
    return [
        Match(
            same.first,
            same.second,
            "audio",
            f"{1 - same.different:.1%} of the fingerprints agree, the second begins {same.offset_s:+.2f} s later",
        )
        for same in same_audio(fingerprints(first, workers), fingerprints(second, workers))
    ]


def audio_duplicates(tracks: Sequence[Track], workers: int | None = None) -> list[tuple[int, int]]:
    """Find pairs within one list, the lower place first."""
    taken = fingerprints(tracks, workers)
    return [(same.first, same.second) for same in same_audio(taken, taken) if same.first < same.second]
