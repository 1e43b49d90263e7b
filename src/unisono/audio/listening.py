"""Listening to the excerpts of tracks: the hash and the fingerprint of each, by which recordings are recognised."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np

from unisono.audio.cache import NAME, Listened, ListeningCache, excerpt_key
from unisono.audio.decode import Decoder, Excerpt
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault
from unisono.audio.fingerprint import NOTHING, RATE_HZ, of_samples
from unisono.base.cores import available_cores
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.tracks.track import Track, batched

LONGEST_S = 120.0
"""The fingerprint is of the first two minutes of an excerpt, the hash of all of it."""
EXCERPTS_A_TASK = 4
EXCERPTS_WAITING = 1024


def listen(tracks: Sequence[Track], workers: int | None = None, data_root: Path | None = None) -> list[Listened]:
    """Decode the excerpts of tracks, and return what each gave, in order: a hash and a fingerprint, or a fault.

    An excerpt that several tracks share is decoded once. With `data_root`, results are kept in `heard.sqlite` there, and
    excerpts found there are not decoded again.
    """
    excerpts = [Excerpt(track.audio_path, track.start, track.duration) for track in tracks]
    listened: dict[Excerpt, Listened] = {}
    keys = {excerpt: excerpt_key(excerpt) for excerpt in dict.fromkeys(excerpts)}
    excerpts_of = {key: excerpt for excerpt, key in keys.items() if key}
    cache = ListeningCache(data_root / NAME if data_root else None)
    try:
        listened.update((excerpts_of[key], known) for key, known in cache.get(list(excerpts_of)))
        missing = [excerpt for excerpt in keys if excerpt not in listened]
        for taken in _decode(missing, workers):
            listened.update(taken)
            cache.put((key, known) for excerpt, known in taken if (key := keys[excerpt]))
    finally:
        cache.close()
    return [listened[excerpt] for excerpt in excerpts]


def _decode(excerpts: Sequence[Excerpt], workers: int | None) -> Iterator[list[tuple[Excerpt, Listened]]]:
    local = threading.local()

    def take(task: list[Excerpt]) -> list[tuple[Excerpt, Listened]]:
        if not hasattr(local, "decoder"):
            local.decoder = Decoder({RATE_HZ})
        return [(excerpt, hear(local.decoder, excerpt)) for excerpt in task]

    pool = ThreadPoolExecutor(workers or available_cores())
    with hide_decoder_messages(), progress() as bar:
        task = bar.add_task("Listening", total=len(excerpts))
        try:
            for part in batched(excerpts, EXCERPTS_WAITING):
                for taken in pool.map(take, batched(part, EXCERPTS_A_TASK)):
                    yield taken
                    bar.advance(task, len(taken))
        finally:
            pool.shutdown(cancel_futures=True)


def hear(decoder: Decoder, excerpt: Excerpt) -> Listened:
    """Decode an excerpt once, for its hash and its fingerprint. The decoder's rates must include `RATE_HZ`."""
    decoder.hash = sample_hash = sha256()
    samples, wanted = [], LONGEST_S * RATE_HZ
    for item in decoder.blocks(excerpt):
        if isinstance(item, Fault):
            return Listened("", NOTHING, item)
        if wanted > 0:
            samples.append(item[RATE_HZ][: int(wanted)].copy())
            wanted -= len(item[RATE_HZ])
    return Listened(sample_hash.hexdigest(), of_samples(np.concatenate(samples)))


def unheard(tracks: Sequence[Track], listened: Sequence[Listened]) -> list[dict[str, str]]:
    """Return the tracks that could not be listened to, with their reasons, and log how many there are."""
    faults = [(track, item.fault) for track, item in zip(tracks, listened, strict=True) if item.fault]
    if faults:
        examples = "; ".join(f"{track.id}: {fault.reason}" for track, fault in faults[:3])
        more = " ..." if len(faults) > 3 else ""
        log.warning(
            "%d of %d records could not be listened to, and match nothing by sound: %s%s",
            len(faults),
            len(tracks),
            examples,
            more,
        )
    return [{"id": track.id, "reason": fault.reason, "detail": fault.detail} for track, fault in faults]
