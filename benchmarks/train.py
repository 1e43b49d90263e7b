"""Measure what a training step costs over what it must cost, and how much slower the usual loop is.

    python -m benchmarks.train [--captions 1000000] [--usual-steps 40]

1. `step`: a step on stored embeddings over the bare matrix products of the same sizes, forward and backward; first with
   the references of `retrieval/fast_cpu.py`, then with the faster versions.
2. `loader`: an epoch's steps on a large synthetic set, with text embeddings mapped from disk and new batches, over the same
   number of steps on one batch held in memory; and the peak memory of the process.
3. `usual`: the loop that most people write, which opens `embeddings.h5` for every item and runs the text encoder at every
   step, over ours on the same batches; both must reach the same loss. Needs the MiniLM weights.

Everything runs on one CPU thread in one process, alternating. 1 and 2 measure CPU seconds, on which other work on the
machine has little effect; the ratio is that of the medians.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import torch
from torch.nn import functional

from benchmarks.timing import in_turn, seconds
from unisono.base import memory
from unisono.embeddings.encoders import text as text_encoders
from unisono.embeddings.encoders.text_store import TextTable
from unisono.embeddings.file import EncoderRecord, SplitRows, create_embeddings, open_embeddings
from unisono.retrieval import fast_cpu
from unisono.retrieval.audio_rows import AudioRows
from unisono.retrieval.heads import Architecture, ProjectionHeads
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.data import Batch, Sampler, SplitData, read
from unisono.retrieval.train.loop import make_optimizer
from unisono.retrieval.train.losses import infonce
from unisono.retrieval.train.step import Step, StoredTexts
from unisono.tracks.track import SPLITS, Caption, Track

CPU = torch.device("cpu")


def synthetic(excerpts: int, captions: int, dim: int) -> SplitData:
    """Make a split of random embeddings without writing it to disk."""
    rng = np.random.default_rng(0)
    audio = np.empty((excerpts, 1, dim), np.float16)
    for start in range(0, excerpts, 65536):
        part = audio[start : start + 65536]
        part[:] = rng.standard_normal(part.shape, np.float32)
    each = captions // excerpts
    rows = SplitRows(
        split="train",
        ids=[f"synthetic_{row}" for row in range(excerpts)],
        embeddings={},
        captions=[f"caption {number}" for number in range(excerpts * each)],
        caption_of=np.repeat(np.arange(excerpts), each),
        caption_origin=["human"] * (excerpts * each),
        texts={"recording": [f"r:{row}" for row in range(excerpts)]},
        tags=[],
        start_s=np.zeros(0, np.float32),
        duration_s=np.zeros(0, np.float32),
    )
    return SplitData(rows, AudioRows([audio]))


def heads_of(text_dim: int, audio_dim: int, hidden: int, dropout: float = 0.2) -> ProjectionHeads:
    torch.manual_seed(0)
    return ProjectionHeads(
        Architecture(
            text_dim=text_dim,
            audio_dim=audio_dim,
            layers=1,
            projection="text",
            dim=audio_dim,
            scaled_dim=audio_dim,
            text_head="mlp",
            audio_head="linear",
            hidden=hidden,
            dropout=dropout,
        )
    )


def mapped(folder: Path, count: int, dim: int) -> TextTable:
    """Write random text embeddings to disk, and map them."""
    matrix = np.memmap(folder / "text.f32", np.float32, "w+", shape=(count, dim))
    rng = np.random.default_rng(1)
    for start in range(0, count, 65536):
        part = matrix[start : start + 65536]
        part[:] = rng.standard_normal(part.shape, np.float32)
    matrix.flush()
    return TextTable(np.memmap(folder / "text.f32", np.float32, "r", shape=(count, dim)), np.arange(count))


@contextmanager
def references() -> Iterator[None]:
    """Compute steps with the references of `fast_cpu`. Its memory setting cannot be undone: measure these first."""
    with ExitStack() as stack:
        for target, name, reference in (
            (fast_cpu, "info_nce", infonce.info_nce),
            (fast_cpu, "normalize", partial(functional.normalize, dim=-1)),
            (memory, "keep_freed", lambda: None),
            (fast_cpu.Dropout, "forward", torch.nn.Dropout.forward),
        ):
            stack.enter_context(mock.patch.object(target, name, reference))
        yield


def step_over_products(batch_size: int, dim: int, hidden: int, *, name: str = "step") -> float:
    """Compare a whole step, optimizer included, with its matrix products alone."""
    data = synthetic(2 * batch_size, 4 * batch_size, dim)
    table = TextTable(
        np.random.default_rng(1).standard_normal((len(data.rows.captions), dim), np.float32), np.arange(4 * batch_size)
    )
    options = TrainingConfig(batch_size=batch_size, hidden=hidden)
    step = Step(heads_of(dim, dim, hidden), data, StoredTexts(table, CPU), options)
    optimizer = make_optimizer(step, options)
    batch = Sampler(data.rows.caption_of, batch_size, 0).epoch(0)[0]

    def ours() -> None:
        optimizer.zero_grad(set_to_none=True)
        step(batch, 0)
        optimizer.step()

    one, two, three = torch.randn(dim, hidden), torch.randn(hidden, dim), torch.randn(batch_size, dim)
    x, h, y, s = (
        torch.randn(batch_size, dim),
        torch.randn(batch_size, hidden),
        torch.randn(batch_size, dim),
        torch.randn(batch_size, batch_size),
    )

    def products() -> None:
        x @ one, h @ two, y @ three.T  # forward: two layers, scores
        s @ three, y @ two.T, h.T @ y, x.T @ h  # backward: scores to text, to the hidden layer, both weights

    mine, bare = in_turn(15, ours, products)
    print(
        f"{name}: batch {batch_size}, {dim} -> {hidden} -> {dim}: {mine * 1e3:.1f} ms, bare products {bare * 1e3:.1f} ms, "
        f"ratio {mine / bare:.2f}"
    )
    return mine / bare


def loader(captions: int, dim: int, batch_size: int, steps: int) -> float:
    """Compare steps on freshly drawn batches of a large set with steps on one batch in memory."""
    with tempfile.TemporaryDirectory() as folder:
        data = synthetic(captions // 2, captions, dim)
        options = TrainingConfig(batch_size=batch_size)
        table = mapped(Path(folder), captions, dim)
        texts = StoredTexts(table, CPU)
        step = Step(heads_of(dim, dim, 512), data, texts, options)
        held = Step(step.heads, data, Held(texts), options)
        sampler = Sampler(data.rows.caption_of, batch_size, 0)
        epochs = iter(range(1000))
        first = sampler.epoch(0)[0]

        def fresh() -> None:
            for number, batch in enumerate(sampler.epoch(next(epochs))[:steps]):
                step(batch, number)

        def same() -> None:
            for number in range(steps):
                held(first, number)

        mine, bare = in_turn(3, fresh, same)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        drawing = seconds(lambda: sampler.epoch(0), time.process_time)
    whole_epoch = len(sampler)
    share = (mine - drawing) / bare + drawing / (bare / steps * whole_epoch)
    print(
        f"loader: {captions:,} captions x {dim}, batch {batch_size}: {(mine - drawing) / steps * 1e3:.1f} ms a step, on "
        f"one batch {bare / steps * 1e3:.1f} ms; drawing an epoch of {whole_epoch:,} batches {drawing:.2f} s; "
        f"over a whole epoch ratio {share:.2f}; peak memory {peak:.1f} GB"
    )
    return share


class Held(StoredTexts):
    """Text embeddings of one batch, asked for again and again."""

    def __init__(self, texts: StoredTexts) -> None:
        super().__init__(texts.table, texts.device)
        self._held: torch.Tensor | None = None

    def __call__(self, captions: np.ndarray) -> torch.Tensor:
        if self._held is None:
            self._held = super().__call__(captions)
        return self._held


def usual(steps: int, batch_size: int, dim: int) -> float:
    """Compare with the loop that opens the file for every item and runs the text encoder at every step."""
    words = ["slow", "fast", "piano", "guitar", "choir", "drums", "dark", "bright", "solemn", "lively", "flute", "harp"]
    rng = np.random.default_rng(0)
    encoder = text_encoders.tunable(text_encoders.build("minilm"))
    record = EncoderRecord(
        name="muq", weights="", revision="", license="", rate_hz=1, window_s=1, hop_s=1, pooling="mean", dim=dim
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.h5"
        with create_embeddings(path, {}, 0) as writer:
            for split in SPLITS:
                tracks = [
                    Track(
                        id=f"{split}_{row}",
                        audio_path="/",
                        captions=(Caption(f"A {' '.join(rng.choice(words, 6))} piece, number {row}"),),
                        duration=1,
                        recording=f"{split}:{row}",
                    )
                    for row in range(4 * batch_size)
                ]
                writer.add_split(split, tracks)
                writer.add_embeddings(split, record, iter([rng.normal(size=(4 * batch_size, dim)).astype(np.float16)]))
        with open_embeddings(path) as file:
            train = read([file], "muq").train
        options = TrainingConfig(dropout=0, audio_noise=0, batch_size=batch_size)
        batches = [
            batch for epoch in range(steps) for batch in Sampler(train.rows.caption_of, batch_size, 0).epoch(epoch)
        ][:steps]
        results = {}
        for name in ("usual", "ours"):
            heads = heads_of(384, dim, 512, dropout=0.0)
            began = time.perf_counter()
            if name == "ours":
                table = TextTable(encoder.embed(list(train.rows.captions)), np.arange(len(train.rows.captions)))
                step = Step(heads, train, StoredTexts(table, CPU), options)
                optimizer = make_optimizer(step, options)
                take = step.__call__
            else:
                step = Step(
                    heads,
                    train,
                    StoredTexts(TextTable(np.zeros((1, 384), np.float32), np.zeros(1, np.int64)), CPU),
                    options,
                )
                optimizer = make_optimizer(step, options)
                take = partial(usual_step, path, encoder, heads)
            losses = []
            for number, batch in enumerate(batches):
                optimizer.zero_grad(set_to_none=True)
                losses.append(take(batch, number))
                optimizer.step()
            results[name] = time.perf_counter() - began, losses
    ratio = results["usual"][0] / results["ours"][0]
    apart = max(abs(one - other) for one, other in zip(results["usual"][1], results["ours"][1], strict=True))
    print(
        f"usual: {steps} steps of {batch_size}: {results['usual'][0]:.1f} s, ours {results['ours'][0]:.1f} s with "
        f"embedding each caption once: ratio {ratio:.1f}; losses agree to {apart:.1e}"
    )
    return ratio


def usual_step(
    path: Path, encoder: text_encoders.TunableTextEncoder, heads: ProjectionHeads, batch: Batch, _: int
) -> float:
    """Take a step as it is usually written."""
    audio, captions = [], []
    for row, caption in zip(batch.rows, batch.captions, strict=True):
        with h5py.File(path, "r") as file:
            audio.append(torch.from_numpy(file["train/muq_embeddings"][row]).float())
            captions.append(file["train/captions"].asstr()[caption])
    tokens = encoder.tokens(captions)
    with torch.no_grad():
        embedded = encoder.forward(tokens)
    text = heads.embed_text(embedded)
    logits = heads.log_scale.exp() * text @ functional.normalize(torch.stack(audio), dim=1).T
    target = torch.arange(len(captions))
    loss = (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=1_000_000)
    parser.add_argument("--usual-steps", type=int, default=40)
    parser.add_argument(
        "--dim", type=int, default=1024, help="of the embeddings; the heads' hidden layer has half of it"
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1024, 256], help="of `step`")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with references():
        for batch_size in options.batch_sizes:
            step_over_products(batch_size, options.dim, options.dim // 2, name="references")
    for batch_size in options.batch_sizes:
        step_over_products(batch_size, options.dim, options.dim // 2)
    loader(options.captions, options.batch_sizes[0] // 2, options.dim, 20)
    usual(options.usual_steps, 32, options.dim)


if __name__ == "__main__":
    main()
