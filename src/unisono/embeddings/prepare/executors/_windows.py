"""From an excerpt to windows, and from the windows' rows back to an excerpt: what is the same in every executor."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Decoder, Excerpt, WindowCutter
from unisono.audio.faults import Fault
from unisono.audio.open import Samples
from unisono.embeddings.encoders.audio import AudioEncoder, EncoderSpec
from unisono.embeddings.prepare.executors import Embedded, Failed, Job, Outcome, result
from unisono.embeddings.prepare.plan import WorkItem


class EmbeddedWindows(NamedTuple):
    """All windows of one excerpt, embedded by one encoder."""

    key: bytes
    encoder: str
    windows: NDArray[np.float32]
    """[W, D] or [W, L, D]."""
    whole: NDArray[np.float32] | None = None
    """[D]: the embedding of the excerpt, of an encoder that reads the windows as a sequence."""
    content: bytes = b""
    """The identity of the audio, see `Embedded`."""


class Window(NamedTuple):
    """A window on its way to an encoder."""

    item: WorkItem
    encoder: str
    number: int
    samples: Samples


def cut_windows(
    decoder: Decoder, item: WorkItem, specs: Mapping[str, EncoderSpec], path: str
) -> Iterator[Window | dict[str, int] | Failed]:
    """Decode one item once for all its encoders, and yield its windows; last, how many each encoder has, or a failure.

    Args:
        decoder: of this thread.
        item: the excerpt and its encoders.
        specs: of the encoders.
        path: where the file lies for this machine.
    """
    excerpt = item.excerpt._replace(path=path)
    cutters = {name: _cutter(specs[name]) for name in item.encoders}
    levels = {}
    for rate_hz in {specs[name].rate_hz for name in item.encoders if specs[name].whole}:
        level = _level(decoder, excerpt, rate_hz)
        if isinstance(level, Fault):
            yield Failed(item.key, level)
            return
        levels[rate_hz] = level
    counts = dict.fromkeys(item.encoders, 0)

    def numbered(name: str, windows: Iterator[Samples]) -> Iterator[Window]:
        for samples in windows:
            yield Window(item, name, counts[name], samples)
            counts[name] += 1

    for block in decoder.blocks(excerpt, {specs[name].rate_hz for name in item.encoders}):
        if isinstance(block, Fault):
            yield Failed(item.key, block)
            return
        for name, cutter in cutters.items():
            samples = block[specs[name].rate_hz]
            if specs[name].whole:
                mean, deviation = levels[specs[name].rate_hz]
                samples = ((samples - mean) / deviation).astype(np.float32)
            yield from numbered(name, cutter.push(samples))
    for name, cutter in cutters.items():
        yield from numbered(name, cutter.rest())
    yield counts


def _cutter(spec: EncoderSpec) -> WindowCutter:
    window, hop, shortest = (
        round(length_s * spec.rate_hz) for length_s in (spec.window_s, spec.hop_s, spec.shortest_s)
    )
    return WindowCutter(window, hop, spec.tail, shortest)


def _level(decoder: Decoder, excerpt: Excerpt, rate_hz: int) -> tuple[float, float] | Fault:
    """Return mean and deviation of an excerpt, as Wav2Vec2's feature extractor computes them; it is decoded for that."""
    count, total, squares = 0, 0.0, 0.0
    for block in decoder.blocks(excerpt, {rate_hz}):
        if isinstance(block, Fault):
            return block
        samples = block[rate_hz].astype(np.float64)
        count, total, squares = count + len(samples), total + samples.sum(), squares + np.square(samples).sum()
    mean = total / max(count, 1)
    return mean, float(np.sqrt(max(squares / max(count, 1) - mean**2, 0.0) + 1e-7))


class Collector:
    """Collects the rows of an excerpt; they come in any order, and their number is known last."""

    def __init__(self, emit: Callable[[EmbeddedWindows | Failed], None]) -> None:
        self.emit = emit
        self._rows: dict[tuple[bytes, str], dict[int, NDArray[np.float32]]] = defaultdict(dict)
        self._expected: dict[tuple[bytes, str], tuple[int, bytes]] = {}
        self._failed: set[bytes] = set()
        self._lock = threading.Lock()

    def add(self, key: bytes, encoder: str, number: int, row: NDArray[np.float32]) -> None:
        """Add the row of a window."""
        with self._lock:
            if key not in self._failed:
                self._rows[key, encoder][number] = row
                self._emit_if_whole(key, encoder)

    def expect(self, key: bytes, counts: Mapping[str, int], content: bytes = b"") -> None:
        """Note how many windows an excerpt has for each encoder, and the identity of its audio."""
        with self._lock:
            for encoder, count in counts.items():
                self._expected[key, encoder] = count, content
                self._emit_if_whole(key, encoder)

    def fail(self, failed: Failed, encoders: Sequence[str]) -> None:
        """Note that an excerpt cannot be embedded, and drop the rows that it has already."""
        with self._lock:
            self._failed.add(failed.key)
            for encoder in encoders:
                self._rows.pop((failed.key, encoder), None)
        self.emit(failed)

    def _emit_if_whole(self, key: bytes, encoder: str) -> None:
        expected, content = self._expected.get((key, encoder), (0, b""))
        if expected and len(self._rows[key, encoder]) == expected:
            del self._expected[key, encoder]
            rows = self._rows.pop((key, encoder))
            stacked = np.stack([rows[number] for number in range(len(rows))])
            self.emit(EmbeddedWindows(key, encoder, stacked, content=content))


def joined(found: EmbeddedWindows, encoder: AudioEncoder, device: str) -> EmbeddedWindows:
    """Join the windows of an excerpt, if the encoder reads them as a sequence."""
    import torch

    if not hasattr(encoder, "join"):
        return found
    whole, windows = encoder.join(torch.from_numpy(found.windows).to(device))
    return found._replace(windows=windows.cpu().numpy(), whole=whole.cpu().numpy())


def outcome(found: EmbeddedWindows | Failed, job: Job) -> Outcome:
    """Pool the windows of an excerpt, unless it failed."""
    if isinstance(found, Failed):
        return found
    pooled = result(found.key, found.encoder, found.windows, job, found.whole)
    return pooled._replace(content=found.content) if isinstance(pooled, Embedded) else pooled
