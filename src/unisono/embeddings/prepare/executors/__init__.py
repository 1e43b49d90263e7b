"""The executors: how the excerpts of a run are decoded and embedded. A module each, registered by being in this folder.

A module holds `build(job) -> Executor`, and `statuses(job, paths)` where it sees files that this machine does not. An
executor maps work items to results in any order, each at least once: whoever takes the results knows them by key and ignores
what comes twice. It writes nothing.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from unisono.audio.faults import Fault
from unisono.base.path_map import PathMap
from unisono.base.registry import Registry
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.tuned import TunedFile
from unisono.embeddings.prepare.plan import FileStatus, WorkItem, look_at
from unisono.embeddings.prepare.pooling import Pooling, pool, spread

DEFAULT = "local"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What an executor must know in addition to the work items."""

    encoders: Mapping[str, str] = field(default_factory=dict)
    """Name -> which hidden states: "all", or numbers such as "4,8,12"; empty: the encoder's default."""
    tuned: Mapping[str, TunedFile] = field(default_factory=dict)
    """Name -> the checkpoint that holds it, of encoders that were tuned."""
    pooling: Pooling = "mean"
    keep_windows: bool | int = False
    """See `ContentSettings`."""
    devices: Sequence[str] = ()
    """Where the encoders run; none: every GPU of this machine, or else the CPU."""
    batch_size: int | None = None
    """Windows embedded at a time on a GPU; None: found by trying."""
    workers: int | None = None
    """Threads that decode; None: the number of cores."""
    path_map: PathMap = field(default_factory=PathMap)
    """Where the audio files lie for those who decode them."""
    ray_address: str | None = None
    """Of the cluster, for the executor `ray`; None: an instance on this machine."""


class Embedded(NamedTuple):
    """One excerpt, embedded by one encoder."""

    key: bytes
    encoder: str
    embedding: NDArray[np.float16]
    """[D] or [L, D]."""
    windows: NDArray[np.float16] | None
    """[W, D] or [W, L, D], if they are kept."""
    numbers: NDArray[np.int64] | None = None
    """[W]: which of the windows these are, counted from 0; None: all, or none."""
    content: bytes = b""
    """The identity of the audio, see `contents`, where the executor has seen the file; else the caller finds it out."""


class Failed(NamedTuple):
    """An excerpt that cannot be embedded."""

    key: bytes
    fault: Fault
    node: str = ""
    """The machine that says so, where it is another one."""


Outcome = Embedded | Failed


class Executor(Protocol):
    """The encoders of a job, built, and the machines that run them."""

    specs: Mapping[str, EncoderSpec]
    """Of the encoders as built: dimension, layers and revision of the weights at hand."""

    def map(self, items: Sequence[WorkItem], /) -> Generator[Outcome, None, None]:
        """Yield a result for each encoder of each item, or one failure for the item, in any order.

        Closing the generator ends all work. An exception, which no audio file can cause, ends the run.
        """
        ...


_EXECUTORS = Registry(__name__, "executor", parameter="executor")
names = _EXECUTORS.names
check = _EXECUTORS.check


def build(name: str, job: Job) -> Executor:
    """Build the encoders of a job where the executor runs them.

    Raises:
        UsageError: there is no such executor.
        UnisonoError: weights or devices are not there.
    """
    executor: Executor = _EXECUTORS.module(name).build(job)
    return executor


def statuses(name: str, job: Job, paths: Iterable[str]) -> dict[str, FileStatus | Fault]:
    """Look at files, from this machine or, where only the executor's machines see them, from there."""
    found = look_at(paths, job.path_map)
    unseen = [path for path, status in found.items() if isinstance(status, Fault)]
    module = _EXECUTORS.module(name)
    return found | module.statuses(job, unseen) if unseen and hasattr(module, "statuses") else found


def result(
    key: bytes, encoder: str, windows: NDArray[np.float32], job: Job, whole: NDArray[np.float32] | None = None
) -> Outcome:
    """Pool the windows [W, D] (or [W, L, D]) of one excerpt; numbers that float16 cannot hold are a fault."""
    with np.errstate(over="ignore"):
        embedding = pool(windows, job.pooling, whole).astype(np.float16)
        if not np.isfinite(embedding).all():
            return Failed(key, Fault("embedding not finite", encoder))
        if not job.keep_windows:
            return Embedded(key, encoder, embedding, None)
        if job.keep_windows is True:
            return Embedded(key, encoder, embedding, windows.astype(np.float16))
        numbers = spread(len(windows), job.keep_windows)
        return Embedded(key, encoder, embedding, windows[numbers].astype(np.float16), numbers)
