"""What holds for every executor, found by registry, with real encoders on the CPU. Ray has two raylets of this machine."""

import hashlib
import logging
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import unisono
from tests.broken_audio import BROKEN, write_broken, write_music
from tests.conftest import NO_RAY, REPOSITORY
from tests.embeddings.prepare.conftest import Folder
from tests.embeddings.prepare.doomed import Doomed
from unisono import __version__
from unisono.audio.decode import Decoder, Excerpt, WindowCutter, decode
from unisono.audio.faults import CRASHES, MISSING, Fault
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import MissingExtraError
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.audio import dsp
from unisono.embeddings.encoders.audio._musicnn import MusicnnNetwork
from unisono.embeddings.prepare import executors
from unisono.embeddings.prepare.executors import Embedded, Executor, Failed, Job, Outcome
from unisono.embeddings.prepare.executors import ray as ray_executor
from unisono.embeddings.prepare.executors._together import paired, parted
from unisono.embeddings.prepare.executors._windows import Collector, outcome
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.pooling import Pooling, pool

ENCODERS = ("dsp", "musicnn")
JOB = Job(encoders=dict.fromkeys(ENCODERS, ""), keep_windows=True, devices=("cpu",), workers=2)

TOKEN = f"of-this-test-{os.getpid():032}"
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)  # read when Ray is imported, by whichever test
OF_ALL = pytest.mark.parametrize("name", executors.names())
HERE = pytest.mark.parametrize("name", sorted({*executors.names()} - {"ray"}))
"""For those whose threads and encoders are in this process."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two raylets of one core each, with tokens, to which this process is connected."""
    if not find_spec("ray"):
        pytest.skip(NO_RAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")  # others may use the memory of the machine
        patch.setenv("RAY_worker_niceness", "0")  # else they wait for all tests that run at the same time
        import ray
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
        found = Cluster(initialize_head=True, head_node_args=node)
        found.add_node(num_cpus=1, object_store_memory=100 << 20)
        ray.init(found.address, log_to_driver=False, logging_level=logging.ERROR)
        yield found
        ray.shutdown()
        found.shutdown()


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def items(tmp_path: Path) -> list[WorkItem]:
    """Six excerpts of different lengths; one starts later, one has a single encoder."""
    found = []
    for number, seconds in enumerate([1.5, 12.0, 3.0, 25.0, 10.0, 7.3]):
        path = write_music(tmp_path / f"{number}.wav", seconds, rate_hz=16_000, channels=2, seed=number)
        excerpt = Excerpt(str(path), 2.0 if number == 3 else 0.0, seconds - 2 * (number == 3))
        found.append(WorkItem(key(number), excerpt, ENCODERS[: 1 + (number != 4)]))
    return found


def plain_loop(items: list[WorkItem], job: Job) -> dict[tuple[bytes, str], Embedded]:
    """Decode, cut, embed and pool, one window after the other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {}
    for item in items:
        for encoder_name in item.encoders:
            encoder = audio.build(encoder_name)
            spec = encoder.spec
            samples = decode(item.excerpt, spec.rate_hz)
            assert not isinstance(samples, Fault)
            cutter = WindowCutter(round(spec.window_s * spec.rate_hz), round(spec.hop_s * spec.rate_hz))
            cut = [window.copy() for window in (*cutter.push(samples), *cutter.rest())]
            rows = np.concatenate([encoder.embed(torch.from_numpy(window)[None]).numpy() for window in cut])
            embedding = pool(rows, job.pooling).astype(np.float16)
            found[item.key, encoder_name] = Embedded(item.key, encoder_name, embedding, rows.astype(np.float16))
    torch.set_num_threads(threads)
    return found


def threads_of_work() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]


@HERE
@pytest.mark.parametrize("pooling", ["mean", "stats"])
def test_the_results_are_those_of_a_plain_loop(name: str, items: list[WorkItem], pooling: Pooling) -> None:
    job = replace(JOB, pooling=pooling)
    results = list(executors.build(name, job).map(items))
    assert not faults(results)
    compare(results, plain_loop(items, job))


@HERE
def test_a_network_that_two_encoders_share_is_passed_once(
    name: str, items: list[WorkItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    some, job, windows = of_pairs(items)
    expected = plain_loop(some, job)
    passed = []
    pool_of_network = MusicnnNetwork.pool
    monkeypatch.setattr(MusicnnNetwork, "pool", lambda *given: passed.append(given) or pool_of_network(*given))
    executor = executors.build(name, job)
    assert executor.specs.keys() == job.encoders.keys()
    results = list(executor.map(some))
    compare(results, expected)
    assert len(passed) == 2 * windows, "each of two networks once"


def of_pairs(items: list[WorkItem]) -> tuple[list[WorkItem], Job, int]:
    """Return three items of which one needs no pair, a job for them, and how many windows these encoders get of them."""
    wanted = {0: ("tags", "musicnn"), 2: ("tags",), 4: ("musicnn", "dsp", "tags")}
    some = [replace(items[number], encoders=encoders) for number, encoders in wanted.items()]
    return some, replace(JOB, encoders=dict.fromkeys(("tags", "dsp", "musicnn"), "")), 1 + 1 + 4


def compare(results: Sequence[Outcome], expected: dict[tuple[bytes, str], Embedded]) -> None:
    found = {(each.key, each.encoder): each for each in results if isinstance(each, Embedded)}  # at least once
    assert found.keys() == expected.keys()
    for place, result in found.items():
        np.testing.assert_array_equal(result.embedding, expected[place].embedding)
        np.testing.assert_array_equal(result.windows, expected[place].windows)
        assert result.embedding.dtype == np.float16


@HERE
def test_windows_are_left_out_unless_asked_for(name: str, items: list[WorkItem]) -> None:
    results = list(executors.build(name, replace(JOB, keep_windows=False)).map(items))
    assert len(results) >= 11
    assert all(isinstance(result, Embedded) and result.windows is None for result in results)


@HERE
def test_the_specs_are_of_the_encoders_as_built(name: str, items: list[WorkItem]) -> None:
    executor: Executor = executors.build(name, JOB)
    assert {each: spec.dim for each, spec in executor.specs.items()} == {"dsp": 476, "musicnn": 1706}
    for result in executor.map(items[:1]):
        assert isinstance(result, Embedded)
        assert result.embedding.shape == (executor.specs[result.encoder].dim,)


@HERE
def test_a_broken_item_is_a_failure_and_the_rest_is_embedded(name: str, items: list[WorkItem], tmp_path: Path) -> None:
    expected = plain_loop(items, JOB)
    insert_broken(items, tmp_path)
    results = list(executors.build(name, JOB).map(items))
    assert faults(results) == BROKEN_FAULTS
    assert {(result.key, result.encoder) for result in results if isinstance(result, Embedded)} == expected.keys()


BROKEN_FAULTS = {key(number): BROKEN[how][0] for number, how in enumerate(BROKEN, start=100)}


def insert_broken(items: list[WorkItem], folder: Path) -> None:
    for number, how in enumerate(BROKEN, start=100):
        path = write_broken(folder / f"{how}.mp3", how)
        items.insert(number % 5, WorkItem(key(number), Excerpt(str(path), 0, 10), ENCODERS))


def faults(results: Sequence[Outcome]) -> dict[bytes, str]:
    return {result.key: result.fault.reason for result in results if isinstance(result, Failed)}


@HERE
def test_nothing_to_do_is_nothing(name: str) -> None:
    assert list(executors.build(name, JOB).map([])) == []


@HERE
def test_an_interrupted_iteration_ends_its_threads(name: str, items: list[WorkItem]) -> None:
    before, kernels = threads_of_work(), torch.get_num_threads()
    results = executors.build(name, JOB).map(items * 20)
    next(results)
    assert threads_of_work() != before
    results.close()
    assert threads_of_work() == before
    assert torch.get_num_threads() == kernels


@HERE
def test_an_exception_of_an_encoder_ends_the_iteration(
    name: str, items: list[WorkItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = executors.build(name, JOB)
    before = threads_of_work()

    def breaking(*_: object) -> None:
        raise RuntimeError("cosmic ray")

    monkeypatch.setattr("unisono.embeddings.encoders.audio.dsp.Dsp.embed", breaking)
    with pytest.raises(RuntimeError, match="cosmic ray"):
        list(executor.map(items))
    assert threads_of_work() == before


@HERE
def test_a_device_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(UnisonoError, match="no device 'tpu'"):
        executors.build(name, replace(JOB, devices=("tpu",)))


@OF_ALL
def test_a_name_that_is_no_executors_has_the_nearest_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"no executor '{name}x'. Did you mean '{name}'"):
        executors.build(f"{name}x", JOB)


# Ray alone


@pytest.mark.timeout(600)
def test_nodes_that_differ_are_refused_and_named(folder: Folder, cluster: Any, tmp_path: Path) -> None:
    """A third raylet has a copy of unisono of another version; other weights are refused in the same way."""
    for number in range(40):  # so many that each node has to decode some
        folder.add(f"t{number:02}", 1.0)
    folder.write()
    there = tmp_path / "there"
    shutil.copytree(Path(unisono.__file__).parent, there / "unisono")
    with (there / "unisono" / "__init__.py").open("a") as module:
        module.write('__version__ = "0.0.1"\n')
    paths = os.pathsep.join([str(there), str(REPOSITORY)])
    other = cluster.add_node(num_cpus=1, object_store_memory=100 << 20, env_vars={"PYTHONPATH": paths})
    try:
        with pytest.raises(UnisonoError, match=r"node \w+: unisono is .* here, but .* on .*, node \w+\.") as found:
            folder.prepare(executor="ray", workers=1)
    finally:
        cluster.remove_node(other)
    assert all(version in str(found.value) for version in ("0.0.1", __version__))
    built = ray_executor._Built(__version__, "first", "cpu", {"dsp": dsp.SPEC}, {}, frozenset())
    with pytest.raises(UnisonoError, match=r"dsp has other weights here \(formulas 7\) than on first \(formulas 1\)"):
        ray_executor._check(built, {"dsp": replace(dsp.SPEC, revision="7")})


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[WorkItem], Job], list[Outcome]]:
    """What tasks, an actor that is built again when it dies, and the coordinator do, in this process."""
    begun: Counter[object] = Counter()
    monkeypatch.setattr(ray_executor, "_node", lambda: "this")
    monkeypatch.setattr(ray_executor, "_begin", lambda _, work: begun.update([work]) or begun[work])
    tries = SimpleNamespace(end=SimpleNamespace(remote=begun.pop))

    def embedded(items: list[WorkItem], job: Job) -> list[Outcome]:
        built = ray_executor._build_once(job, "cpu")
        found: list[Any] = []
        collector = Collector(found.append)
        rows = [
            row
            for item in (paired(item, built.specs) for item in items)
            for row in ray_executor._decode_one(
                Decoder({spec.rate_hz for spec in built.specs.values()}), item, job, built
            )
        ]
        encoders = ray_executor._Encoders(job, built, tries)
        for begin in range(0, len(rows), ray_executor.ROWS_ON_CPU):
            batch = {"call": [row["call"][0] for row in rows[begin : begin + ray_executor.ROWS_ON_CPU]]}
            done: list[Any] = []
            while not done:
                with suppress(SystemExit):
                    done = list(encoders(batch))
            for method, *arguments in (pickle.loads(row["call"][0]) for row in done):
                getattr(collector, method)(*arguments)
        assert not begun
        return [outcome(part, job) for each in found for part in parted(each, built.specs)]

    return embedded


def test_what_two_encoders_share_is_passed_once_on_ray_too(
    items: list[WorkItem], actor: Callable[[list[WorkItem], Job], list[Outcome]]
) -> None:
    some, job, _ = of_pairs(items)
    compare(actor(some, job), plain_loop(some, job))


def test_windows_of_an_encoder_that_joins_them_stay_together(
    items: list[WorkItem], actor: Callable[[list[WorkItem], Job], list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dsp.Dsp, "join", lambda _, rows: (rows.cumsum(0)[-1], 2 * rows), raising=False)
    job = replace(JOB, encoders={"dsp": ""})
    items = [replace(item, encoders=("dsp",)) for item in items]
    expected = {(each.key, "dsp"): each for each in executors.build("local", job).map(items)}
    compare(actor(items, job), expected)  # type: ignore[arg-type]


def test_a_file_that_ends_its_encoder_is_tried_three_times(
    items: list[WorkItem], actor: Callable[[list[WorkItem], Job], list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(JOB, encoders={"dsp": ""})
    items = [replace(item, encoders=("dsp",)) for item in items]
    expected = {(each.key, "dsp"): each for each in executors.build("local", job).map(items)}
    poison, embed = decode(items[2].excerpt, dsp.SPEC.rate_hz), dsp.Dsp.embed
    tries = []

    def dying(self: dsp.Dsp, windows: torch.Tensor) -> torch.Tensor:
        if any(window[0] == poison[0] for window in windows):
            tries.append(len(windows))
            raise SystemExit
        return embed(self, windows)

    monkeypatch.setattr(dsp.Dsp, "embed", dying)
    found = actor(items, job)
    assert {each.key: each.fault.reason for each in found if isinstance(each, Failed)} == {items[2].key: CRASHES}
    del expected[items[2].key, "dsp"]
    compare(found, expected)  # type: ignore[arg-type]
    assert len(tries) == 3


def processes(title: str) -> list[int]:
    """Return the processes of the cluster whose title, which says what they do, begins like this."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_ours = TOKEN.encode() in (folder / "environ").read_bytes()
            if is_ours and (folder / "cmdline").read_bytes().startswith(title.encode()):
                found.append(int(folder.name))
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.timeout(900)
def test_ray_and_four_shards_give_the_bytes_of_local(
    folder: Folder, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although a file kills its worker, another is not there on the nodes, an actor is killed, and one of two raylets."""
    for number in range(30):  # so many that no part is without any
        folder.add(f"t{number:02}", 6.0 + number % 4)
    folder.add("broken", broken="cut mp3")
    folder.add("poison")
    folder.add("absent")
    folder.write()
    nowhere = [f"{folder.root}/audio/{name}.wav=/nowhere/{name}.wav" for name in ("poison", "absent")]
    expected = digest(folder.prepare("local", path_map=nowhere))
    for number in range(1, 5):
        folder.prepare("parts", shard=f"{number}/4", path_map=nowhere)
    assert digest(folder.prepare("parts", assemble=True, path_map=nowhere)) == expected

    monkeypatch.setattr("unisono.embeddings.prepare.run.PathMap", Doomed)
    pids: dict[str, set[int]] = {"ray::MapBatches(_decode": set(), "ray::MapWorker(MapBatches(_Encoders": set()}
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            for title, found in pids.items():
                found.update(processes(title))
            decoders, encoders = pids.values()
            if decoders and len(encoders) > 1 and cluster.worker_nodes:
                os.kill(max(encoders), signal.SIGKILL)
                cluster.remove_node(*cluster.worker_nodes, allow_graceful=False)
            time.sleep(0.1)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        path = folder.prepare("ray", executor="ray", path_map=[])
    finally:
        done.set()
        thread.join()
    assert digest(path) == expected
    decoders, encoders = pids.values()
    assert len(decoders) > 1 and not decoders & encoders
    assert not cluster.worker_nodes
    left_out = {each["id"]: each for each in folder.report("ray")["dropped"]}
    assert {id: each["reason"] for id, each in left_out.items()} == {
        "broken": "cut short",
        "poison": CRASHES,
        "absent": MISSING,
    }
    assert all("node" in left_out[id]["detail"] for id in ("poison", "absent"))
    assert (folder.root / "audio" / "tries").read_text().split() == ["one"] * 3


def test_without_the_package_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="executor ray needs the package ray") as found:
        executors.build("ray", JOB)
    assert "[ray]" in found.value.hint
