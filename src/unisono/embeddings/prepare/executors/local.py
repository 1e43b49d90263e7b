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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Decoder, WindowCutter
from unisono.audio.faults import Fault
from unisono.audio.open import Samples
from unisono.base.cores import available_cores
from unisono.base.log import log
from unisono.embeddings.encoders.audio import AudioEncoder, EncoderSpec
from unisono.embeddings.prepare.executors import Failed, Job, Outcome, result
from unisono.embeddings.prepare.executors._runner import (
    Pending,
    Runner,
    build_encoders,
    choose_devices,
    log_estimate,
)
from unisono.embeddings.prepare.plan import WorkItem

BUFFER_BYTES = 256 << 20


class EmbeddedWindows(NamedTuple):
    """All windows of one excerpt, embedded by one encoder."""

    key: bytes
    encoder: str
    windows: NDArray[np.float32]
    """[W, D] or [W, L, D]."""
    whole: NDArray[np.float32] | None = None
    """[D]: the embedding of the excerpt, of an encoder that reads the windows as a sequence."""


_Item = EmbeddedWindows | Failed


def build(job: Job) -> "LocalExecutor":
    """Build the encoders once for each device of this machine.

    Raises:
        UnisonoError: weights or a device are not there.
    """
    devices = choose_devices(job.devices, job.workers)
    built = build_encoders(job.encoders, devices, job.tuned)
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
        self.specs: Mapping[str, EncoderSpec] = {name: encoder.spec for name, encoder in runners[0].encoders.items()}
        self._job = job

    def map(self, items: Sequence[WorkItem]) -> Generator[Outcome, None, None]:
        """Yield a result for each encoder of each item, or one failure for the item, in any order."""
        with _single_threaded_kernels(self.runners):
            log_estimate(items, self.runners)
        yield from self.outcomes(items)

    def outcomes(self, items: Iterable[WorkItem]) -> Generator[Outcome, None, None]:
        """Do what `map` does, without an estimate of the time."""
        with closing(self.windows(items)) as found:
            for each in found:
                yield each if isinstance(each, Failed) else result(*each[:3], self._job, each.whole)

    def windows(self, items: Iterable[WorkItem]) -> Generator[_Item, None, None]:
        """Yield the windows of each excerpt before they are pooled, or one failure for the item, in any order."""
        with _single_threaded_kernels(self.runners):
            for found in embed_windows(items, self.runners, self._job.workers or available_cores()):
                yield found if isinstance(found, Failed) else self._joined(found)

    def _joined(self, found: EmbeddedWindows) -> EmbeddedWindows:
        """Join the windows of an excerpt, if the encoder reads them as a sequence."""
        import torch

        encoder = self.runners[0].encoders[found.encoder]
        if not hasattr(encoder, "join"):
            return found
        whole, windows = encoder.join(torch.from_numpy(found.windows).to(self.runners[0].device))
        return found._replace(windows=windows.cpu().numpy(), whole=whole.cpu().numpy())


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
    items: Iterable[WorkItem], runners: list[Runner], workers: int, buffer_bytes: int = BUFFER_BYTES
) -> Generator[_Item, None, None]:
    """Decode and embed the items. Yield the windows for each of an item's encoders, or one failure for the item.

    An exception in a thread, which no audio file can cause, ends the run and is raised here.
    """
    specs = {name: encoder.spec for name, encoder in runners[0].encoders.items()}
    results: queue.SimpleQueue[_Item | BaseException | None] = queue.SimpleQueue()
    buffer = _Buffer(buffer_bytes)
    source = _Source(items)
    collector = _Collector(results.put)

    def decode() -> None:
        decoder = Decoder({spec.rate_hz for spec in specs.values()})
        while (item := source.next()) is not None and not buffer.stopped:
            _decode(decoder, item, specs, buffer, collector)

    def embed(runner: Runner) -> None:
        waiting: tuple[list[_Window], Pending] | None = None
        while lot := buffer.take(runner.batch_sizes):
            started = runner.start(lot[0].encoder, [window.samples for window in lot])
            if waiting:
                collector.add(waiting[0], waiting[1].rows())
            waiting = lot, started
            if runner.device == "cpu":
                collector.add(lot, started.rows())
                waiting = None
        if waiting:
            collector.add(waiting[0], waiting[1].rows())

    decoders = _start([decode] * workers, "decode", results.put, buffer.close)
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


class _Window(NamedTuple):
    """A window on its way to an encoder."""

    item: WorkItem
    encoder: str
    number: int
    samples: Samples


def _decode(
    decoder: Decoder, item: WorkItem, specs: dict[str, EncoderSpec], buffer: "_Buffer", collector: "_Collector"
) -> None:
    """Decode one item once for all its encoders and put its windows into the buffer."""
    cutters = {name: _cutter(specs[name]) for name in item.encoders}
    levels = {}
    for rate_hz in {specs[name].rate_hz for name in item.encoders if specs[name].whole}:
        level = _level(decoder, item, rate_hz)
        if isinstance(level, Fault):
            collector.fail(item, level)
            return
        levels[rate_hz] = level
    counts = dict.fromkeys(item.encoders, 0)

    def put(name: str, windows: Iterator[Samples]) -> None:
        for samples in windows:
            buffer.put(_Window(item, name, counts[name], samples))
            counts[name] += 1

    for block in decoder.blocks(item.excerpt, {specs[name].rate_hz for name in item.encoders}):
        if isinstance(block, Fault):
            collector.fail(item, block)
            return
        if buffer.stopped:
            return
        for name, cutter in cutters.items():
            samples = block[specs[name].rate_hz]
            if specs[name].whole:
                mean, deviation = levels[specs[name].rate_hz]
                samples = ((samples - mean) / deviation).astype(np.float32)
            put(name, cutter.push(samples))
    for name, cutter in cutters.items():
        put(name, cutter.rest())
    collector.expect(item, counts)


def _cutter(spec: EncoderSpec) -> WindowCutter:
    window, hop, shortest = (
        round(length_s * spec.rate_hz) for length_s in (spec.window_s, spec.hop_s, spec.shortest_s)
    )
    return WindowCutter(window, hop, spec.tail, shortest)


def _level(decoder: Decoder, item: WorkItem, rate_hz: int) -> tuple[float, float] | Fault:
    """Return mean and deviation of an excerpt, as Wav2Vec2's feature extractor computes them; it is decoded for that."""
    count, total, squares = 0, 0.0, 0.0
    for block in decoder.blocks(item.excerpt, {rate_hz}):
        if isinstance(block, Fault):
            return block
        samples = block[rate_hz].astype(np.float64)
        count, total, squares = count + len(samples), total + samples.sum(), squares + np.square(samples).sum()
    mean = total / max(count, 1)
    return mean, float(np.sqrt(max(squares / max(count, 1) - mean**2, 0.0) + 1e-7))


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
        self._windows: dict[tuple[str, int], deque[_Window]] = defaultdict(deque)
        """By encoder and length."""
        self._changed = threading.Condition()
        self._closed = False
        self.stopped = False

    def put(self, window: _Window) -> None:
        """Add a window; waits while the buffer is full."""
        with self._changed:
            while self._bytes >= self._capacity and not self.stopped:
                self._changed.wait()
            self._windows[window.encoder, len(window.samples)].append(window)
            self._bytes += window.samples.nbytes
            self._changed.notify_all()

    def take(self, batch_sizes: dict[str, int]) -> list[_Window]:
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


class _Collector:
    """Collects the rows of an excerpt; they come in any order, and their number is known last."""

    def __init__(self, emit: Callable[[_Item], None]) -> None:
        self._emit = emit
        self._rows: dict[tuple[bytes, str], dict[int, NDArray[np.float32]]] = defaultdict(dict)
        self._expected: dict[tuple[bytes, str], int] = {}
        self._failed: set[bytes] = set()
        self._lock = threading.Lock()

    def add(self, lot: list[_Window], rows: NDArray[np.float32]) -> None:
        """Add the rows of some windows."""
        with self._lock:
            for window, row in zip(lot, rows, strict=True):
                if window.item.key not in self._failed:
                    self._rows[window.item.key, window.encoder][window.number] = row
                    self._emit_if_whole(window.item, window.encoder)

    def expect(self, item: WorkItem, counts: dict[str, int]) -> None:
        """Note how many windows an excerpt has for each encoder."""
        with self._lock:
            for encoder, count in counts.items():
                self._expected[item.key, encoder] = count
                self._emit_if_whole(item, encoder)

    def fail(self, item: WorkItem, fault: Fault) -> None:
        """Note that an excerpt cannot be embedded, and drop the rows that it has already."""
        with self._lock:
            self._failed.add(item.key)
            for encoder in item.encoders:
                self._rows.pop((item.key, encoder), None)
        self._emit(Failed(item.key, fault))

    def _emit_if_whole(self, item: WorkItem, encoder: str) -> None:
        key = item.key, encoder
        if len(self._rows[key]) == self._expected.get(key):
            del self._expected[key]
            rows = self._rows.pop(key)
            self._emit(EmbeddedWindows(item.key, encoder, np.stack([rows[number] for number in range(len(rows))])))


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
