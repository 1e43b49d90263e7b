"""Runs encoders on a device: how many windows at a time, and what to do when memory does not suffice."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Samples
from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.embeddings.encoders.audio import AudioEncoder

if TYPE_CHECKING:
    import torch

FIRST_BATCH = 32
LARGEST_BATCH = 256
WORTHWHILE_GAIN = 1.1
"""A larger batch is taken if it embeds so many times more windows a second."""

Rows = NDArray[np.float32]


class Runner:
    """The encoders on one device, called by one thread.

    On a CPU every window is embedded by itself, on one thread: matrix products round differently for different shapes,
    so this alone makes the stored bits independent of batch size, neighbours, workers and interruptions. It costs
    nothing where every core has a runner. On a GPU windows are embedded in batches of one fixed size for the same reason;
    the last one is filled up by repeating a window.
    """

    def __init__(self, device: str, encoders: dict[str, AudioEncoder], batch_size: int | None) -> None:
        self.device = device
        self.encoders = encoders
        first = 1 if device == "cpu" else batch_size
        self.batch_sizes = {name: first or find_batch_size(encoder, device) for name, encoder in encoders.items()}

    def start(self, name: str, windows: Sequence[Samples]) -> "Pending":
        """Begin to embed windows of one encoder: at most its batch size, so that a GPU works while the thread goes on."""
        import torch

        try:
            return self._start(self.encoders[name], windows, self.batch_sizes[name])
        except torch.OutOfMemoryError:
            return self._smaller(name, windows)

    def _start(self, encoder: AudioEncoder, windows: Sequence[Samples], batch_size: int) -> "Pending":
        import torch

        filled = [*windows, *[windows[-1]] * (batch_size - len(windows))]
        on_gpu = self.device.startswith("cuda")
        batch = torch.empty((len(filled), len(filled[0])), dtype=torch.float32, pin_memory=on_gpu)
        np.stack(filled, out=batch.numpy())
        rows = encoder.embed(batch.to(self.device, non_blocking=True))
        return Pending(
            [rows.float().to("cpu", non_blocking=True)], len(windows), on_gpu and torch.cuda.current_stream()
        )

    def _smaller(self, name: str, windows: Sequence[Samples]) -> "Pending":
        """Halve the batch size until the windows fit, and keep to it."""
        import torch

        while (batch_size := self.batch_sizes[name]) > 1:
            self.batch_sizes[name] = batch_size = batch_size // 2
            log.warning("%s: out of memory on %s; going on with %d windows at a time.", name, self.device, batch_size)
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()
            try:
                rows = [
                    self._start(self.encoders[name], windows[begin : begin + batch_size], batch_size).rows()
                    for begin in range(0, len(windows), batch_size)
                ]
                return Pending([torch.from_numpy(part) for part in rows], len(windows), None)
            except torch.OutOfMemoryError:
                continue
        raise UnisonoError(
            f"{name}: {self.device} has not enough memory for a single window.",
            hint="Free memory on the device, or use another: --devices cpu",
        )


class Pending:
    """Rows that a device may still be computing."""

    def __init__(self, parts: "list[torch.Tensor]", count: int, stream: Any) -> None:
        self._parts = parts
        self._count = count
        self._done = stream.record_event() if stream else None

    def rows(self) -> Rows:
        """Wait for the rows [n, D] or [n, L, D]."""
        if self._done is not None:
            self._done.synchronize()
        return np.concatenate([part.numpy() for part in self._parts])[: self._count]


def find_batch_size(
    encoder: AudioEncoder, device: str, seconds_for: Callable[[AudioEncoder, str, int], float] | None = None
) -> int:
    """Try growing batches until they bring no more windows a second, or do not fit; give the best size."""
    import torch

    seconds_for = seconds_for or _seconds_for
    size, best, best_rate = FIRST_BATCH, 1, 0.0
    while size <= LARGEST_BATCH:
        try:
            rate = size / seconds_for(encoder, device, size)
        except torch.OutOfMemoryError:
            if best > 1 or size == 1:
                break
            size //= 2
            continue
        if rate < best_rate * WORTHWHILE_GAIN:
            break
        best, best_rate = size, rate
        if size < FIRST_BATCH:
            break
        size *= 2
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    log.info("%s on %s: %d windows at a time.", encoder.spec.name, device, best)
    return best


def _seconds_for(encoder: AudioEncoder, device: str, size: int) -> float:
    import torch

    samples = round(encoder.spec.window_s * encoder.spec.rate_hz)
    windows = torch.rand((size, samples), device=device) - 0.5
    seconds = 0.0
    for _ in range(2):  # the first time includes what is done only once
        began = time.perf_counter()
        encoder.embed(windows).float().cpu()
        seconds = time.perf_counter() - began
    return seconds


def choose_devices(asked: Sequence[str], workers: int | None = None) -> list[str]:
    """Give the device of every runner: each GPU once, the CPU once for every core, or as often as there are workers.

    Raises:
        UnisonoError: a device that was asked for is not there.
    """
    import torch

    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    chosen: list[str] = []
    for device in asked or gpus or ["cpu"]:
        if device == "cpu":
            chosen += ["cpu"] * (workers or available_cores())
        elif device == "cuda" and gpus:
            chosen.append(gpus[0])
        elif device in gpus:
            chosen.append(device)
        else:
            raise UnisonoError(
                f"There is no device {device!r} here; there is: {', '.join(['cpu', *gpus])}.",
                hint="Choose with --devices, or leave it out.",
            )
    return list(dict.fromkeys(chosen)) if "cpu" not in chosen else chosen
