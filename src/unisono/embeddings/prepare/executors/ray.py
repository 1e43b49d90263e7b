"""The executor of a cluster: Ray Data decodes in tasks and embeds in actors, on whichever nodes have room.

A coordinator, itself an actor, runs the dataset within the cluster, since Ray Data does not run through a Ray client; this
machine takes the results from it and stores them. Tasks and actors ask for different resources: if they asked for the same,
Ray Data would decode inside the actors, one file at a time. Ray does a dead worker's work again; the coordinator counts the
tries, to find what kills its worker every time.
"""

import os
import pickle
import socket
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from unisono import __version__
from unisono.audio.decode import Decoder
from unisono.audio.faults import CRASHES, Fault
from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import extra
from unisono.base.log import log
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.prepare.contents import hash_of, identity
from unisono.embeddings.prepare.executors import Embedded, Failed, Job, Outcome, result
from unisono.embeddings.prepare.executors._runner import Runner, build_encoders
from unisono.embeddings.prepare.executors._windows import Collector, EmbeddedWindows, Window, cut_windows, joined
from unisono.embeddings.prepare.plan import FileStatus, WorkItem, look_at

ITEMS_A_TASK, MOST_TASKS = 8, 20_000
MARKED_TRIES = 2
"""After the first try of a task, in which nobody notes what it decodes."""
DECODER_CPUS, ENCODER_CPUS = 0.9, 0.01
"""Of a core, which both use in turn. Where nodes are lost, all encoders still find room on the others, and leave some."""
OBJECT_STORE_BYTES = 1 << 30
"""Of an instance on this machine."""
BLOCK_BYTES = 16 << 20
ROWS_ON_CPU, BATCHES_ON_GPU = 16, 4
Row = dict[str, list[Any]]


@dataclass(frozen=True)
class _Built:
    """What all nodes must agree in: the encoders as one node has built them."""

    version: str
    node: str
    specs: Mapping[str, EncoderSpec]
    batch_sizes: Mapping[str, int]
    joining: frozenset[str]
    """Encoders that read all windows of an excerpt as a sequence."""


class _Refusal(NamedTuple):
    """What ends the run, in words for its user."""

    message: str
    hint: str = ""


def build(job: Job) -> "RayExecutor":
    """Connect to the cluster, and build the encoders once on one of its nodes.

    Raises:
        MissingExtraError: Ray is not installed.
        UnisonoError: the cluster cannot be reached, or weights or a device are not there.
    """
    _connect(job)
    return RayExecutor(job)


def statuses(job: Job, paths: Sequence[str]) -> dict[str, FileStatus | Fault]:
    """Look at files from a node of the cluster."""
    ray = _connect(job)
    look = ray.remote(num_cpus=0.1)(look_at)
    lots = [paths[begin : begin + 1000] for begin in range(0, len(paths), 1000)]
    with _explained(ray):
        found: list[dict[str, FileStatus | Fault]] = ray.get([look.remote(lot, job.path_map) for lot in lots])
    return {path: status for each in found for path, status in each.items()}


class RayExecutor:
    """The encoders on the nodes of a cluster."""

    def __init__(self, job: Job) -> None:
        self._ray = ray = _connect(job)
        self._job = job
        resources = ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        other = [device for device in job.devices if device not in ("cpu", "cuda")]
        if other or (job.devices and "cuda" in job.devices and not gpus):
            raise UnisonoError(
                f"There is no device {(other or ['cuda'])[0]!r} for the executor ray, which has: "
                f"cpu{', cuda' if gpus else ''}.",
                hint="Choose with --devices, or leave it out.",
            )
        self._device = "cuda" if gpus and "cpu" not in job.devices else "cpu"
        self._decoders = {"num_cpus": DECODER_CPUS}
        self._encoders = {"num_cpus": 0.0, "num_gpus": 1.0} if self._device == "cuda" else {"num_cpus": ENCODER_CPUS}
        self._most = gpus if self._device == "cuda" else job.workers or cpus
        self._cpus = cpus
        with _explained(ray):
            built = ray.get(ray.remote(**self._encoders)(_build_once).remote(job, self._device))
        if isinstance(built, _Refusal):
            raise UnisonoError(*built[:1], hint=built.hint)
        self._built: _Built = built
        self.specs = built.specs
        log.info("Encoders %s on up to %d x %s", ", ".join(job.encoders), self._most, self._device)

    def map(self, items: Sequence[WorkItem]) -> Generator[Outcome, None, None]:
        """Yield a result for each encoder of each item, or one failure for the item, in any order."""
        ray = self._ray
        lot = max(1, min(-(-len(items) // (4 * self._cpus)), max(ITEMS_A_TASK, len(items) // MOST_TASKS)))
        lots = [pickle.dumps(items[begin : begin + lot]) for begin in range(0, len(items), lot)]
        if not lots:
            return
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        coordinator = None
        try:
            with _explained(ray):
                coordinator = ray.remote(num_cpus=0, max_concurrency=2, scheduling_strategy=here)(_Coordinator).remote(
                    self._job,
                    self._built,
                    self._device,
                    self._decoders,
                    self._encoders,
                    min(self._most, len(lots)),
                    lots,
                )
                while found := ray.get(coordinator.next.remote()):
                    for each in found:
                        if isinstance(each, _Refusal):
                            raise UnisonoError(each.message, hint=each.hint)
                        yield each
        finally:
            if coordinator is not None:
                ray.kill(coordinator)
            _disconnect()


class _Coordinator:
    """Runs the dataset in the cluster, and joins the rows of windows to excerpts."""

    def __init__(
        self,
        job: Job,
        built: _Built,
        device: str,
        decoders: dict[str, Any],
        encoders: dict[str, Any],
        most: int,
        lots: list[bytes],
    ) -> None:
        import ray

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = 0
        context.target_max_block_size = BLOCK_BYTES
        self._job = job
        self._found: list[Outcome | _Refusal] = []
        self._collector = Collector(self._emit)
        self._begun: Counter[bytes] = Counter()
        tries = ray.get_runtime_context().current_actor
        rows = ROWS_ON_CPU if device == "cpu" else BATCHES_ON_GPU * sum(built.batch_sizes.values())
        decode: Any = _decode  # its own arguments confuse the types of Ray
        batches: Any = (
            ray.data.from_items([{"items": each} for each in lots], override_num_blocks=len(lots))
            .map_batches(decode, batch_size=1, fn_kwargs={"job": job, "built": built, "tries": tries}, **decoders)
            .map_batches(
                _Encoders,
                batch_size=rows,
                fn_constructor_kwargs={"job": job, "built": built, "device": device},
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
                **encoders,
            )
            .iter_batches(batch_size=None, prefetch_batches=0)
        )
        self._batches = iter(batches)

    def begin(self, key: bytes) -> int:
        """Count how often something was begun and not ended."""
        self._begun[key] += 1
        return self._begun[key]

    def end(self, key: bytes) -> None:
        """Forget what has come to its end."""
        self._begun.pop(key, None)

    def next(self) -> list[Outcome | _Refusal]:
        """Return the next results; none at the end."""
        for batch in self._batches:
            for key, encoder, number, data in zip(*(batch[name] for name in _COLUMNS), strict=True):
                self._take(bytes(key), str(encoder), int(number), pickle.loads(data))
            if self._found:
                break
        found, self._found = self._found, []
        return found

    def _take(self, key: bytes, encoder: str, number: int, content: Any) -> None:
        if encoder:
            self._collector.add(key, encoder, number, content)
        elif isinstance(content, _Refusal):
            self._found.append(content)
        elif isinstance(content, _Failed):
            self._collector.fail(content.failed, content.encoders)
        elif isinstance(content, EmbeddedWindows):
            self._emit(content)
        else:
            self._collector.expect(key, *content)

    def _emit(self, each: EmbeddedWindows | Failed) -> None:
        if isinstance(each, EmbeddedWindows):
            found = result(*each[:3], self._job, each.whole)
            self._found.append(found._replace(content=each.content) if isinstance(found, Embedded) else found)
        else:
            self._found.append(each)


class _Failed(NamedTuple):
    """An excerpt that cannot be embedded, and the encoders that will not see more of it."""

    failed: Failed
    encoders: tuple[str, ...]


_COLUMNS = ("key", "encoder", "number", "data")


def _row(key: bytes, encoder: str, number: int, content: Any) -> Row:
    """Return a row that names a window; with an empty encoder, one that says something of an excerpt or of the run."""
    return dict(zip(_COLUMNS, ([key], [encoder], [number], [pickle.dumps(content, protocol=5)]), strict=True))


_decoders: dict[frozenset[int], Decoder] = {}


def _decode(batch: Any, *, job: Job, built: _Built, tries: Any) -> Iterator[Any]:
    """Decode some items, each of them once; a task. Each row is a window, or all windows of an encoder that joins them."""
    import ray

    if __version__ != built.version:
        message = f"{built.node} has unisono {built.version}, but {_node()} has {__version__}."
        yield _row(b"", "", 0, _Refusal(message, "Install the same version of unisono on all nodes."))
        return
    items: list[WorkItem] = pickle.loads(batch["items"][0])
    rates = frozenset(spec.rate_hz for spec in built.specs.values())
    decoder = _decoders.setdefault(rates, Decoder(set(rates)))
    task = b"task " + items[0].key
    again = ray.get(tries.begin.remote(task)) > 1
    for item in items:
        if again and ray.get(tries.begin.remote(item.key)) > MARKED_TRIES:
            fault = Fault(CRASHES, f"{MARKED_TRIES + 1} tries", lasting=False)
            yield _row(item.key, "", 0, _Failed(Failed(item.key, fault, _node()), item.encoders))
        else:
            yield from _decode_one(decoder, item, job, built)
        if again:
            tries.end.remote(item.key)


def _decode_one(decoder: Decoder, item: WorkItem, job: Job, built: _Built) -> Iterator[Row]:
    place = job.path_map(item.excerpt.path)
    whole: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in item.encoders if name in built.joining}
    for found in cut_windows(decoder, item, built.specs, place):
        if isinstance(found, Window):
            if found.encoder in whole:
                whole[found.encoder].append(found.samples)
            else:
                yield _row(item.key, found.encoder, found.number, found.samples)
        elif isinstance(found, Failed):
            yield _row(item.key, "", 0, _Failed(found._replace(node=_node()), item.encoders))
        else:
            content = identity(item.key, item.excerpt, place, hash_of(place))
            for name, windows in whole.items():
                yield _row(item.key, name, -1, (windows, content))
            counts = {name: count for name, count in found.items() if name not in whole}
            yield _row(item.key, "", 0, (counts, content))


class _Encoders:
    """The encoders on one device; an actor. Rows of windows become rows of embeddings, the others pass."""

    def __init__(self, job: Job, built: _Built, device: str) -> None:
        import torch

        if device == "cpu":
            torch.set_num_threads(1)  # results do not depend on threads
        mine = _build(job, device)
        self._refusal = mine if isinstance(mine, _Refusal) else _disagreement(built, mine[0])
        if not isinstance(mine, _Refusal):
            self._runner = mine[1]
            self._runner.batch_sizes = dict(built.batch_sizes)

    def __call__(self, batch: Mapping[str, Any]) -> Iterator[Row]:
        if self._refusal:
            yield _row(b"", "", 0, self._refusal)
            return
        try:
            yield from self._embed(batch)
        except UnisonoError as error:
            yield _row(b"", "", 0, _Refusal(f"{_node()}: {error.message}", error.hint))

    def _embed(self, batch: Mapping[str, Any]) -> Iterator[Row]:
        lots: dict[tuple[str, int], list[tuple[bytes, int, Any]]] = {}
        for key, encoder, number, data in zip(*(batch[name] for name in _COLUMNS), strict=True):
            content = pickle.loads(data)
            if not encoder:
                yield _row(key, "", 0, content)
            elif number < 0:
                windows, content = content
                rows = np.concatenate(list(self._rows(encoder, windows)))
                found = EmbeddedWindows(key, encoder, rows, content=content)
                yield _row(key, "", 0, joined(found, self._runner.encoders[encoder], self._runner.device))
            else:
                lots.setdefault((str(encoder), len(content)), []).append((key, int(number), content))
        for (encoder, _), lot in lots.items():
            rows = np.concatenate(list(self._rows(encoder, [samples for _, _, samples in lot])))
            for (key, number, _), row in zip(lot, rows, strict=True):
                yield _row(key, encoder, number, row)

    def _rows(self, encoder: str, windows: list[Any]) -> Iterator[np.ndarray[Any, Any]]:
        size = self._runner.batch_sizes[encoder]
        for begin in range(0, len(windows), size):
            yield self._runner.start(encoder, windows[begin : begin + size]).rows()


def _build(job: Job, device: str) -> tuple[_Built, Runner] | _Refusal:
    try:
        encoders = build_encoders(job.encoders, [device], job.tuned)[device]
    except UnisonoError as error:
        return _Refusal(f"{_node()}: {error.message}", error.hint)
    runner = Runner(device, encoders, 1)
    joining = frozenset(name for name, encoder in encoders.items() if hasattr(encoder, "join"))
    specs = {name: encoder.spec for name, encoder in encoders.items()}
    return _Built(__version__, _node(), specs, runner.batch_sizes, joining), runner


def _build_once(job: Job, device: str) -> _Built | _Refusal:
    """Build the encoders and find the batch sizes; a task."""
    found = _build(job, device)
    if isinstance(found, _Refusal):
        return found
    built, runner = found
    sizes = Runner(device, runner.encoders, job.batch_size).batch_sizes
    return _Built(built.version, built.node, built.specs, sizes, built.joining)


def _disagreement(built: _Built, mine: _Built) -> _Refusal | None:
    for name, spec in mine.specs.items():
        if spec != built.specs[name]:
            return _Refusal(
                f"{name} has other weights on {mine.node} ({spec.source} {spec.revision[:12]}) than on {built.node} "
                f"({built.specs[name].source} {built.specs[name].revision[:12]}).",
                f"Fetch them on all nodes with: unisono encoders fetch {name}",
            )
    return None


def _node() -> str:
    import ray

    return f"{socket.gethostname()}, node {ray.get_runtime_context().get_node_id()[:6]}"


_own_connection = False


def _connect(job: Job) -> Any:
    """Connect this process to the cluster, unless it is connected, and return the package."""
    global _own_connection
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with extra("ray", "The executor ray"):
        import ray
        import ray.data
        import ray.util.scheduling_strategies
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
        raise UsageError(
            f"The Ray cluster at {options['address']} cannot be reached: {_first_line(error)}.",
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
        text = str(error)
        if "No module named 'unisono" in text or "Can't get attribute" in text:
            raise UnisonoError(
                f"A node of the cluster has no unisono, or another version than {__version__}: {_last_line(text)}.",
                hint=f"Install unisono {__version__} with its extras embed and ray on all nodes.",
            ) from error
        cause: BaseException = error
        while isinstance(cause, ray.exceptions.RayTaskError) and cause.cause is not None:
            cause = cause.cause
        if not isinstance(cause, (ray.exceptions.RayError, OSError)):
            raise
        raise UnisonoError(
            f"The cluster failed: {_last_line(text)}. The embeddings made so far are kept.",
            hint="Run the same command again: it goes on where it was.",
        ) from error


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip().rstrip(".")
