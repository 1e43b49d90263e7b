"""The embedding part of a run: takes the executor's results, stores them in shards, and reports progress."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from unisono.audio.decode import Excerpt
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault
from unisono.base import storage
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.base.path_map import PathMap
from unisono.base.progress import progress, time_in_words
from unisono.base.words import rate_in_words, speed_in_words
from unisono.embeddings.prepare.contents import Contents
from unisono.embeddings.prepare.executors import Embedded, Executor, Failed, Outcome
from unisono.embeddings.prepare.plan import AS_THEY_ARE, WorkItem
from unisono.embeddings.prepare.sink import ROWS_A_SHARD, EncoderShards, Failures

FLUSH_EVERY_S = 10.0
LOG_EVERY_S = 60.0


def embed(
    items: list[WorkItem],
    executor: Executor,
    shards: Mapping[str, EncoderShards],
    failures: Failures,
    contents: Contents,
    path_map: PathMap = AS_THEY_ARE,
) -> dict[bytes, Fault]:
    """Embed the items into the shards. Whatever ends it, the results so far are on disk.

    Returns:
        Key -> fault, of those that may go away by themselves (a file that is missing now) and are not remembered.

    Raises:
        UnisonoError: the disk is full, the audio folder has gone away, or a device has too little memory.
    """
    passing: dict[bytes, Fault] = {}
    fresh: dict[bytes, Excerpt] = {}
    counted = _Counted(items)
    try:
        with hide_decoder_messages(), counted.shown(), closing(executor.map(items)) as results:
            for result in results:
                if isinstance(result, Embedded):
                    shards[result.encoder].put(result.key, result.embedding, result.windows, result.numbers)
                    if result.content:
                        contents.put(result.key, result.content)
                    else:
                        fresh[result.key] = counted.items[result.key].excerpt
                elif result.fault.lasting:
                    failures.put(result.key, result.fault)
                else:
                    place = path_map(counted.items[result.key].excerpt.path)
                    passing[result.key] = _passing(result, place)
                counted.note(result)
                full = any(its_shards.waiting >= ROWS_A_SHARD for its_shards in shards.values())
                if counted.flush_is_due() or full:
                    _flush(shards, failures, contents, fresh)
    finally:
        _flush(shards, failures, contents, fresh)
    return passing


def _flush(
    shards: Mapping[str, EncoderShards], failures: Failures, contents: Contents, fresh: dict[bytes, Excerpt]
) -> None:
    for its_shards in shards.values():
        its_shards.flush()
    failures.flush()
    contents.add(fresh)
    contents.flush()
    fresh.clear()


def _passing(failed: Failed, place: str) -> Fault:
    """Return the fault; stop if not a file but its whole folder has gone, which was there when the run began."""
    fault, node = failed.fault, failed.node
    if node:
        return fault._replace(detail=f"{fault.detail} (on {node})".lstrip())
    folder = Path(place).parent
    if not storage.is_url(place) and not folder.is_dir():
        raise UnisonoError(
            f"The audio folder {folder} has gone away ({fault.reason}: {place}). The embeddings made so far are kept.",
            hint="When it is back, run the same command with --continue.",
        )
    return fault


class _Counted:
    """The items by key, and how many are done: shows the progress, and tells when to flush."""

    def __init__(self, items: list[WorkItem]) -> None:
        self.items = {item.key: item for item in items}
        self._left = {item.key: set(item.encoders) for item in items}
        self._total = len(items)
        self._audio_s = 0.0
        self._began = self._flushed = self._logged = time.monotonic()
        self._bar = progress("tracks")
        self._task = self._bar.add_task("Embedding", total=self._total)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar while the block runs, and log the rate at its end."""
        self._began = self._flushed = self._logged = time.monotonic()
        with self._bar:
            yield
        log.info("Embedded %s", self._rates())

    def note(self, result: Outcome) -> None:
        """Count a result; an excerpt is done when all its encoders are, or when it failed."""
        key = result.key
        if key not in self._left:
            return
        if isinstance(result, Embedded):
            self._left[key].discard(result.encoder)
            if self._left[key]:
                return
        del self._left[key]
        self._audio_s += self.items[key].excerpt.duration_s
        self._bar.update(self._task, advance=1, description=f"Embedding, {speed_in_words(self._speed())}")
        now = time.monotonic()
        if now - self._logged >= LOG_EVERY_S:
            self._logged = now
            done = self._total - len(self._left)
            left_s = (now - self._began) / done * len(self._left)
            log.info("%s, about %s left", self._rates(), time_in_words(left_s))

    def flush_is_due(self) -> bool:
        """Return whether it is time to flush; at most once in `FLUSH_EVERY_S` seconds."""
        now = time.monotonic()
        if now - self._flushed < FLUSH_EVERY_S:
            return False
        self._flushed = now
        return True

    def _rates(self) -> str:
        done = self._total - len(self._left)
        seconds = max(time.monotonic() - self._began, 1e-9)
        return (
            f"{done:,} of {self._total:,} tracks in {time_in_words(seconds)}: {speed_in_words(self._speed())}, "
            f"{rate_in_words(done / seconds, 'tracks')}"
        )

    def _speed(self) -> float:
        """Return how many seconds of audio are embedded in a second."""
        return self._audio_s / max(time.monotonic() - self._began, 1e-9)
