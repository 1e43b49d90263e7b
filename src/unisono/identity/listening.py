"""Which records hold one recording by their sound: exactly the same samples, or nearly the same audio."""

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np

from unisono import console
from unisono.audio import Decoder, Excerpt, Fault
from unisono.decoder_noise import without_decoder_noise
from unisono.identity.fingerprint import NOTHING, RATE_HZ, SameAudio, of_samples, same_audio
from unisono.identity.heard import NAME, Heard, ListeningCache, excerpt_key
from unisono.mix.matching import Kind, Match
from unisono.track import Track, batched

LONGEST_S = 120.0
"""Of longer excerpts the first two minutes have a fingerprint; the hash is of all."""
EXCERPTS_A_TASK = 4
EXCERPTS_WAITING = 1024


def listen(tracks: Sequence[Track], workers: int | None = None, data_root: Path | None = None) -> list[Heard]:
    """Decode the excerpts of tracks; where one cannot be used, its fault is given.

    An excerpt that several tracks share is decoded once. Results are kept in `<data_root>/heard.sqlite`, and what is there
    is not decoded again.
    """
    excerpts = [Excerpt(track.audio_path, track.start, track.duration) for track in tracks]
    heard: dict[Excerpt, Heard] = {}
    keys = {excerpt: excerpt_key(excerpt) for excerpt in dict.fromkeys(excerpts)}
    excerpts_of = {key: excerpt for excerpt, key in keys.items() if key}
    cache = ListeningCache(data_root / NAME if data_root else None)
    try:
        heard.update((excerpts_of[key], known) for key, known in cache.get(list(excerpts_of)))
        missing = [excerpt for excerpt in keys if excerpt not in heard]
        for taken in _decode(missing, workers):
            heard.update(taken)
            cache.put((key, known) for excerpt, known in taken if (key := keys[excerpt]))
    finally:
        cache.close()
    return [heard[excerpt] for excerpt in excerpts]


def _decode(excerpts: Sequence[Excerpt], workers: int | None) -> Iterator[list[tuple[Excerpt, Heard]]]:
    local = threading.local()

    def take(task: list[Excerpt]) -> list[tuple[Excerpt, Heard]]:
        if not hasattr(local, "decoder"):
            local.decoder = Decoder({RATE_HZ})
        return [(excerpt, hear(local.decoder, excerpt)) for excerpt in task]

    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    with without_decoder_noise(), console.progress() as bar:
        progress = bar.add_task("Listening", total=len(excerpts))
        try:
            for part in batched(excerpts, EXCERPTS_WAITING):
                for taken in pool.map(take, batched(part, EXCERPTS_A_TASK)):
                    yield taken
                    bar.advance(progress, len(taken))
        finally:
            pool.shutdown(cancel_futures=True)


def hear(decoder: Decoder, excerpt: Excerpt) -> Heard:
    """Decode an excerpt once, for its hash and its fingerprint. `decoder` must give `RATE_HZ`."""
    decoder.digest = digest = sha256()
    samples, wanted = [], LONGEST_S * RATE_HZ
    for item in decoder.blocks(excerpt):
        if isinstance(item, Fault):
            return Heard("", NOTHING, item)
        if wanted > 0:
            samples.append(item[RATE_HZ][: int(wanted)].copy())
            wanted -= len(item[RATE_HZ])
    return Heard(digest.hexdigest(), of_samples(np.concatenate(samples)))


def unheard(tracks: Sequence[Track], heard: Sequence[Heard]) -> list[dict[str, str]]:
    """List the tracks that could not be listened to, with their reasons, and log how many there are."""
    faults = [(track, item.fault) for track, item in zip(tracks, heard, strict=True) if item.fault]
    if faults:
        examples = "; ".join(f"{track.id}: {fault.reason}" for track, fault in faults[:3])
        more = " ..." if len(faults) > 3 else ""
        console.log.warning(
            "%d of %d records could not be listened to, and match nothing by sound: %s%s",
            len(faults),
            len(tracks),
            examples,
            more,
        )
    return [{"id": track.id, "reason": fault.reason, "detail": fault.detail} for track, fault in faults]


def audio_matches(first: Sequence[Heard], second: Sequence[Heard], kinds: Sequence[Kind]) -> list[Match]:
    """Compare all of one list with all of another: by their samples (`decoded`), and by what is like them (`audio`).

    Of several tracks of the second list with the same samples, the first is named. `audio` holds what is exactly the same
    too, but each pair is named once, with the stronger evidence.
    """
    mine, theirs = _by_samples(first), _by_samples(second)
    matches = [
        Match(at, theirs[decoded][0], "decoded", f"the same samples, sha256 {decoded}")
        for decoded, places in mine.items()
        for at in places
        if decoded in theirs
    ]
    if "audio" in kinds:
        for same, one, other in _alike(first, second, mine, theirs):
            if one != other:
                evidence = (
                    f"{1 - same.different:.1%} of the fingerprints agree, "
                    f"the second begins {same.offset_s:+.2f} s later"
                )
                matches += [Match(at, theirs[other][0], "audio", evidence) for at in mine[one]]
    return sorted(matches, key=lambda match: (match.first, match.second))


def _alike(
    first: Sequence[Heard], second: Sequence[Heard], mine: dict[str, list[int]], theirs: dict[str, list[int]]
) -> Iterator[tuple[SameAudio, str, str]]:
    """Yield what is alike, with the hashes of both: of exact copies one is compared."""
    hashes, other_hashes = list(mine), list(theirs)
    prints = [first[mine[decoded][0]].fingerprint for decoded in hashes]
    others = [second[theirs[decoded][0]].fingerprint for decoded in other_hashes]
    for same in same_audio(prints, others):
        yield same, hashes[same.first], other_hashes[same.second]


def duplicates(heard: Sequence[Heard]) -> list[tuple[int, int]]:
    """Find pairs within one list, the lower place first: enough of them to join all that sound the same."""
    places = _by_samples(heard)
    pairs = [(members[0], at) for members in places.values() for at in members[1:]]
    distinct = [members[0] for members in places.values()]
    alike = same_audio([heard[at].fingerprint for at in distinct])
    return sorted(pairs + [(distinct[same.first], distinct[same.second]) for same in alike])


def _by_samples(heard: Sequence[Heard]) -> dict[str, list[int]]:
    """Give hash of the samples -> places of those that have them."""
    places: dict[str, list[int]] = {}
    for at, item in enumerate(heard):
        if item.decoded:
            places.setdefault(item.decoded, []).append(at)
    return places
