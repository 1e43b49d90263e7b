"""The executor of one machine: threads decode ahead of the encoders, into a buffer of bounded size.

Each file is decoded once for all encoders, and its windows go to the encoders as they come, so memory does not depend on
the length of a file.
"""

import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Decoder
from unisono.base.cores import available_cores
from unisono.base.log import log
from unisono.embeddings.encoders.audio import AudioEncoder, EncoderSpec
from unisono.embeddings.prepare.executors import Failed, Job, Outcome
from unisono.embeddings.prepare.executors._runner import (
    Pending,
    Runner,
    build_encoders,
    choose_devices,
    log_estimate,
)
from unisono.embeddings.prepare.executors._together import paired, parted, with_pairs
from unisono.embeddings.prepare.executors._windows import (
    Collector,
    EmbeddedWindows,
    Window,
    cut_windows,
    joined,
    outcome,
)
from unisono.embeddings.prepare.plan import WorkItem

BUFFER_BYTES = 256 << 20

_Item = EmbeddedWindows | Failed


def build(job: Job) -> "LocalExecutor":
    """Build the encoders once for each device of this machine.

    Raises:
        UnisonoError: weights or a device are not there.
    """
    devices = choose_devices(job.devices, job.workers)
    built = {device: with_pairs(each) for device, each in build_encoders(job.encoders, devices, job.tuned).items()}
    log.info("Encoders %s on %s", ", ".join(job.encoders), ", ".join(dict.fromkeys(devices)))
    return LocalExecutor(job, [Runner(device, built[device], job.batch_size) for device in devices])


def around(encoder: AudioEncoder, device: str, workers: int) -> "LocalExecutor":
    """Return an executor around an encoder that is built already."""
    name = encoder.spec.name
    job = Job(encoders={name: ""}, devices=(device,), workers=workers)
    return LocalExecutor(job, [Runner(each, {name: encoder}, None) for each in choose_devices(job.devices, workers)])


class LocalExecutor:
    """The encoders on the devices of this machine."""

    def __init__(self, job: Job, runners: list[Runner]) -> None:
        self.runners = runners
        self._kinds = {name: encoder.spec for name, encoder in runners[0].encoders.items()}
        self.specs: Mapping[str, EncoderSpec] = {name: self._kinds[name] for name in job.encoders}
        self._job = job

    def map(self, items: Sequence[WorkItem]) -> Generator[Outcome, None, None]:
        """Yield a result for each encoder of each item, or one failure for the item, in any order."""
        with _single_threaded_kernels(self.runners):
            log_estimate([paired(item, self._kinds) for item in items], self.runners)
        yield from self.outcomes(items)

    def outcomes(self, items: Iterable[WorkItem]) -> Generator[Outcome, None, None]:
        """Do what `map` does, without an estimate of the time."""
        with closing(self.windows(items)) as found:
            for each in found:
                yield outcome(each, self._job)

    def windows(self, items: Iterable[WorkItem]) -> Generator[_Item, None, None]:
        """Yield the windows of each excerpt before they are pooled, or one failure for the item, in any order."""
        with _single_threaded_kernels(self.runners):
            runner = self.runners[0]
            for found in embed_windows((paired(item, self._kinds) for item in items), self.runners, self._job):
                if isinstance(found, EmbeddedWindows):
                    found = joined(found, runner.encoders[found.encoder], runner.device)
                yield from parted(found, self.specs)


@contextmanager
def _single_threaded_kernels(runners: list[Runner]) -> Iterator[None]:
    """Let a kernel on the CPU use one thread: every core has a runner of its own, and results do not depend on threads."""
    import torch

    before = torch.get_num_threads()
    if any(runner.device == "cpu" for runner in runners):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def embed_windows(
    items: Iterable[WorkItem], runners: list[Runner], job: Job, buffer_bytes: int = BUFFER_BYTES
) -> Generator[_Item, None, None]:
    """Decode and embed the items. Yield the windows for each of an item's encoders, or one failure for the item.

    An exception in a thread, which no audio file can cause, ends the run and is raised here.
    """
    specs = {name: encoder.spec for name, encoder in runners[0].encoders.items()}
    results: queue.SimpleQueue[_Item | BaseException | None] = queue.SimpleQueue()
    buffer = _Buffer(buffer_bytes)
    source = _Source(items)
    collector = Collector(results.put)

    def decode() -> None:
        decoder = Decoder({spec.rate_hz for spec in specs.values()})
        while (item := source.next()) is not None and not buffer.stopped:
            decode_one(decoder, item)

    def decode_one(decoder: Decoder, item: WorkItem) -> None:
        for found in cut_windows(decoder, item, specs, job.path_map(item.excerpt.path)):
            if isinstance(found, Window):
                buffer.put(found)
            elif isinstance(found, Failed):
                collector.fail(found, item.encoders)
            else:
                collector.expect(item.key, found)
            if buffer.stopped:
                return

    def collect(lot: list[Window], rows: NDArray[np.float32]) -> None:
        for window, row in zip(lot, rows, strict=True):
            collector.add(window.item.key, window.encoder, window.number, row)

    def embed(runner: Runner) -> None:
        waiting: tuple[list[Window], Pending] | None = None
        while lot := buffer.take(runner.batch_sizes):
            started = runner.start(lot[0].encoder, [window.samples for window in lot])
            if waiting:
                collect(waiting[0], waiting[1].rows())
            waiting = lot, started
            if runner.device == "cpu":
                collect(lot, started.rows())
                waiting = None
        if waiting:
            collect(waiting[0], waiting[1].rows())

    decoders = _start([decode] * (job.workers or available_cores()), "decode", results.put, buffer.close)
    encoders = _start([partial(embed, runner) for runner in runners], "embed", results.put, None)
    left = len(encoders)
    try:
        while left:
            found = results.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                left -= 1
            else:
                yield found
    finally:
        buffer.stop()
        for thread in (*decoders, *encoders):
            thread.join()


class _Source:
    """The items, taken by several threads."""

    def __init__(self, items: Iterable[WorkItem]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def next(self) -> WorkItem | None:
        with self._lock:
            return next(self._items, None)


class _Buffer:
    """Decoded windows that wait for an encoder, of bounded size altogether."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._windows: dict[tuple[str, int], deque[Window]] = defaultdict(deque)
        """By encoder and length."""
        self._changed = threading.Condition()
        self._closed = False
        self.stopped = False

    def put(self, window: Window) -> None:
        """Add a window; waits while the buffer is full."""
        with self._changed:
            while self._bytes >= self._capacity and not self.stopped:
                self._changed.wait()
            self._windows[window.encoder, len(window.samples)].append(window)
            self._bytes += window.samples.nbytes
            self._changed.notify_all()

    def take(self, batch_sizes: dict[str, int]) -> list[Window]:
        """Take a batch of one encoder: a full one, or a smaller one if no more can come. An empty list ends the work."""
        with self._changed:
            while not self.stopped:
                kind = max(
                    self._windows, key=lambda kind: len(self._windows[kind]) / batch_sizes[kind[0]], default=None
                )
                held = len(self._windows[kind]) if kind else 0
                nothing_to_wait_for = self._closed or self._bytes >= self._capacity
                if kind and (held >= batch_sizes[kind[0]] or (held and nothing_to_wait_for)):
                    lot = [self._windows[kind].popleft() for _ in range(min(held, batch_sizes[kind[0]]))]
                    self._bytes -= sum(window.samples.nbytes for window in lot)
                    self._changed.notify_all()
                    return lot
                if self._closed:
                    return []
                self._changed.wait()
            return []

    def close(self) -> None:
        """Note that no more windows will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop: wake all threads that wait, and let none wait again."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()


def _start(
    tasks: list[Callable[[], None]],
    name: str,
    report: Callable[[BaseException | None], None],
    when_all_done: Callable[[], None] | None,
) -> list[threading.Thread]:
    """Run tasks in threads and report their exceptions. Report the end of each, or call `when_all_done` after the last."""
    left = [len(tasks)]
    lock = threading.Lock()

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # the thread that yields the results raises it
            report(error)
        if when_all_done is None:
            report(None)
            return
        with lock:
            left[0] -= 1
            if not left[0]:
                when_all_done()

    threads = [
        threading.Thread(target=run, args=(task,), name=f"{name}-{number}", daemon=True)
        for number, task in enumerate(tasks)
    ]
    for thread in threads:
        thread.start()
    return threads
