"""The embedding part of a run: executes the plan, pools, stores in shards, and shows how it goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from unisono.audio.decode import Fault, count_windows
from unisono.audio.quiet import without_decoder_noise
from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.prepare.execute import Embedded, Result, execute
from unisono.embeddings.prepare.options import PrepareOptions
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.pooling import pool
from unisono.embeddings.prepare.runner import Runner
from unisono.embeddings.prepare.sink import ROWS_A_SHARD, EncoderShards, Failures

FLUSH_EVERY_S = 10.0
LOG_EVERY_S = 60.0
WORTH_ESTIMATING_WINDOWS = 200


def embed(
    items: list[WorkItem],
    runners: list[Runner],
    shards: dict[str, EncoderShards],
    failures: Failures,
    options: PrepareOptions,
) -> dict[bytes, Fault]:
    """Embed the items into the shards. Whatever ends it, what was finished before is on disk.

    Returns:
        The faults that may go away by themselves (a file that is missing now): they are not remembered.

    Raises:
        UnisonoError: the disk is full, the audio folder has gone away, or a device has too little memory.
    """
    passing: dict[bytes, Fault] = {}
    with _single_threaded_kernels(runners), without_decoder_noise():
        _estimate(items, runners)
        progress = _Progress(items)
        results = execute(items, runners, options.workers or available_cores())
        try:
            with progress.shown():
                for result in results:
                    fault = _store(result, shards, options)
                    if fault and fault.lasting:
                        failures.put(result.item.key, fault)
                    elif fault:
                        _refuse_vanished_folder(result.item, fault)
                        passing[result.item.key] = fault
                    progress.note(result)
                    _flush_if_due(shards, failures, progress)
        finally:
            results.close()
            for its_shards in shards.values():
                its_shards.flush()
            failures.flush()
    return passing


def _store(result: Result, shards: dict[str, EncoderShards], options: PrepareOptions) -> Fault | None:
    """Put a result into the shards, or say why it cannot be."""
    if not isinstance(result, Embedded):
        return result.fault
    embedding = pool(result.windows, options.pooling)
    if not np.isfinite(embedding).all():
        return Fault("embedding not finite", result.encoder)
    windows = result.windows.astype(np.float16) if options.keep_windows else None
    shards[result.encoder].put(result.item.key, embedding, windows)
    return None


def _flush_if_due(shards: dict[str, EncoderShards], failures: Failures, progress: "_Progress") -> None:
    due = progress.flush_is_due()
    for its_shards in shards.values():
        if due or its_shards.waiting >= ROWS_A_SHARD:
            its_shards.flush()
    if due:
        failures.flush()


def _refuse_vanished_folder(item: WorkItem, fault: Fault) -> None:
    """Stop where not a file but its whole folder has gone: it was there when the run began."""
    folder = Path(item.excerpt.path).parent
    if not folder.is_dir():
        raise UnisonoError(
            f"The audio folder {folder} has gone away ({fault.reason}: {item.excerpt.path}). What was embedded is kept.",
            hint="When it is back, run the same command with --continue.",
        )


def _estimate(items: list[WorkItem], runners: list[Runner]) -> None:
    """Say how long the encoders will take, measured on a batch of noise, if it is worth knowing."""
    encoders = runners[0].encoders
    windows = {
        name: sum(_windows(item, encoder.spec) for item in items if name in item.encoders)
        for name, encoder in encoders.items()
    }
    if sum(windows.values()) < WORTH_ESTIMATING_WINDOWS:
        return
    seconds = {}
    for name, encoder in encoders.items():
        size = runners[0].batch_sizes[name]
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(encoder.spec.window_s * encoder.spec.rate_hz))
        lot = [noise.astype(np.float32)] * size
        runners[0].start(name, lot).rows()  # the first time includes what is done only once
        began = time.perf_counter()
        runners[0].start(name, lot).rows()
        seconds[name] = (time.perf_counter() - began) / size * windows[name] / len(runners)
    each = ", ".join(f"{name} {in_words(its_seconds)}" for name, its_seconds in seconds.items())
    hours = sum(item.excerpt.duration_s for item in items) / 3600
    log.info(
        "%s excerpts, %.1f hours of audio: about %s of encoding (%s).",
        f"{len(items):,}",
        hours,
        in_words(sum(seconds.values())),
        each,
    )


def _windows(item: WorkItem, spec: EncoderSpec) -> int:
    return count_windows(item.excerpt.duration_s, spec.window_s, spec.hop_s)


@contextmanager
def _single_threaded_kernels(runners: list[Runner]) -> Iterator[None]:
    """On a CPU every core has a runner of its own; threads inside the kernels would only get into their way."""
    import torch

    before = torch.get_num_threads()
    if any(runner.device == "cpu" for runner in runners):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Progress:
    """Counts what is done, shows it, and says when it is time to flush."""

    def __init__(self, items: list[WorkItem]) -> None:
        self._left = {item.key: len(item.encoders) for item in items}
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

    def note(self, result: Result) -> None:
        """Count a result; an excerpt is done when all its encoders are, or when it failed."""
        key = result.item.key
        if key not in self._left:
            return
        self._left[key] -= 1
        if self._left[key] and isinstance(result, Embedded):
            return
        del self._left[key]
        self._audio_s += result.item.excerpt.duration_s
        self._bar.update(self._task, advance=1, description=f"Embedding, {self._hours_a_second():.2g} h of audio/s")
        now = time.monotonic()
        if now - self._logged >= LOG_EVERY_S:
            self._logged = now
            done = self._total - len(self._left)
            left_s = (now - self._began) / done * len(self._left)
            log.info("%s, about %s left", self._rates(), in_words(left_s))

    def flush_is_due(self) -> bool:
        """Whether it is some time since this last said so."""
        now = time.monotonic()
        if now - self._flushed < FLUSH_EVERY_S:
            return False
        self._flushed = now
        return True

    def _rates(self) -> str:
        done = self._total - len(self._left)
        seconds = max(time.monotonic() - self._began, 1e-9)
        return (
            f"{done:,} of {self._total:,} tracks in {in_words(seconds)}: {done / seconds:,.1f} tracks/s, "
            f"{self._hours_a_second():.2g} hours of audio/s"
        )

    def _hours_a_second(self) -> float:
        return self._audio_s / 3600 / max(time.monotonic() - self._began, 1e-9)


def in_words(seconds: float) -> str:
    """Say a time span: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
