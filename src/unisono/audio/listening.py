"""Listening to the excerpts of tracks: the hash and the fingerprint of each, by which recordings are recognised."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import overload

import numpy as np

from unisono.audio.cache import NAME, Listened, ListeningCache, excerpt_key, from_bytes, to_bytes
from unisono.audio.decode import Decoder, Excerpt
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault
from unisono.audio.fingerprint import NOTHING, RATE_HZ, Fingerprint, of_samples
from unisono.base.cores import available_cores
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.base.texts import OnDisk
from unisono.tracks.record import Entry
from unisono.tracks.track import batched

LONGEST_S = 120.0
"""The fingerprint is of the first two minutes of an excerpt, the hash of all of it."""
EXCERPTS_A_TASK = 4
EXCERPTS_WAITING = 1024


class Heard(Sequence[Listened]):
    """What listening to tracks found, in their order. It lies on the disk; the hashes of samples are in memory as well."""

    def __init__(self, results: OnDisk[Listened], decoded: list[str]) -> None:
        self._results, self.decoded = results, decoded

    def __len__(self) -> int:
        return len(self.decoded)

    def __iter__(self) -> Iterator[Listened]:
        return iter(self._results)

    @overload
    def __getitem__(self, place: int) -> Listened: ...
    @overload
    def __getitem__(self, place: slice) -> "Heard": ...
    def __getitem__(self, place: int | slice) -> "Listened | Heard":
        if isinstance(place, slice):
            return Heard(self._results[place], self.decoded[place])
        return self._results[place]

    def fingerprints(self, places: Sequence[int]) -> Sequence[Fingerprint]:
        """Return the fingerprints at some places, each of which is read when it is asked for."""
        return _Fingerprints(self._results[np.asarray(places, dtype=np.int64)])


class _Results(OnDisk[Listened]):
    read = staticmethod(from_bytes)


class _Fingerprints(Sequence[Fingerprint]):
    def __init__(self, results: Sequence[Listened]) -> None:
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Fingerprint]:
        return (each.fingerprint for each in self._results)

    def __getitem__(self, place: int) -> Fingerprint:  # type: ignore[override]  # no slices
        return self._results[place].fingerprint


def listen(tracks: Iterable[Entry], workers: int | None = None, data_root: Path | None = None) -> Heard:
    """Decode the excerpts of tracks, and return what was found of each, in order: a hash and a fingerprint, or a fault.

    An excerpt that several tracks share is decoded once. With `data_root`, results are kept in `heard.sqlite` there, and
    excerpts found there are not decoded again.
    """
    places: dict[Excerpt, int] = {}
    excerpts = (Excerpt(track.audio_path, float(track.start), float(track.duration)) for track in tracks)
    of_tracks = np.array([places.setdefault(excerpt, len(places)) for excerpt in excerpts], dtype=np.int64)
    decoded: list[str] = []

    def kept(results: Iterator[Listened]) -> Iterator[bytes]:
        for listened in results:
            decoded.append(listened.decoded)
            yield to_bytes(listened)

    with closing(ListeningCache(data_root / NAME if data_root else None)) as cache:
        results = _Results(kept(_heard(list(places), workers, cache)), at_a_time=EXCERPTS_WAITING)
    return Heard(results[of_tracks], [decoded[place] for place in of_tracks.tolist()])


def _heard(excerpts: Sequence[Excerpt], workers: int | None, cache: ListeningCache) -> Iterator[Listened]:
    """Yield the result of each excerpt: from the cache, or by decoding it."""
    local = threading.local()

    def take(task: list[Excerpt]) -> list[Listened]:
        if not hasattr(local, "decoder"):
            local.decoder = Decoder({RATE_HZ})
        return [hear(local.decoder, excerpt) for excerpt in task]

    pool = ThreadPoolExecutor(workers or available_cores())
    with hide_decoder_messages(), progress() as bar:
        task = bar.add_task("Listening", total=len(excerpts))
        try:
            for part in batched(excerpts, EXCERPTS_WAITING):
                keys = [excerpt_key(excerpt) for excerpt in part]
                known = dict(cache.get([key for key in keys if key]))
                missing = [excerpt for excerpt, key in zip(part, keys, strict=True) if key not in known]
                taken = chain.from_iterable(pool.map(take, batched(missing, EXCERPTS_A_TASK)))
                for key in keys:
                    listened = known.get(key) if key else None
                    if listened is None:
                        listened = next(taken)
                        cache.put([(key, listened)] if key else [])
                    yield listened
                    bar.advance(task)
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


def unheard(tracks: Iterable[Entry], heard: Heard) -> list[dict[str, str]]:
    """Return the tracks that could not be listened to, with their reasons, and log how many there are."""
    faults = [
        {"id": track.id, "reason": fault.reason, "detail": fault.detail}
        for at, (track, decoded) in enumerate(zip(tracks, heard.decoded, strict=True))
        if not decoded and (fault := heard[at].fault)
    ]
    if faults:
        examples = "; ".join(f"{each['id']}: {each['reason']}" for each in faults[:3])
        more = " ..." if len(faults) > 3 else ""
        log.warning(
            "%d of %d records could not be listened to, and match nothing by sound: %s%s",
            len(faults),
            len(heard),
            examples,
            more,
        )
    return faults
