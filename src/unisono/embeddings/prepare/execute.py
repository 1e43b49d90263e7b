"""The executor of one machine: threads decode ahead of the encoders, into a buffer of bounded size.

It takes work items and yields results in any order. Each file is decoded once, whatever the number of encoders, and its
windows go to the encoders as they come, so that memory does not depend on the length of a file. Nothing is written here.
"""

import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Decoder, Fault, Samples, WindowCutter
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.runner import Pending, Rows, Runner

BUFFER_BYTES = 256 << 20


class Embedded(NamedTuple):
    """All windows of one excerpt, embedded by one encoder."""

    item: WorkItem
    encoder: str
    windows: NDArray[np.float32]
    """[W, D] or [W, L, D]."""


class Failed(NamedTuple):
    """An excerpt that cannot be embedded."""

    item: WorkItem
    fault: Fault


Result = Embedded | Failed


def execute(
    items: Iterable[WorkItem], runners: list[Runner], workers: int, buffer_bytes: int = BUFFER_BYTES
) -> Generator[Result, None, None]:
    """Decode and embed the items. Yields one result for each of an item's encoders, or one failure for the item.

    An exception in a thread, which no file can cause, ends the run and is raised here.
    """
    specs = {name: encoder.spec for name, encoder in runners[0].encoders.items()}
    results: queue.SimpleQueue[Result | BaseException | None] = queue.SimpleQueue()
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
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                left -= 1
            else:
                yield result
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
    cutters = {
        name: WindowCutter(
            round(specs[name].window_s * specs[name].rate_hz), round(specs[name].hop_s * specs[name].rate_hz)
        )
        for name in item.encoders
    }
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
            put(name, cutter.push(block[specs[name].rate_hz]))
    for name, cutter in cutters.items():
        put(name, cutter.rest())
    collector.expect(item, counts)


class _Source:
    """Hands out the items to several threads."""

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
        self._windows: dict[str, deque[_Window]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._closed = False
        self.stopped = False

    def put(self, window: _Window) -> None:
        """Add a window; waits while the buffer is full."""
        with self._changed:
            while self._bytes >= self._capacity and not self.stopped:
                self._changed.wait()
            self._windows[window.encoder].append(window)
            self._bytes += window.samples.nbytes
            self._changed.notify_all()

    def take(self, batch_sizes: dict[str, int]) -> list[_Window]:
        """Take a batch of one encoder: a full one, or what there is if no more can come. Empty: all is done."""
        with self._changed:
            while not self.stopped:
                name = max(self._windows, key=lambda name: len(self._windows[name]) / batch_sizes[name], default=None)
                held = len(self._windows[name]) if name else 0
                nothing_to_wait_for = self._closed or self._bytes >= self._capacity
                if name and (held >= batch_sizes[name] or (held and nothing_to_wait_for)):
                    lot = [self._windows[name].popleft() for _ in range(min(held, batch_sizes[name]))]
                    self._bytes -= sum(window.samples.nbytes for window in lot)
                    self._changed.notify_all()
                    return lot
                if self._closed:
                    return []
                self._changed.wait()
            return []

    def close(self) -> None:
        """Say that no more windows will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Give up: nobody waits any more."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()


class _Collector:
    """Puts the rows of an excerpt together; they come in any order, and their number is known last."""

    def __init__(self, emit: Callable[[Result], None]) -> None:
        self._emit = emit
        self._rows: dict[tuple[bytes, str], dict[int, Rows]] = defaultdict(dict)
        self._expected: dict[tuple[bytes, str], int] = {}
        self._failed: set[bytes] = set()
        self._lock = threading.Lock()

    def add(self, lot: list[_Window], rows: Rows) -> None:
        """Take the rows of some windows."""
        with self._lock:
            for window, row in zip(lot, rows, strict=True):
                if window.item.key not in self._failed:
                    self._rows[window.item.key, window.encoder][window.number] = row
                    self._emit_if_whole(window.item, window.encoder)

    def expect(self, item: WorkItem, counts: dict[str, int]) -> None:
        """Say how many windows an excerpt has for each encoder."""
        with self._lock:
            for encoder, count in counts.items():
                self._expected[item.key, encoder] = count
                self._emit_if_whole(item, encoder)

    def fail(self, item: WorkItem, fault: Fault) -> None:
        """Say that an excerpt turned out to be of no use; what was embedded of it is dropped."""
        with self._lock:
            self._failed.add(item.key)
            for encoder in item.encoders:
                self._rows.pop((item.key, encoder), None)
        self._emit(Failed(item, fault))

    def _emit_if_whole(self, item: WorkItem, encoder: str) -> None:
        key = item.key, encoder
        if len(self._rows[key]) == self._expected.get(key):
            del self._expected[key]
            rows = self._rows.pop(key)
            self._emit(Embedded(item, encoder, np.stack([rows[number] for number in range(len(rows))])))


def _start(
    tasks: list[Callable[[], None]],
    name: str,
    report: Callable[[BaseException | None], None],
    when_all_done: Callable[[], None] | None,
) -> list[threading.Thread]:
    """Run tasks in threads. Report their exceptions, and the end of each, or else call `when_all_done` at the last one's."""
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
