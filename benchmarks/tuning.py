"""Measure what a training step that tunes the audio encoder costs over its network alone, and over the usual loop.

    python -m benchmarks.tuning [--encoder musicnn] [--batch-size 16] [--steps 4]

1. `step`: a whole step (encoder, heads, loss, optimizer) over forward and backward of the same network on the same windows.
2. `data`: steps on fresh windows from files, and from the cache of decoded audio, over as many steps on one batch in
   memory; and the peak memory with few and with many tracks.
3. `usual`: the loop that most people write, which decodes every file whole, one after the other, at each step, over ours.

Everything that is compared runs in turn, in one process, on one thread of computation; decoding has threads of its own. 1
and 3 compare the medians of CPU seconds, those of the decoding threads included. 2 compares the best times on the clock,
since waiting for data costs no CPU: run it on a quiet machine.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.timing import in_turn
from unisono.audio.decode import Excerpt, decode
from unisono.embeddings.audio_cache import CachedAudio, cache_audio, folder_of
from unisono.embeddings.encoders import audio, tuned
from unisono.embeddings.encoders.audio import AudioEncoder
from unisono.embeddings.encoders.text_store import TextTable
from unisono.embeddings.file import SplitRows
from unisono.embeddings.waveforms import Waveforms
from unisono.retrieval.audio_rows import AudioRows
from unisono.retrieval.heads import Architecture, ProjectionHeads
from unisono.retrieval.train.audio import TunedAudio
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.data import Batch, Sampler, SplitData
from unisono.retrieval.train.loop import make_optimizer
from unisono.retrieval.train.step import Step, StoredTexts

CPU = torch.device("cpu")
TEXT_DIM = 384


def write_clips(folder: Path, count: int, seconds: float) -> list[Excerpt]:
    """Write compressed files of noise and tones."""
    rng = np.random.default_rng(0)
    places = np.arange(int(seconds * 44_100)) / 44_100
    found = []
    for number in range(count):
        path = folder / f"{number}.flac"  # libsndfile crashes on long Vorbis written in one go
        tone = 0.3 * np.sin(2 * np.pi * (110 + 10 * number) * places)
        soundfile.write(path, np.stack([tone + 0.05 * rng.normal(size=len(places))] * 2, axis=1), 44_100)
        found.append(Excerpt(str(path), 0.0, seconds))
    return found


class Loop:
    """A step with all that it needs, on some excerpts."""

    def __init__(
        self,
        encoder: AudioEncoder,
        excerpts: list[Excerpt],
        config: TrainingConfig,
        cache: CachedAudio | None = None,
        keys: Sequence[bytes] = (),
        device: torch.device = CPU,
    ) -> None:
        """Build the step; `encoder` is on the device, and is changed in place. `keys` are those of the cached audio."""
        assert config.tune_audio
        dim, count = encoder.spec.dim, len(excerpts)
        rows = SplitRows(
            split="train",
            ids=[f"clip_{row}" for row in range(count)],
            embeddings={},
            captions=[f"caption {row}" for row in range(count)],
            caption_of=np.arange(count),
            caption_origin=["human"] * count,
            texts={"recording": [f"r:{row}" for row in range(count)]},
            tags=[],
            start_s=np.zeros(count, np.float32),
            duration_s=np.zeros(count, np.float32),
        )
        self.sampler = Sampler(rows.caption_of, config.batch_size, 0)
        waveforms = Waveforms(excerpts, encoder.spec, 1, 0, cache, keys)
        self.tower = tuned.TunedTower(encoder, config.tune_audio, rank=config.lora_rank)
        source = TunedAudio(self.tower, waveforms, rows.ids, self.sampler, [], device)
        torch.manual_seed(0)
        heads = ProjectionHeads(
            Architecture(
                text_dim=TEXT_DIM, audio_dim=dim, layers=1, projection="text", dim=dim, scaled_dim=dim, text_head="mlp",
                audio_head="linear", hidden=512, dropout=0.2,
            )
        ).to(device)  # fmt: skip
        table = TextTable(np.random.default_rng(1).standard_normal((count, TEXT_DIM), np.float32), np.arange(count))
        data = SplitData(rows, AudioRows([np.zeros((count, dim), np.float16)]))
        self.step = Step(heads, data, StoredTexts(table, device), config, audio=source)
        self.optimizer = make_optimizer(self.step, config)

    def batches(self, count: int) -> Iterator[Batch]:
        """Yield some batches with their audio."""
        drawn = (batch for epoch in range(count) for batch in self.sampler.epoch(epoch))
        yield from self.step.audio.ahead((batch for batch, _ in zip(drawn, range(count), strict=False)), 0)

    def take(self, batches: Iterator[Batch]) -> None:
        """Take a step on each."""
        for number, batch in enumerate(batches):
            self.optimizer.zero_grad(set_to_none=True)
            self.step(batch, number)
            self.optimizer.step()


def tuned_whole(batch_size: int) -> TrainingConfig:
    """Return the settings of a training that tunes all weights of the encoder."""
    return TrainingConfig(batch_size=batch_size, tune_audio="full")


def keys_of(count: int) -> list[bytes]:
    return [number.to_bytes(16, "big") for number in range(count)]


def step_over_network(loop: Loop, repeats: int) -> None:
    (batch,) = loop.batches(1)
    assert batch.waveforms is not None
    windows = batch.waveforms
    output = loop.tower.embed(windows)
    direction = torch.randn(output.shape)

    def bare() -> None:
        for stage in loop.tower.stages:
            for each in stage:
                each.grad = None
        (loop.tower.embed(windows) * direction).sum().backward()  # type: ignore[no-untyped-call]

    mine, alone = in_turn(repeats, lambda: loop.take(iter([batch])), bare)
    print(
        f"step: {loop.tower.encoder.spec.name}, batch {len(windows)}: {mine:.2f} s, its network alone {alone:.2f} s, "
        f"ratio {mine / alone:.2f}"
    )


def data_over_memory(
    name: str, excerpts: list[Excerpt], folder: Path, batch_size: int, steps: int, repeats: int
) -> None:
    rate_hz = audio.spec(name).rate_hz
    cache_audio(folder, rate_hz, dict(zip(keys_of(len(excerpts)), excerpts, strict=True)))
    for what, cache in (("files", None), ("cache", CachedAudio(folder_of(folder, rate_hz)))):
        loop = Loop(audio.build(name), excerpts, tuned_whole(batch_size), cache, keys_of(len(excerpts)))
        (held,) = loop.batches(1)
        mine, alone = in_turn(
            repeats,
            lambda loop=loop: loop.take(loop.batches(steps)),  # type: ignore[misc]
            lambda loop=loop, held=held: loop.take(iter([held] * steps)),  # type: ignore[misc]
            clock=time.perf_counter,
            of=min,
        )
        print(
            f"data from {what}: {steps} steps {mine:.2f} s, on one batch in memory {alone:.2f} s, ratio {mine / alone:.2f}"
        )


def memory(name: str, excerpts: list[Excerpt], batch_size: int, steps: int) -> None:
    """Print the peak memory with the excerpts, and then with a hundred times as many."""
    peaks = []
    for times in (1, 100):
        loop = Loop(audio.build(name), excerpts * times, tuned_whole(batch_size))
        loop.take(loop.batches(steps))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    print(
        f"memory: peak {peaks[0]:.0f} MB with {len(excerpts):,} tracks, {peaks[1]:.0f} MB with {100 * len(excerpts):,}, "
        f"ratio {peaks[1] / peaks[0]:.2f}"
    )


def usual_over_ours(name: str, excerpts: list[Excerpt], batch_size: int, steps: int, repeats: int) -> None:
    """Compare with a loop that decodes each file whole, when it is needed, and cuts a window from it."""
    loop = Loop(audio.build(name), excerpts, tuned_whole(batch_size))
    spec = loop.tower.encoder.spec
    samples = round(spec.window_s * spec.rate_hz)

    def usual() -> None:
        for number, batch in zip(range(steps), loop.sampler.epoch(0) * steps, strict=False):
            windows = []
            for row in batch.rows:
                whole = decode(excerpts[row], spec.rate_hz)
                assert isinstance(whole, np.ndarray)
                windows.append(whole[:samples])
            filled = Batch(batch.rows, batch.captions, waveforms=torch.from_numpy(np.stack(windows)[:, None]))
            loop.optimizer.zero_grad(set_to_none=True)
            loop.step(filled, number)
            loop.optimizer.step()

    slow, mine = in_turn(repeats, usual, lambda: loop.take(loop.batches(steps)))
    print(f"usual: {steps} steps {slow:.2f} s of CPU, ours {mine:.2f} s, ratio {slow / mine:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="musicnn")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120.0, help="of a clip")
    parser.add_argument("--usual-steps", type=int, default=1, help="of the usual loop, which decodes files whole")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        excerpts = write_clips(folder, options.clips, options.seconds)
        loop = Loop(audio.build(options.encoder), excerpts, tuned_whole(options.batch_size))
        step_over_network(loop, options.repeats)
        memory(options.encoder, excerpts, options.batch_size, 1)
        size, steps, repeats = options.batch_size, options.steps, options.repeats
        data_over_memory(options.encoder, excerpts, folder, size, steps, repeats)
        usual_over_ours(options.encoder, excerpts, size, options.usual_steps, min(repeats, 3))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"all of this: {used.ru_utime:.0f} s of CPU, and {used.ru_stime:.0f} s in the kernel")


if __name__ == "__main__":
    main()
