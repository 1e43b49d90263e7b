"""The parts of `prepare` by themselves: pooling, shards, the executor, and what happens when memory does not suffice."""

import itertools
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from tests.broken_audio import write_broken, write_music
from unisono.audio.decode import Excerpt
from unisono.audio.faults import Fault
from unisono.base.errors import DataError, UnisonoError
from unisono.embeddings.encoders.audio import EncoderSpec, dsp
from unisono.embeddings.file import EncoderRecord
from unisono.embeddings.prepare import executors
from unisono.embeddings.prepare.executors import Failed, Job, _runner
from unisono.embeddings.prepare.executors._runner import Runner, choose_devices, find_batch_size
from unisono.embeddings.prepare.executors.local import EmbeddedWindows, embed_windows
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.pooling import pool
from unisono.embeddings.prepare.sink import EncoderShards, Failures

SPEC = replace(dsp.SPEC, name="fake", rate_hz=8_000, window_s=1.0, hop_s=1.0, dim=3)


class Fake:
    """Embeds a window as its mean, its peak and its length; can run out of memory, be slow, or break."""

    def __init__(
        self, spec: EncoderSpec = SPEC, *, fits: int = 1000, seconds: float = 0, breaks: Exception | None = None
    ) -> None:
        self.spec = spec
        self.fits = fits
        self.seconds = seconds
        self.breaks = breaks
        self.sizes: list[int] = []

    def embed(self, windows: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(windows))
        time.sleep(self.seconds)
        if self.breaks:
            raise self.breaks
        if len(windows) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.stack(
            [windows.mean(1), windows.abs().amax(1), torch.full((len(windows),), float(windows.shape[1]))], 1
        )


def fake_runner(encoder: Fake, batch_size: int) -> Runner:
    """A runner that batches as on a GPU."""
    runner = Runner("cpu", {encoder.spec.name: encoder}, None)
    runner.batch_sizes[encoder.spec.name] = batch_size
    return runner


# --- pooling ---


@given(np_st.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(5)), elements=st.floats(-100, 100, width=32)))
def test_pooling_equals_its_definition(windows: np.ndarray) -> None:
    mean = [sum(map(float, column)) / len(column) for column in windows.T]
    np.testing.assert_allclose(pool(windows, "mean"), mean, rtol=1e-3, atol=1e-4)
    stats = pool(windows, "stats")
    for i, column in enumerate(windows.T.astype(float)):
        ordered = sorted(column)

        def quantile(share: float, ordered: list[float] = ordered) -> float:
            position = share * (len(ordered) - 1)
            low = int(position)
            high = min(low + 1, len(ordered) - 1)
            return ordered[low] + (position - low) * (ordered[high] - ordered[low])

        changes = [abs(b - a) for a, b in itertools.pairwise(column)]
        expected = [mean[i], quantile(0.75) - quantile(0.25), sum(changes) / len(changes) if changes else 0]
        np.testing.assert_allclose(stats[[i, 5 + i, 10 + i]], expected, rtol=1e-3, atol=2e-3)


def test_layers_are_pooled_one_by_one() -> None:
    windows = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)
    stats = pool(windows, "stats")
    assert stats.shape == (3, 15)
    np.testing.assert_array_equal(stats[1], pool(windows[:, 1], "stats"))


def test_an_embedding_that_does_not_fit_float16_is_a_fault() -> None:
    job = Job(keep_windows=True)
    assert executors.result(key(1), "e", np.full((1, 2), 70_000, np.float32), job) == Failed(
        key(1), Fault("embedding not finite", "e")
    )
    fits = executors.result(key(1), "e", np.full((3, 2), 60_000, np.float32), job)
    assert isinstance(fits, executors.Embedded)
    assert fits.embedding.dtype == np.float16 and fits.embedding.tolist() == [60_000, 60_000]
    assert fits.windows is not None and fits.windows.shape == (3, 2)


# --- shards ---


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_what_is_put_twice_is_held_once(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float16)
    for order in ([0, 1, 2], [2, 3, 1, 1], [4, 5, 0]):  # as after a retry, or of two runs
        shards = EncoderShards(tmp_path)
        for number in order:
            shards.put(key(number), rows[number], None)
        shards.flush()
    shards = EncoderShards(tmp_path)
    assert shards.held() == {key(number) for number in range(6)}
    index = shards.index()
    assert len(index) == 6
    for number in range(6):
        shard, row = index[key(number)]
        np.testing.assert_array_equal(shard.embedding(row), rows[number])


def test_nothing_is_held_before_the_flush(tmp_path: Path) -> None:
    shards = EncoderShards(tmp_path)
    shards.put(key(1), np.zeros(3, np.float16), None)
    assert shards.waiting == 1
    assert EncoderShards(tmp_path).held() == set()
    shards.flush()
    assert shards.waiting == 0
    assert EncoderShards(tmp_path).held() == shards.held() == {key(1)}


def test_layers_and_windows_come_back(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    windows = [generator.standard_normal((count, 2, 3)).astype(np.float16) for count in (4, 1, 2)]
    shards = EncoderShards(tmp_path)
    for number, its_windows in enumerate(windows):
        shards.put(key(number), its_windows[0], its_windows)
    shards.flush()
    index = EncoderShards(tmp_path).index()
    for number, its_windows in enumerate(windows):
        shard, row = index[key(number)]
        np.testing.assert_array_equal(shard.embedding(row), its_windows[0])
        np.testing.assert_array_equal(shard.windows(row), its_windows)
        assert shard.window_count(row) == len(its_windows)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    shards = EncoderShards(tmp_path)
    shards.put(key(1), np.zeros(3, np.float16), None)
    shards.flush()
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match=path.name):
        EncoderShards(tmp_path).held()


def test_settings_come_back(tmp_path: Path) -> None:
    record = EncoderRecord(
        name="a", weights="w", revision="r", license="l", rate_hz=1, window_s=2, hop_s=3, pooling="mean", dim=4
    )
    shards = EncoderShards(tmp_path)
    assert shards.settings() is None
    shards.write_settings(record, keep_windows=True)
    found = EncoderShards(tmp_path).settings()
    assert found is not None
    assert (found["revision"], found["dim"], found["keep_windows"]) == ("r", 4, True)


def test_failures_come_back(tmp_path: Path) -> None:
    failures = Failures(tmp_path)
    failures.put(key(1), Fault("silent", "音"))
    failures.flush()
    failures.put(key(2), Fault("audio file empty"))
    failures.flush()
    assert Failures(tmp_path).known == {key(1): Fault("silent", "音"), key(2): Fault("audio file empty")}


# --- the executor ---


def work(folder: Path, seconds: list[float]) -> list[WorkItem]:
    items = []
    for number, its_seconds in enumerate(seconds):
        path = write_music(folder / f"{number}.wav", its_seconds, rate_hz=8_000, channels=1, seed=number)
        items.append(WorkItem(key(number), Excerpt(str(path), 0, its_seconds), ("fake",)))
    return items


@pytest.mark.parametrize("batch_size", [1, 4, 7])
@pytest.mark.parametrize("runners", [1, 3])
def test_every_item_gives_its_windows_in_order(tmp_path: Path, batch_size: int, runners: int) -> None:
    seconds = [3.0, 1.0, 8.5, 2.2, 5.0]
    items = work(tmp_path, seconds)
    encoder = Fake()
    item_of = {item.key: item for item in items}
    results = list(embed_windows(items, [fake_runner(encoder, batch_size) for _ in range(runners)], workers=2))
    assert {result.key for result in results} == item_of.keys()
    for result in results:
        assert isinstance(result, EmbeddedWindows)
        (alone,) = embed_windows([item_of[result.key]], [fake_runner(Fake(), 1)], workers=1)
        assert isinstance(alone, EmbeddedWindows)
        np.testing.assert_array_equal(result.windows, alone.windows)
        assert len(result.windows) == np.ceil(item_of[result.key].excerpt.duration_s)
    assert set(encoder.sizes) == {batch_size}, "batches are not of one shape"


def test_a_fault_in_the_middle_gives_one_failure_and_no_embedding(tmp_path: Path) -> None:
    items = work(tmp_path, [2.0, 3.0])
    for number, how in enumerate(["not a number", "infinite", "missing", "silent"], start=2):
        path = write_broken(tmp_path / f"{number}.wav", how)
        items.append(WorkItem(key(number), Excerpt(str(path), 0, 10), ("fake",)))
    results = list(embed_windows(items, [fake_runner(Fake(), 4)], workers=2))
    kinds = {int.from_bytes(result.key, "big"): type(result) for result in results}
    assert len(results) == 6
    assert kinds == {0: EmbeddedWindows, 1: EmbeddedWindows, 2: Failed, 3: Failed, 4: Failed, 5: Failed}


def test_several_encoders_share_one_decoding(tmp_path: Path) -> None:
    items = [replace(item, encoders=("fake", "slow")) for item in work(tmp_path, [4.0, 6.0])]
    slow = replace(SPEC, name="slow", rate_hz=4_000, window_s=2.0, hop_s=1.0)
    runner = Runner("cpu", {"fake": Fake(), "slow": Fake(slow, seconds=0.01)}, None)
    results = list(embed_windows(items, [runner], workers=1))
    found = sorted((result.key, result.encoder, len(result.windows)) for result in results)  # type: ignore[union-attr]
    assert found == [(key(0), "fake", 4), (key(0), "slow", 3), (key(1), "fake", 6), (key(1), "slow", 5)]


def test_decoding_waits_for_a_slow_encoder(tmp_path: Path) -> None:
    (item,) = work(tmp_path, [60.0])
    buffered: list[int] = []
    window_bytes = 8_000 * 4
    encoder = Fake(seconds=0.005)
    original = encoder.embed

    def watching(windows: torch.Tensor) -> torch.Tensor:
        buffered.append(sum(len(queue) for queue in buffer_of_the_run()._windows.values()))
        return original(windows)

    def buffer_of_the_run():
        import gc

        from unisono.embeddings.prepare.executors.local import _Buffer

        return next(found for found in gc.get_objects() if isinstance(found, _Buffer) and not found.stopped)

    encoder.embed = watching  # type: ignore[method-assign]
    (result,) = embed_windows([item], [fake_runner(encoder, 1)], workers=1, buffer_bytes=5 * window_bytes)
    assert isinstance(result, EmbeddedWindows)
    assert len(result.windows) == 60
    assert 0 < max(buffered) <= 5


def test_a_buffer_smaller_than_a_batch_does_not_block(tmp_path: Path) -> None:
    items = work(tmp_path, [9.0, 9.0])
    results = list(embed_windows(items, [fake_runner(Fake(), 64)], workers=2, buffer_bytes=3 * 8_000 * 4))
    assert [len(result.windows) for result in results] == [9, 9]  # type: ignore[union-attr]


@pytest.mark.parametrize("batch_size", [1, 8])
def test_an_error_of_an_encoder_ends_the_run(tmp_path: Path, batch_size: int) -> None:
    items = work(tmp_path, [5.0, 5.0, 5.0])
    with pytest.raises(RuntimeError, match="cosmic ray"):
        list(embed_windows(items, [fake_runner(Fake(breaks=RuntimeError("cosmic ray")), batch_size)], workers=2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("decode", "embed"))]


def test_closing_early_leaves_no_thread(tmp_path: Path) -> None:
    results = embed_windows(work(tmp_path, [5.0] * 8), [fake_runner(Fake(seconds=0.01), 1)], workers=2, buffer_bytes=1)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("decode", "embed"))]


# --- memory and devices ---


def test_the_batch_is_halved_where_memory_does_not_suffice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisono.base.log.log.propagate", True)
    items = work(tmp_path, [10.0, 7.0, 4.0])
    encoder = Fake(fits=5)
    runner = fake_runner(encoder, 16)
    results = list(embed_windows(items, [runner], workers=1))
    assert runner.batch_sizes == {"fake": 4}
    assert encoder.sizes.count(16) == encoder.sizes.count(8) == 1, "a size that did not fit was tried again"
    assert "out of memory on cpu; going on with 4 windows at a time" in caplog.text
    expected = {result.key: result for result in embed_windows(items, [fake_runner(Fake(), 1)], workers=1)}
    for result in results:
        np.testing.assert_array_equal(result.windows, expected[result.key].windows)  # type: ignore[union-attr]


def test_a_window_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnisonoError, match="not enough memory for a single window"):
        list(embed_windows(work(tmp_path, [2.0]), [fake_runner(Fake(fits=0), 8)], workers=1))


@pytest.mark.parametrize(
    ("fits", "saturates_at", "best"), [(1000, 64, 64), (1000, 1000, 256), (100, 1000, 64), (5, 1000, 4), (1000, 16, 32)]
)
def test_the_batch_size_is_found_by_trying(fits: int, saturates_at: int, best: int) -> None:
    tried = []

    def seconds_for(_: object, __: str, size: int) -> float:
        tried.append(size)
        if size > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1 + max(0, size - saturates_at) / saturates_at

    assert find_batch_size(Fake(), "cpu", seconds_for) == best
    assert len(tried) == len(set(tried))


def test_trying_measures_the_encoder() -> None:
    assert _runner._seconds_for(Fake(seconds=0.02), "cpu", 4) >= 0.02


def test_no_batch_that_fits_is_an_error_later_not_a_loop() -> None:
    assert find_batch_size(Fake(fits=0), "cpu") == 1


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisono.embeddings.prepare.executors._runner.available_cores", lambda: 3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_devices(()) == choose_devices(["cpu"]) == ["cpu", "cpu", "cpu"]
    assert choose_devices((), 2) == ["cpu", "cpu"]
    with pytest.raises(UnisonoError, match="no device 'cuda:0' here; there is: cpu"):
        choose_devices(["cuda:0"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_devices(()) == ["cuda:0", "cuda:1"]
    assert choose_devices(["cuda:1", "cuda:1"]) == ["cuda:1"]
    assert choose_devices(["cuda"]) == ["cuda:0"]
    assert choose_devices(["cpu"]) == ["cpu", "cpu", "cpu"]
    with pytest.raises(UnisonoError, match="no device 'tpu'"):
        choose_devices(["tpu"])
