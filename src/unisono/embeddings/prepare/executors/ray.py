"""The executor of a cluster: Ray Data decodes in tasks and embeds in actors, on whichever nodes have room.

A coordinator, itself an actor, runs the dataset within the cluster, since Ray Data does not run through a Ray client. Each
row is a call, pickled: the decoder yields windows for the encoders, and the coordinator receives calls of its `Collector`.
Ray Data would decode inside the actors if they asked for the same resources as the tasks do. Ray does the work of a dead
worker again; the coordinator counts how often a file was begun and not ended, in a task or in an actor.
"""

import itertools
import os
import pickle
import socket
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from unisono import __version__
from unisono.audio.decode import Decoder
from unisono.audio.faults import CRASHES, Fault
from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import require
from unisono.base.log import log
from unisono.embeddings.encoders.audio import AudioEncoder, EncoderSpec
from unisono.embeddings.prepare.contents import hash_of, identity
from unisono.embeddings.prepare.executors import Failed, Job, Outcome
from unisono.embeddings.prepare.executors._runner import Runner, build_encoders
from unisono.embeddings.prepare.executors._together import paired, parted, with_pairs
from unisono.embeddings.prepare.executors._windows import (
    Collector,
    EmbeddedWindows,
    Window,
    cut_windows,
    joined,
    outcome,
)
from unisono.embeddings.prepare.plan import FileStatus, WorkItem, look_at

TRIES = 3
ITEMS_A_TASK, MOST_TASKS = 8, 20_000
DECODER_CPUS, ENCODER_CPUS = 0.9, 0.01
"""Of a core, which both use in turn. Where nodes are lost, all encoders still find room on the others, and leave some."""
OBJECT_STORE_BYTES = 1 << 30
"""Of an instance on this machine."""
BLOCK_BYTES = 16 << 20
ROWS_ON_CPU, BATCHES_ON_GPU = 16, 4


@dataclass(frozen=True)
class _Built:
    """What all nodes must agree in: the encoders as one node has built them."""

    version: str
    node: str
    device: str
    specs: Mapping[str, EncoderSpec]
    """Of pairs too."""
    batch_sizes: Mapping[str, int]
    joining: frozenset[str]
    """Encoders that read all windows of an excerpt as a sequence."""


def statuses(job: Job, paths: Sequence[str]) -> dict[str, FileStatus | Fault]:
    """Look at files from a node of the cluster."""
    ray = _connect(job)
    look = ray.remote(num_cpus=0.1)(look_at)
    lots = [paths[begin : begin + 1000] for begin in range(0, len(paths), 1000)]
    with _explained(ray):
        found: list[dict[str, FileStatus | Fault]] = ray.get([look.remote(lot, job.path_map) for lot in lots])
    return {path: status for each in found for path, status in each.items()}


class RayExecutor:
    """The encoders on the nodes of a cluster, built once on one of them before the work begins.

    Raises:
        MissingExtraError: Ray is not installed.
        UnisonoError: the cluster cannot be reached, or weights or a device are not there.
    """

    def __init__(self, job: Job) -> None:
        self._ray = ray = _connect(job)
        self._job = job
        resources = ray.cluster_resources()
        gpus, self._cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        there = ("cpu", "cuda") if gpus else ("cpu",)
        for asked in job.devices:
            if asked not in there:
                raise UnisonoError(
                    f"There is no device {asked!r} for the executor ray, which has: {', '.join(there)}.",
                    hint="Choose with --devices, or leave it out.",
                )
        if gpus and "cpu" not in job.devices:
            device, self._encoders, self._most = "cuda", {"num_cpus": 0.0, "num_gpus": 1.0}, gpus
        else:
            device, self._encoders, self._most = "cpu", {"num_cpus": ENCODER_CPUS}, job.workers or self._cpus
        with _explained(ray):
            self._built: _Built = ray.get(ray.remote(**self._encoders)(_build_once).remote(job, device))
        self.specs = {name: self._built.specs[name] for name in job.encoders}
        log.info("Encoders %s on up to %d x %s", ", ".join(job.encoders), self._most, device)

    def map(self, items: Sequence[WorkItem]) -> Generator[Outcome, None, None]:
        """Yield a result for each encoder of each item, or one failure for the item, in any order."""
        ray = self._ray
        lot = max(1, min(-(-len(items) // (4 * self._cpus)), max(ITEMS_A_TASK, len(items) // MOST_TASKS)))
        ours = [paired(item, self._built.specs) for item in items]
        lots = [pickle.dumps(ours[begin : begin + lot]) for begin in range(0, len(ours), lot)]
        if not lots:
            return
        lives = {"num_cpus": 0, "max_concurrency": 2, "resources": {"node:__internal_head__": 0.001}}
        coordinator = ray.remote(**lives)(_Coordinator).remote(
            self._job, self._built, lots, self._encoders, min(self._most, len(lots))
        )
        try:
            with _explained(ray):
                while found := ray.get(coordinator.next.remote()):
                    yield from found
        finally:
            ray.kill(coordinator)
            _disconnect()


build = RayExecutor


class _Coordinator:
    """Runs the dataset in the cluster, on the node without which there is no cluster, and joins windows to excerpts."""

    def __init__(self, job: Job, built: _Built, lots: Sequence[bytes], encoders: dict[str, Any], most: int) -> None:
        import ray
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = 0
        context.raise_original_map_exception = True
        context.target_max_block_size = BLOCK_BYTES
        self._job, self._specs = job, built.specs
        self._found: list[EmbeddedWindows | Failed] = []
        self._collector = Collector(self._found.append)
        self._begun: Counter[object] = Counter()
        tries = ray.get_runtime_context().current_actor
        rows = ROWS_ON_CPU if built.device == "cpu" else BATCHES_ON_GPU * sum(built.batch_sizes.values())
        decode: Any = _decode  # its own arguments confuse the types of Ray
        batches = (
            ray.data.from_items([{"items": each} for each in lots], override_num_blocks=len(lots))
            .map_batches(
                decode,
                batch_size=1,
                num_cpus=DECODER_CPUS,
                fn_kwargs={"job": job, "built": built, "tries": tries},
            )
            .map_batches(
                _Encoders,
                batch_size=rows,
                fn_constructor_kwargs={"job": job, "built": built, "tries": tries},
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
                **encoders,
            )
            .iter_batches(batch_size=None, prefetch_batches=0)
        )
        self._batches = iter(batches)

    def begin(self, work: object) -> int:
        """Count how often something was begun and not ended."""
        self._begun[work] += 1
        return self._begun[work]

    def end(self, work: object) -> None:
        """Forget what has come to its end."""
        self._begun.pop(work, None)

    def next(self) -> list[Outcome]:
        """Return the next results; none at the end."""
        for batch in self._batches:
            for method, *arguments in map(pickle.loads, batch["call"]):
                getattr(self._collector, method)(*arguments)
            if self._found:
                break
        found = [outcome(part, self._job) for each in self._found for part in parted(each, self._specs)]
        self._found.clear()
        return found


def _row(*call: Any) -> dict[str, list[bytes]]:
    """Return a row: the name of a method of `Collector`, and its arguments."""
    return {"call": [pickle.dumps(call, protocol=5)]}


def _decode(batch: Any, *, job: Job, built: _Built, tries: Any) -> Iterator[Any]:
    """Decode some items, each of them once; a task."""
    with _named_node():
        _check(built, {})
    decoder = Decoder({spec.rate_hz for spec in built.specs.values()})
    for item in pickle.loads(batch["items"][0]):
        if _begin(tries, item.key) > TRIES:
            yield _crashed(item.key, item.encoders)
        else:
            yield from _decode_one(decoder, item, job, built)
        tries.end.remote(item.key)


def _begin(tries: Any, work: object) -> int:
    import ray

    count: int = ray.get(tries.begin.remote(work))
    return count


def _crashed(key: bytes, encoders: Iterable[str]) -> dict[str, list[bytes]]:
    fault = Fault(CRASHES, f"{TRIES} tries", lasting=False)
    return _row("fail", Failed(key, fault, _node()), list(encoders))


def _decode_one(decoder: Decoder, item: WorkItem, job: Job, built: _Built) -> Iterator[Any]:
    """Yield a row for each window, or for all windows of an encoder that joins them."""
    place = job.path_map(item.excerpt.path)
    whole: dict[str, list[Any]] = {name: [] for name in item.encoders if name in built.joining}
    for found in cut_windows(decoder, item, built.specs, place):
        if isinstance(found, Failed):
            yield _row("fail", found._replace(node=_node()), item.encoders)
        elif not isinstance(found, Window):
            content = identity(item.key, item.excerpt, place, hash_of(place))
            for name, windows in whole.items():
                yield _row("join", item.key, name, windows, content)
            yield _row("expect", item.key, {name: found[name] for name in found if name not in whole}, content)
        elif found.encoder in whole:
            whole[found.encoder].append(found.samples)
        else:
            yield _row("add", item.key, found.encoder, found.number, found.samples)


class _Encoders:
    """The encoders on one device; an actor. Windows become embeddings, the other rows pass."""

    def __init__(self, job: Job, built: _Built, tries: Any) -> None:
        self._job, self._built, self._tries = job, built, tries

    @cached_property
    def _runner(self) -> Runner:
        built = self._built
        encoders = _build(self._job, built.device)
        _check(built, {name: encoder.spec for name, encoder in encoders.items()})
        runner = Runner(built.device, encoders, 1)
        runner.batch_sizes = dict(built.batch_sizes)
        return runner

    def __call__(self, batch: Mapping[str, Any]) -> Iterator[Any]:
        with _named_node():
            calls = [pickle.loads(call) for call in batch["call"]]
            windows = [call for call in calls if call[0] in ("add", "join")]
            yield from (_row(*call) for call in calls if call[0] not in ("add", "join"))
            if not windows:
                return
            work = "batch", _name(windows[0])
            if _begin(self._tries, work) == 1:
                yield from self._embedded(windows)
            else:  # one of these files may have ended an encoder: each by itself
                for key, some in itertools.groupby(windows, key=lambda call: call[1]):
                    of_file = list(some)
                    if _begin(self._tries, _name(of_file[0])) < TRIES:
                        yield from self._embedded(of_file)
                    else:
                        yield _crashed(key, self._built.specs)
                    self._tries.end.remote(_name(of_file[0]))
            self._tries.end.remote(work)

    def _embedded(self, calls: Iterable[Sequence[Any]]) -> Iterator[Any]:
        lots: dict[tuple[str, int], list[Any]] = {}
        for method, *arguments in calls:
            if method == "add":
                lots.setdefault((arguments[1], len(arguments[3])), []).append(arguments)
            else:
                key, name, windows, content = arguments
                found = EmbeddedWindows(key, name, self._rows(name, windows), content=content)
                yield _row("emit", joined(found, self._runner.encoders[name], self._runner.device))
        for (name, _), lot in lots.items():
            rows = self._rows(name, [samples for *_, samples in lot])
            for (key, _, number, _), row in zip(lot, rows, strict=True):
                yield _row("add", key, name, number, row)

    def _rows(self, name: str, windows: list[Any]) -> np.ndarray[Any, Any]:
        started, at = [], 0
        while at < len(windows):
            lot = windows[at : at + self._runner.batch_sizes[name]]  # which shrinks where memory is short
            started.append(self._runner.start(name, lot))
            at += len(lot)
        return np.concatenate([each.rows() for each in started])


def _name(call: Sequence[Any]) -> tuple[Any, ...]:
    """Return what tells windows from others: the first one's excerpt, encoder and number."""
    method, key, encoder, number, *_ = call
    return key, encoder, number if method == "add" else 0


def _build(job: Job, device: str) -> dict[str, AudioEncoder]:
    if device == "cpu":
        import torch

        torch.set_num_threads(1)  # results do not depend on threads
    return with_pairs(build_encoders(job.encoders, [device], job.tuned)[device])


def _build_once(job: Job, device: str) -> _Built:
    """Build the encoders and find the batch sizes; a task."""
    with _named_node():
        encoders = _build(job, device)
        sizes = Runner(device, encoders, job.batch_size).batch_sizes
    specs = {name: encoder.spec for name, encoder in encoders.items()}
    joining = frozenset(name for name, encoder in encoders.items() if hasattr(encoder, "join"))
    return _Built(__version__, _node(), device, specs, sizes, joining)


def _check(built: _Built, specs: Mapping[str, EncoderSpec]) -> None:
    """Refuse to work where the program or the weights are not those of the node that has built the encoders."""
    if __version__ != built.version:
        raise UnisonoError(
            f"unisono is {__version__} here, but {built.version} on {built.node}.",
            hint="Install the same version of unisono on all nodes.",
        )
    for name, spec in specs.items():
        first = built.specs[name]
        if spec != first:
            raise UnisonoError(
                f"{name} has other weights here ({spec.source} {spec.revision[:12]}) than on {built.node} "
                f"({first.source} {first.revision[:12]}).",
                hint=f"Fetch them on all nodes with: unisono encoders fetch {name}",
            )


def _node() -> str:
    import ray

    return f"{socket.gethostname()}, node {ray.get_runtime_context().get_node_id()[:6]}"


@contextmanager
def _named_node() -> Iterator[None]:
    """Let errors for users begin with the name of this node."""
    try:
        yield
    except UnisonoError as error:
        raise UnisonoError(f"{_node()}: {error.message}", hint=error.hint) from error


_own_connection = False


def _connect(job: Job) -> Any:
    """Connect this process to the cluster, unless it is connected, and return the package."""
    global _own_connection
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    require("ray", "The executor ray", ("ray", "pandas", "pyarrow"))
    import ray

    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"address": job.ray_address or "local", "log_to_driver": False, "logging_level": "ERROR"}
    if not job.ray_address:
        cores = job.workers or available_cores()
        options |= {"num_cpus": cores, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    host, _, port = (job.ray_address or "").removeprefix("ray://").rpartition(":")
    try:
        if host and port.isdecimal():  # Ray waits for minutes where nothing listens
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(**options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        why = str(error).strip().partition("\n")[0].rstrip(".")
        raise UsageError(
            f"The Ray cluster at {options['address']} cannot be reached: {why}.",
            hint="Compare with `ray status`; if it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here too.",
            parameter="ray_address",
        ) from error
    _own_connection = True
    return ray


def _disconnect() -> None:
    """Disconnect, unless another part of this process had connected it."""
    global _own_connection
    if _own_connection:
        import ray

        ray.shutdown()
        _own_connection = False


@contextmanager
def _explained(ray: Any) -> Iterator[None]:
    """Turn errors of the cluster into some for users; those of unisono's own code are raised as they are."""
    try:
        yield
    except (ray.exceptions.RayError, ConnectionError) as error:
        cause: BaseException = error
        while isinstance(cause, ray.exceptions.RayTaskError) and cause.cause is not None:
            cause = cause.cause
        if isinstance(cause, UnisonoError):
            raise cause from None
        text = str(error)
        last = text.strip().rpartition("\n")[2].strip().rstrip(".")
        if "No module named 'unisono" in text or "Can't get attribute" in text:
            raise UnisonoError(
                f"A node of the cluster has no unisono, or another version than {__version__}: {last}.",
                hint=f"Install unisono {__version__} with its extras embed and ray on all nodes.",
            ) from error
        if not isinstance(cause, (ray.exceptions.RayError, OSError)):
            raise
        raise UnisonoError(
            f"The cluster failed: {last}. The embeddings made so far are kept.",
            hint="Run the same command again: it goes on where it was.",
        ) from error
