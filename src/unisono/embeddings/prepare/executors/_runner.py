"""Encoders on a device: building them, how many windows to embed at a time, and what to do when memory does not suffice."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import count_windows
from unisono.audio.open import Samples
from unisono.base import memory
from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.base.progress import time_in_words
from unisono.embeddings.encoders import audio, tuned
from unisono.embeddings.encoders.audio import AudioEncoder, EncoderSpec, Layers, WeightsAbsentError
from unisono.embeddings.encoders.tuned import TunedFile
from unisono.embeddings.prepare.plan import WorkItem

if TYPE_CHECKING:
    import torch

FIRST_BATCH = 32
LARGEST_BATCH = 256
WORTHWHILE_GAIN = 1.1
"""A larger batch is chosen if it embeds this many times as many windows a second."""
NEEDING_NO_DOWNLOAD = ("musicnn", "dsp")
WORTH_ESTIMATING_WINDOWS = 200


class Runner:
    """The encoders on one device, called by one thread.

    On a CPU each window is embedded alone, on one thread: matrix products round differently for different shapes, so only
    then are the stored bits independent of batch size, neighbours, workers and interruptions. It costs nothing where every
    core has a runner. On a GPU windows are embedded in batches of one fixed size for the same reason; the last batch is
    filled by repeating a window.
    """

    def __init__(self, device: str, encoders: dict[str, AudioEncoder], batch_size: int | None) -> None:
        if device == "cpu":
            memory.keep_freed()
        self.device = device
        self.encoders = encoders
        first = 1 if device == "cpu" else batch_size
        self.batch_sizes = {name: first or find_batch_size(encoder, device) for name, encoder in encoders.items()}

    def start(self, name: str, windows: Sequence[Samples]) -> "Pending":
        """Start to embed windows of one encoder, at most its batch size; a GPU works while the thread goes on."""
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
        """Halve the batch size, for good, until the windows fit."""
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

    def rows(self) -> NDArray[np.float32]:
        """Wait for the rows [n, D] or [n, L, D]."""
        if self._done is not None:
            self._done.synchronize()
        return np.concatenate([part.numpy() for part in self._parts])[: self._count]


def find_batch_size(
    encoder: AudioEncoder, device: str, seconds_for: Callable[[AudioEncoder, str, int], float] | None = None
) -> int:
    """Try growing batches until they bring no more windows a second, or do not fit, and return the best size."""
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
    """Return the device of every runner: each GPU once, the CPU once for each worker, or else for each core.

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


def build_encoders(
    states: Mapping[str, str], devices: Iterable[str], tuned_in: Mapping[str, TunedFile] | None = None
) -> dict[str, dict[str, AudioEncoder]]:
    """Build each encoder once for each device: device -> name -> encoder.

    Args:
        states: encoder -> which hidden states, as in `Job`.
        devices: "cpu", "cuda:0", ...; repeated ones share an encoder.
        tuned_in: encoder -> the checkpoint that holds it, as in `Job`.

    Raises:
        UnisonoError: weights are absent; the message names all of them, and which encoders to use instead.
    """
    built: dict[str, dict[str, AudioEncoder]] = {}
    absent: list[WeightsAbsentError] = []
    for device in dict.fromkeys(devices):
        built[device] = {}
        for name, its_states in states.items():
            try:
                if found := (tuned_in or {}).get(name):
                    built[device][name] = tuned.build(Path(found.path), device, layers=layers_of(its_states))
                else:
                    built[device][name] = audio.build(name, device, layers=layers_of(its_states))
            except WeightsAbsentError as error:
                absent.append(error)
        if absent:
            raise _absent(absent)
    return built


def layers_of(states: str) -> Layers | None:
    """Return which hidden states a record or a job names, as `audio.build` wants them."""
    if not states:
        return None
    return cast("Layers", states) if states in ("all", "mean") else tuple(int(number) for number in states.split(","))


def _absent(errors: list[WeightsAbsentError]) -> UnisonoError:
    names = [error.name for error in errors]
    if len(errors) == 1 and names[0] in NEEDING_NO_DOWNLOAD:
        return errors[0]
    listed = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    return UnisonoError(
        f"The weights of {listed} are not here.",
        hint=f"Fetch them with: unisono encoders fetch {' '.join(names)}\n"
        f"Or use encoders that need no download: --encoders {' '.join(NEEDING_NO_DOWNLOAD)}",
    )


def log_estimate(items: Sequence[WorkItem], runners: list[Runner]) -> None:
    """Log how long the encoders will take, measured on a batch of noise, if there is much to do."""
    encoders = runners[0].encoders
    windows = {
        name: sum(_windows(item, encoder.spec) for item in items if name in item.encoders)
        for name, encoder in encoders.items()
    }
    if sum(windows.values()) < WORTH_ESTIMATING_WINDOWS:
        return
    seconds = {}
    for name in filter(windows.get, windows):
        encoder = encoders[name]
        size = runners[0].batch_sizes[name]
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(encoder.spec.window_s * encoder.spec.rate_hz))
        lot = [noise.astype(np.float32)] * size
        runners[0].start(name, lot).rows()  # the first time includes what is done only once
        began = time.perf_counter()
        runners[0].start(name, lot).rows()
        seconds[name] = (time.perf_counter() - began) / size * windows[name] / len(runners)
    each = ", ".join(f"{name} {time_in_words(its_seconds)}" for name, its_seconds in seconds.items())
    hours = sum(item.excerpt.duration_s for item in items) / 3600
    log.info(
        "%s excerpts, %.1f hours of audio: about %s of encoding (%s).",
        f"{len(items):,}",
        hours,
        time_in_words(sum(seconds.values())),
        each,
    )


def _windows(item: WorkItem, spec: EncoderSpec) -> int:
    return count_windows(item.excerpt.duration_s, spec.window_s, spec.hop_s)
