"""How long audio files really are: what can be decoded, whatever their headers say.

Results go into a journal, so that a run that was interrupted does not measure them again.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import UnusableError
from unisono.audio.open import measure
from unisono.base import storage
from unisono.base.cores import available_cores
from unisono.base.progress import progress
from unisono.base.store import Store
from unisono.tracks.track import batched

FILES_A_BATCH = 64
SAVED_EVERY_S = 0.5


class Probed(NamedTuple):
    """What is known about one file."""

    duration_s: float
    """Seconds of audio that can be decoded; 0 where there is a fault."""
    fault: str = ""
    """Why the file cannot be used; one of `faults`."""
    detail: str = ""
    """What was found, with a fault; or what is odd about a file that can be used."""


def probe_all(paths: Iterable[str], workers: int | None, journal: "Journal | None") -> dict[str, Probed]:
    """Measure files, each once; the result depends on the files alone."""
    distinct = list(dict.fromkeys(paths))
    known = journal.known(distinct) if journal else {}
    missing = [path for path in distinct if path not in known]
    if not missing:
        return known
    pool = ThreadPoolExecutor(workers or available_cores(), thread_name_prefix="probe")
    try:
        with hide_decoder_messages(), progress("files") as bar:
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
    """Measure one file. What is wrong with the file is in the result, never raised."""
    try:
        frames, rate_hz, note = measure(path)
        return Probed(frames / rate_hz, detail=note)
    except UnusableError as error:
        reason, detail, _ = error.fault
        return Probed(0.0, reason, f"{path}: {detail}" if detail else path)


class Journal:
    """What an interrupted run has measured, by path, with the size and time of change of each file."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Open the journal of the last run; without `resume`, begin a new one."""
        self._path = path
        if not resume:
            self._remove()
        self._store = Store(path)
        self._saved_s = time.monotonic()

    def known(self, paths: Iterable[str]) -> dict[str, Probed]:
        """Return what is known of files that have not changed."""
        path_of = {_key(path): path for path in paths}
        return {
            path_of[key]: Probed(*msgspec.msgpack.decode(value, type=tuple[float, str, str]))
            for key, value in self._store.get(path_of).items()
        }

    def add(self, paths: list[str], results: list[Probed]) -> None:
        """Keep the results of a batch; after at most a second of work they survive a kill."""
        self._store.put(
            {_key(path): msgspec.msgpack.encode(probed) for path, probed in zip(paths, results, strict=True)}
        )
        if time.monotonic() - self._saved_s >= SAVED_EVERY_S:
            self._store.save()
            self._saved_s = time.monotonic()

    def close(self, *, forget: bool) -> None:
        """Close the journal; remove it once the run is complete."""
        self._store.close()
        if forget:
            self._remove()

    def _remove(self) -> None:
        for ending in ("", "-journal"):  # SQLite's own, which a kill may leave
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)


def _key(path: str) -> bytes:
    try:
        size, changed_ns = storage.status(path)
    except (OSError, ValueError):
        return f"{path}\0".encode("utf-8", "surrogatepass")
    return f"{path}\0{size}\0{changed_ns}".encode("utf-8", "surrogatepass")
