"""What holds for every executor, found by registry, with real encoders on the CPU."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.broken_audio import BROKEN, write_broken, write_music
from unisono.audio.decode import Excerpt, WindowCutter, decode
from unisono.audio.faults import Fault
from unisono.base.errors import UnisonoError, UsageError
from unisono.embeddings.encoders import audio
from unisono.embeddings.prepare import executors
from unisono.embeddings.prepare.executors import Embedded, Executor, Failed, Job
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.pooling import Pooling, pool

ENCODERS = ("dsp", "musicnn")
JOB = Job(encoders=dict.fromkeys(ENCODERS, ""), keep_windows=True, devices=("cpu",), workers=2)

pytestmark = pytest.mark.parametrize("name", executors.names())


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


@pytest.mark.parametrize("pooling", ["mean", "stats"])
def test_the_results_are_those_of_a_plain_loop(name: str, items: list[WorkItem], pooling: Pooling) -> None:
    job = replace(JOB, pooling=pooling)
    executor = executors.build(name, job)
    expected = plain_loop(items, job)
    found = {}
    for result in executor.map(items):  # each at least once
        assert isinstance(result, Embedded)
        found[result.key, result.encoder] = result
    assert found.keys() == expected.keys()
    for place, result in found.items():
        np.testing.assert_array_equal(result.embedding, expected[place].embedding)
        np.testing.assert_array_equal(result.windows, expected[place].windows)
        assert result.embedding.dtype == np.float16


def test_windows_are_left_out_unless_asked_for(name: str, items: list[WorkItem]) -> None:
    results = list(executors.build(name, replace(JOB, keep_windows=False)).map(items))
    assert len(results) >= 11
    assert all(isinstance(result, Embedded) and result.windows is None for result in results)


def test_the_specs_are_of_the_encoders_as_built(name: str, items: list[WorkItem]) -> None:
    executor: Executor = executors.build(name, JOB)
    assert {each: spec.dim for each, spec in executor.specs.items()} == {"dsp": 476, "musicnn": 1706}
    for result in executor.map(items[:1]):
        assert isinstance(result, Embedded)
        assert result.embedding.shape == (executor.specs[result.encoder].dim,)


def test_a_broken_item_is_a_failure_and_the_rest_is_embedded(name: str, items: list[WorkItem], tmp_path: Path) -> None:
    expected = plain_loop(items, JOB)
    for number, how in enumerate(BROKEN, start=100):
        path = write_broken(tmp_path / f"{how}.mp3", how)
        items.insert(number % 5, WorkItem(key(number), Excerpt(str(path), 0, 10), ENCODERS))
    results = list(executors.build(name, JOB).map(items))
    failed = {result.key: result.fault for result in results if isinstance(result, Failed)}
    assert {found: fault.reason for found, fault in failed.items()} == {
        key(number): BROKEN[how][0] for number, how in enumerate(BROKEN, start=100)
    }
    assert {(result.key, result.encoder) for result in results if isinstance(result, Embedded)} == expected.keys()


def test_nothing_to_do_is_nothing(name: str) -> None:
    assert list(executors.build(name, JOB).map([])) == []


def test_an_interrupted_iteration_ends_its_threads(name: str, items: list[WorkItem]) -> None:
    before, kernels = threads_of_work(), torch.get_num_threads()
    results = executors.build(name, JOB).map(items * 20)
    next(results)
    assert threads_of_work() != before
    results.close()
    assert threads_of_work() == before
    assert torch.get_num_threads() == kernels


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


def test_a_device_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(UnisonoError, match="no device 'tpu'"):
        executors.build(name, replace(JOB, devices=("tpu",)))


def test_a_name_that_is_no_executors_has_the_nearest_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"no executor '{name}x'. Did you mean '{name}'"):
        executors.build(f"{name}x", JOB)
