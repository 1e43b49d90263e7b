"""Embedding a few audio files in memory, exactly as `prepare` embeds the excerpts of a dataset."""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Excerpt
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault
from unisono.audio.probe import probe
from unisono.base.arguments import AnyPath, as_path
from unisono.base.errors import DataError
from unisono.embeddings.encoders import tuned, weights
from unisono.embeddings.encoders.tuned import TunedFile
from unisono.embeddings.file import EncoderRecord
from unisono.embeddings.prepare import settings
from unisono.embeddings.prepare.executors import Failed, Job, local
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.pooling import Pooling, pool

WHOLE_S = 1e7
"""Longer than any file: an excerpt of this length ends with its file."""
SEGMENT_S = 10.0
"""Segments are at least so long."""
LONGEST_SEGMENT_S = 60.0
"""Of a longer file there are more than `SEGMENTS`."""
SEGMENTS = 8
"""How many segments a track of some minutes is kept in."""


class Segments(NamedTuple):
    """A whole file, in stretches of equal length, each the mean of its windows."""

    starts_s: NDArray[np.float32]
    """[W]: where each begins."""
    vectors: NDArray[np.float32]
    """[W, D] or [W, L, D]."""


def embed_files(
    files: AnyPath | Excerpt | Iterable[AnyPath | Excerpt], record: EncoderRecord, device: str = "cpu"
) -> NDArray[np.float32]:
    """Embed audio files, or excerpts of them, as [n, D] (or [n, L, D]): the numbers that `prepare` rounds to float16.

    Args:
        files: one or several; a path stands for the whole file.
        record: of the encoder, as stored in `embeddings.h5` or in a checkpoint.
        device: "cpu", "cuda:0", ...

    Raises:
        DataError: a file cannot be embedded (the message has the reason), or the encoder here is not that of the record.
        UnisonoError: the weights or the device are not there.
    """
    excerpts = [_excerpt(file) for file in ([files] if isinstance(files, (str, os.PathLike, Excerpt)) else files)]
    executor = _executor_of(record, device)
    pooling: Pooling = "stats" if record.pooling == "stats" else "mean"
    items = [WorkItem(place.to_bytes(16, "big"), excerpt, (record.name,)) for place, excerpt in enumerate(excerpts)]
    shape = (record.dim,) if record.layers == 1 else (record.layers, record.dim)
    rows = np.empty((len(items), *shape), dtype=np.float32)
    with hide_decoder_messages(), closing(executor.windows(items)) as results:
        for result in results:
            place = int.from_bytes(result.key, "big")
            if isinstance(result, Failed):
                raise DataError(f"{excerpts[place].path}: {': '.join(filter(None, result.fault[:2]))}.")
            rows[place] = pool(result.windows, pooling, result.whole)
    return rows


def embed_windows(
    paths: Iterable[str], record: EncoderRecord, device: str = "cpu", workers: int | None = None
) -> Iterator[tuple[str, Segments | Fault]]:
    """Embed whole audio files, and yield each path with its segments, or why it cannot be embedded, in any order.

    Args:
        paths: different ones; each is asked for, from several threads, when a thread is free to decode its file.
        record: of the encoder. Windows are not pooled but averaged to segments, so that its pooling must be the mean.
        device: "cpu", "cuda:0", ...
        workers: threads that decode. Default: the number of cores.

    Raises:
        DataError: the encoder here is not that of the record.
        UnisonoError: the weights or the device are not there.
    """
    waiting = iter(paths)
    first = next(waiting, None)
    if first is None:  # nothing that an encoder must be built for
        return
    executor = _executor_of(record, device, workers)
    path_of: dict[bytes, str] = {}

    def items() -> Iterator[WorkItem]:
        for place, path in enumerate(chain([first], waiting)):
            key = place.to_bytes(16, "big")
            path_of[key] = path
            yield WorkItem(key, Excerpt(path, 0.0, WHOLE_S), (record.name,))

    with hide_decoder_messages(), closing(executor.windows(items())) as results:
        for result in results:
            path = path_of.pop(result.key)
            if isinstance(result, Failed):
                yield path, result.fault
            elif not np.isfinite(result.windows.astype(np.float16)).all():
                yield path, Fault("embedding not finite", record.name)
            else:
                yield path, _segments(result.windows, record.hop_s)


def _segments(windows: NDArray[np.float32], hop_s: float) -> Segments:
    """Average windows [n, ...] that begin every `hop_s` seconds to segments."""
    duration_s = len(windows) * hop_s
    longest_s = min(max(duration_s / SEGMENTS, SEGMENT_S), LONGEST_SEGMENT_S)
    count = max(1, min(len(windows), int(duration_s / longest_s)))
    bounds = np.linspace(0, len(windows), count + 1).round().astype(np.int64)
    sums = np.add.reduceat(windows.astype(np.float64), bounds[:-1], axis=0)
    lengths = np.diff(bounds).reshape(-1, *[1] * (windows.ndim - 1))
    return Segments((bounds[:-1] * hop_s).astype(np.float32), (sums / lengths).astype(np.float32))


def _executor_of(record: EncoderRecord, device: str, workers: int | None = None) -> local.LocalExecutor:
    """Return the encoder of a record.

    Raises:
        DataError: the encoder here differs from it.
    """
    executor = _executor(record.name, record.hidden_states, device, weights.root(), workers, tuned.file_of(record))
    pooling: Pooling = "stats" if record.pooling == "stats" else "mean"
    spec = executor.specs[record.name]
    differ = settings.record_differences(asdict(record), settings.encoder_record(spec, pooling, record.hidden_states))
    if differ:
        raise DataError(f"The encoder {record.name} here differs from the one of the record:\n  " + "\n  ".join(differ))
    return executor


def _excerpt(file: AnyPath | Excerpt) -> Excerpt:
    if isinstance(file, Excerpt):
        return file
    path = str(as_path(file))
    found = probe(path)
    if found.fault:
        raise DataError(f"{path}: {found.fault}.")
    return Excerpt(path, 0.0, found.duration_s)


@lru_cache(maxsize=1)
def _executor(
    name: str, states: str, device: str, root: Path, workers: int | None, tuned_in: TunedFile | None
) -> local.LocalExecutor:
    """Build the encoder, and keep it for the next call: loading takes longer than embedding a file.

    `root` is where its weights are, so that another place has another encoder.
    """
    held = {name: tuned_in} if tuned_in else {}
    return local.build(Job(encoders={name: states}, tuned=held, devices=(device,), workers=workers))
