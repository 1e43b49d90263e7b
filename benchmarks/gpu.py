"""Check and time unisono on a GPU: a script of at most 8 minutes for a bare machine with torch and no network.

    python benchmarks/gpu.py                      # on a GPU if there is one
    python benchmarks/gpu.py --wheels FOLDER      # first makes the wheels of a folder importable, where a package is missing
    python benchmarks/gpu.py --tiny               # the same at a tiny size, to try the script
    python benchmarks/gpu.py --parts muq search   # some parts only

Each part is a process with its share of the time, and is ended when that is over; one that fails is reported, and the others
go on. Networks have their published sizes and random weights: times do not depend on their values. The table at the end has
the ratios to what bounds them: the largest matrix product that this device was seen to do, and the rate at which its cores
decode. On a machine with torch, transformers, h5py, peft and what they need, six packages are missing. Bring their wheels,
each package once:

    pip download --no-deps --only-binary :all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_17_x86_64 --dest FOLDER soundfile cffi pycparser soxr msgspec music2latent==0.1.8
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
LIMIT_S = 475.0
CLIP_S = 30.0
BUDGETS_S = {
    "floors": 40, "muq": 45, "mert": 40, "latent": 45, "clap": 35, "musicfm": 45, "memory": 30, "copies": 45,
    "end_to_end": 110, "step": 25, "lora": 30, "tuned": 80, "streams": 40,
}  # fmt: skip
"""The most seconds of each part: on an H100 with 16 cores they took 17 to 99, with more clips and longer timings."""
ENCODERS = ("muq", "mert", "latent", "clap", "musicfm")
GOALS = {
    "bf16 over the matrix peak": ">= 0.35",
    "end to end over max(decode, encode)": "<= 1.10",
    "10,000 clips, s": "<= 120",
    "over its network's own passes": "<= 1.10",
    "of the cache over one batch": "<= 1.05",
}


@dataclass
class Bench:
    """What the parts need."""

    tiny: bool
    folder: Path
    """Where the parts of a run leave what later ones need."""
    device: str = ""
    """Default: the first GPU, or else the CPU."""

    def __post_init__(self) -> None:
        import torch

        if not self.device:
            self.device = "cuda:0" if torch.cuda.is_available() else "cpu"
            if self.device == "cpu":
                torch.set_num_threads(1)

    def sync(self) -> None:
        import torch

        if self.device != "cpu":
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object], most_s: float = 2.5) -> float:
        """Return the median seconds of some work on the device; the first run, which warms up, does not count."""
        work()
        self.sync()
        found: list[float] = []
        end = time.monotonic() + (0.05 if self.tiny else most_s)
        while not found or (len(found) < 20 and time.monotonic() < end):
            began = time.perf_counter()
            work()
            self.sync()
            found.append(time.perf_counter() - began)
        return statistics.median(found)

    def known(self) -> dict[str, float]:
        """Return what the parts before this one measured."""
        path = self.folder / "known.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def say(self, what: str, value: float, **more: float) -> None:
        """Report a figure; `more` is kept for later parts."""
        (self.folder / "known.json").write_text(json.dumps(self.known() | more))
        goal = next((goal for end, goal in GOALS.items() if what.endswith(end)), "")
        print(f"  {what:<58} {value:12.4g}  {goal}", flush=True)

    def check(self, what: str, value: float, most: float) -> None:
        """Report a difference that must be small.

        Raises:
            AssertionError: it is not.
        """
        print(f"  {what:<58} {value:12.4g}  at most {most:g}", flush=True)
        assert value <= most, f"{what}: {value:.3g} is above {most:g}"


def floors(bench: Bench) -> None:
    """Measure what bounds the rest: matrix products, copies to the device, decoding on all cores."""
    import torch

    size = 128 if bench.tiny else 8192
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        one, two = (torch.randn(size, size, device=bench.device, dtype=kind) for _ in range(2))
        peak = 2 * size**3 / bench.seconds(lambda one=one, two=two: one @ two) / 1e12  # type: ignore[misc]
        bench.say(f"matrix product, {name}, TFLOP/s", peak, **{f"peak_{name}": peak})
    bytes_ = 1 << (16 if bench.tiny else 28)
    for name, is_pinned in (("pageable", False), ("pinned", bench.device != "cpu")):
        source = torch.empty(bytes_, dtype=torch.uint8, pin_memory=is_pinned)
        rate = bytes_ / bench.seconds(lambda source=source: source.to(bench.device, copy=True)) / 1e9  # type: ignore[misc]
        bench.say(f"copy to the device, {name}, GB/s", rate, **{f"copy_{name}": rate})
    from benchmarks.prepare import RATE_HZ, decode_ours
    from unisono.base.cores import available_cores

    items = clips(bench)
    began = time.perf_counter()
    decode_ours(items, RATE_HZ)
    rate = len(items) / (time.perf_counter() - began)
    bench.say(f"decode on {available_cores()} cores, clips of 30 s a second", rate, decode=rate)


def clips(bench: Bench) -> list[Any]:
    """Return work items: a few generated mp3s, each many times."""
    from benchmarks.prepare import make_clips, repeated
    from unisono.base.cores import available_cores

    folder = bench.folder / "clips"
    folder.mkdir(exist_ok=True)
    return repeated(make_clips(folder, 1 if bench.tiny else 8), 1 if bench.tiny else 64 * available_cores())


def build(name: str, bench: Bench) -> Any:
    """Build an encoder with random weights; tiny ones have one layer or so."""
    import torch

    from benchmarks.encoders import MERT_COMMON, MERTS, MUQ, _randomise
    from unisono.embeddings.encoders import audio
    from unisono.embeddings.encoders.audio import clap, latent, mert, muq, musicfm

    spec = audio.spec(name)
    spec = replace(spec, window_s=1.0, hop_s=1.0) if bench.tiny and name != "clap" else spec
    if name in ("muq", "musicfm"):
        small: dict[str, Any] = {
            "num_hidden_layers": 1,
            "hidden_size": 64,
            "num_attention_heads": 4,
            "intermediate_size": 128,
        }
        sizes = MUQ if name == "muq" else replace(MUQ, conformer=MUQ.conformer | musicfm.CONFORMER)
        if bench.tiny:
            sizes = replace(MUQ, channels=8, conformer=MUQ.conformer | small)
            spec = replace(spec, dim=64)
        network: Any = muq.build_network(sizes).to_empty(device=bench.device)
        _randomise(network)
        return muq.Muq(spec, network, sizes, bench.device, [sizes.conformer["num_hidden_layers"]])
    if name == "mert":
        small = {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}
        small |= {"conv_dim": [8] * 7, "num_conv_pos_embedding_groups": 4} if bench.tiny else {}
        config = mert.hubert_config(MERT_COMMON | MERTS["mert"] | (small if bench.tiny else {}), Path(name))
        network = mert.build_network(config).to_empty(device=bench.device)
        _randomise(network)
        return mert.Mert(replace(spec, dim=config.hidden_size), network, [config.num_hidden_layers])
    if name == "clap":
        from transformers import ClapAudioConfig, ClapAudioModelWithProjection, ClapFeatureExtractor

        small = {"depths": [1] * 4, "num_attention_heads": [1] * 4, "hidden_size": 64, "patch_embeds_hidden_size": 8}
        large: dict[str, Any] = {"depths": [2, 2, 12, 2], "num_attention_heads": [4, 8, 16, 32], "hidden_size": 1024}
        made: Any = ClapAudioConfig(**{"patch_embeds_hidden_size": 128} | large | (small if bench.tiny else {}))
        made._attn_implementation = "eager"
        torch.manual_seed(0)
        network = ClapAudioModelWithProjection(made)
        network.requires_grad_(False).eval().to(bench.device)
        return clap.Clap(replace(spec, dim=made.projection_dim), network, ClapFeatureExtractor(), bench.device)
    from music2latent import models

    with latent._width(models, 4 if bench.tiny else models.base_channels):
        network = models.Encoder()
    network.bottleneck_layers = torch.nn.ModuleList()
    for unused in ("norm_out", "conv_out"):
        delattr(network, unused)
    dim = network.prenorm_1d_to_2d.num_channels * network.freq_dim
    return latent.Latent(replace(spec, dim=dim), network.requires_grad_(False).eval().to(bench.device))


def encoder(name: str, bench: Bench) -> None:
    """Check that GPU and CPU agree; find the batch size; time float32 and bfloat16 over the matrix peak."""
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from unisono.embeddings.prepare.executors import _runner

    built = build(name, bench)
    spec = built.spec
    samples = round(spec.window_s * spec.rate_hz)
    few = 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0)).to(bench.device)
    with torch.inference_mode():
        exact, fast = built.forward(few).float().cpu(), built.embed(few).cpu()
    assert torch.isfinite(fast).all(), "the embedding is not finite"
    bench.check(f"{name}: 1 - cosine of bf16 to float32", 1 - float(torch.cosine_similarity(exact, fast).min()), 0.02)
    if bench.device != "cpu" or bench.tiny:
        with torch.inference_mode():
            agreement = torch.cosine_similarity(_on_cpu(name, built, bench).forward(few.cpu()).float(), exact)
        bench.check(f"{name}: 1 - cosine of the GPU's float32 to the CPU's", 1 - float(agreement.min()), 1e-3)
    size = 2 if bench.tiny else _runner.find_batch_size(built, bench.device)
    bench.say(f"{name}: windows in a batch", size)
    windows = 0.1 * torch.randn(size, samples, device=bench.device)
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        built.forward(windows[:1])
    flops = counted.get_total_flops() * size
    peaks = bench.known()
    some = windows[:16]  # in float32 a batch that fits in bfloat16 takes long, and may not fit
    with torch.inference_mode():
        slow_s = bench.seconds(lambda: built.forward(some)) * size / len(some)
    fast_s = bench.seconds(lambda: built.embed(windows))
    clips_s = size * spec.window_s / CLIP_S / fast_s
    if "peak_bf16" in peaks:
        bench.say(f"{name}: float32 over the matrix peak", flops / slow_s / 1e12 / peaks["peak_fp32"])
        bench.say(f"{name}: bf16 over the matrix peak", flops / fast_s / 1e12 / peaks["peak_bf16"])
    bench.say(f"{name}: bf16 over float32, times as fast", slow_s / fast_s)
    bench.say(f"{name}: clips of 30 s a second", clips_s, **{f"clips_{name}": clips_s})
    assert np.isfinite(clips_s)


def _on_cpu(name: str, built: Any, bench: Bench) -> Any:
    """Return an encoder with the same weights on the CPU."""
    other = build(name, replace(bench, device="cpu"))
    other.network.load_state_dict({key: tensor.cpu() for key, tensor in built.network.state_dict().items()})
    return other


def memory(bench: Bench) -> None:
    """Check that a batch that does not fit is halved, and that the rows are those of a batch that does."""
    import numpy as np
    import torch

    from unisono.embeddings.prepare.executors._runner import Runner

    built = build("muq", bench)
    samples = round(built.spec.window_s * built.spec.rate_hz)
    count = 4 if bench.tiny else 64
    windows = [row.numpy() for row in 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(1))]
    if bench.device == "cpu":
        embed: Callable[[torch.Tensor], torch.Tensor] = built.embed

        def limited(batch: torch.Tensor) -> torch.Tensor:
            if len(batch) > 1:
                raise torch.OutOfMemoryError
            return embed(batch)

        built.embed = limited
        runner = Runner("cpu", {"muq": built}, None)
        runner.batch_sizes["muq"] = count
    else:
        plain = Runner(bench.device, {"muq": built}, 8)
        expected = np.concatenate([plain.start("muq", windows[at : at + 8]).rows() for at in range(0, count, 8)])
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.5 * peak / torch.cuda.get_device_properties(0).total_memory)
        runner = Runner(bench.device, {"muq": built}, count)
    rows = runner.start("muq", windows).rows()
    assert runner.batch_sizes["muq"] < count, "the batch was not halved"
    bench.say(f"out of memory: of {count} windows at a time are left", runner.batch_sizes["muq"])
    if bench.device != "cpu":
        cosine = (rows * expected).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(expected, axis=1)
        bench.check("out of memory: 1 - cosine to batches that fit", 1 - float(cosine.min()), 0.01)


def copies(bench: Bench) -> None:
    """Time copies during the encoder's work over that work alone."""
    import torch

    from unisono.embeddings.prepare.executors._runner import Runner

    built = build("muq", bench)
    samples = round(built.spec.window_s * built.spec.rate_hz)
    size = 2 if bench.tiny else 64
    lots = [[row.numpy() for row in torch.randn(size, samples)] for _ in range(2 if bench.tiny else 6)]
    there = torch.randn(size, samples, device=bench.device)
    runner = Runner(bench.device, {"muq": built}, size)

    def whole() -> None:
        started = [runner.start("muq", lot) for lot in lots]
        for each in started:
            each.rows()

    bare = bench.seconds(lambda: [built.embed(there) for _ in lots])
    bench.say("pinned copies and encoder over the encoder alone", bench.seconds(whole) / bare)


def end_to_end(bench: Bench) -> None:
    """Time decoding of generated mp3s on all cores into MuQ, and the shards written, over the longer of the two alone."""
    from benchmarks.prepare import RATE_HZ, cut, decode_ours, encode
    from benchmarks.prepare import end_to_end as run
    from unisono.embeddings.prepare.executors._runner import Runner, choose_devices

    built = build("muq", bench)
    devices = [bench.device] if bench.device != "cpu" else choose_devices(())
    size = None if not bench.tiny else 2
    runners = [Runner(device, {"muq": built}, size) for device in devices]
    items = clips(bench)
    some = items[:8]
    windows = cut(some, built) * (len(items) // len(some))
    costs: dict[str, list[float]] = {}
    works: dict[str, Callable[[], None]] = {
        "decode": lambda: decode_ours(items, RATE_HZ),
        "encode": lambda: encode(runners, windows),
        "whole": lambda: run(items, runners, bench.folder),
    }
    for _ in range(1 if bench.tiny else 2):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            costs.setdefault(name, []).append(time.perf_counter() - began)
    decode_s, encode_s, whole_s = (min(costs[name]) for name in ("decode", "encode", "whole"))
    floor = max(decode_s, encode_s) if bench.device != "cpu" else decode_s + encode_s
    bench.say("muq: decode alone, clips a second", len(items) / decode_s)
    bench.say("muq: encode alone, clips a second", len(items) / encode_s)
    bench.say("muq: end to end, clips a second", len(items) / whole_s)
    bench.say("muq: end to end over the encoder alone", whole_s / encode_s)
    bench.say("muq: end to end over max(decode, encode)", whole_s / floor)
    bench.say("muq: 10,000 clips, s", 10_000 * whole_s / len(items))


def training(bench: Bench, texts: Any | None = None, rows: int = 0) -> tuple[Any, Any, Any]:
    """Return a training step, its optimizer and a batch."""
    import numpy as np
    import torch

    from benchmarks.train import heads_of, synthetic
    from unisono.embeddings.encoders.text_store import TextTable
    from unisono.retrieval.train.config import TrainingConfig
    from unisono.retrieval.train.data import Sampler
    from unisono.retrieval.train.loop import make_optimizer
    from unisono.retrieval.train.step import Step, StoredTexts

    size, dim, hidden = (8, 32, 64) if bench.tiny else (rows or 4096, 1024, 2048)
    data = synthetic(2 * size, 4 * size, dim)
    if texts is None:
        table = np.random.default_rng(1).standard_normal((4 * size, dim), np.float32)
        texts = StoredTexts(TextTable(table, np.arange(4 * size)), torch.device(bench.device))
        text_dim = dim
    else:
        text_dim = texts.encoder.spec.dim
    options = TrainingConfig(batch_size=size, hidden=hidden)
    step = Step(heads_of(text_dim, dim, hidden).to(bench.device), data, texts, options)
    return step, make_optimizer(step, options), Sampler(data.rows.caption_of, size, 0).epoch(0)[0]


def step(bench: Bench) -> None:
    """Time a training step on stored embeddings over its bare matrix products."""
    import torch

    taken, optimizer, batch = training(bench)

    def whole() -> None:
        optimizer.zero_grad(set_to_none=True)
        taken(batch, 0)
        optimizer.step()

    size, dim, hidden = len(batch.rows), 32 if bench.tiny else 1024, 64 if bench.tiny else 2048
    shapes = ((size, dim), (dim, hidden), (hidden, dim), (size, hidden), (size, size))
    x, one, two, h, s = (torch.randn(shape, device=bench.device) for shape in shapes)

    def products() -> None:
        _ = x @ one, h @ two, x @ x.T, s @ x, x @ two.T, h.T @ x, x.T @ h

    first = float(taken(batch, 0))
    for _ in range(5):
        whole()
    assert float(taken(batch, 0)) < first, "the loss does not fall"
    bench.say(f"training step, batch {size}, over its matrix products", bench.seconds(whole) / bench.seconds(products))


def lora(bench: Bench) -> None:
    """Time a step that tunes a text encoder of MiniLM's size with adapters, over its forward pass alone."""
    import numpy as np
    import torch
    from transformers import BertConfig, BertModel

    from unisono.embeddings.encoders import text
    from unisono.embeddings.encoders.text._transformer import TransformerTextEncoder
    from unisono.retrieval.lora import TunedTexts, add_adapters

    class Words:
        """A tokenizer of numbered words."""

        pad_token_id = 0

        def __call__(self, texts: Sequence[str], **options: object) -> dict[str, list[list[int]]]:
            return {"input_ids": [[2 + sum(map(ord, word)) % 30_000 for word in each.split()] for each in texts]}

    layers = 1 if bench.tiny else 6
    config = BertConfig(hidden_size=384, num_attention_heads=12, intermediate_size=1536, num_hidden_layers=layers)
    torch.manual_seed(0)
    model: Any = BertModel(config, add_pooling_layer=False)
    model.to(bench.device)
    made = TransformerTextEncoder(text.spec("minilm"), model, Words(), pooling="mean")
    add_adapters(made, 8, 0.0)
    rows = 8 if bench.tiny else 512
    captions = [f"caption {number} " + "a calm piano piece with soft strings " * 3 for number in range(4 * rows)]
    texts = TunedTexts(made, captions)
    taken, optimizer, batch = training(bench, texts, rows)

    def whole() -> None:
        optimizer.zero_grad(set_to_none=True)
        taken(batch, 0)
        optimizer.step()

    def forward() -> None:
        with torch.no_grad():
            texts(np.asarray(batch.captions))

    before = [each.detach().clone() for each in texts.parameters()]
    whole()
    assert any(not torch.equal(one, two) for one, two in zip(before, texts.parameters(), strict=True)), (
        "nothing is tuned"
    )
    bench.say(
        f"LoRA step, batch {len(batch.rows)}, over the encoder's forward pass",
        bench.seconds(whole) / bench.seconds(forward),
    )


def tuned(bench: Bench) -> None:
    """Time a step that tunes MuQ with adapters, a batch of 1,024 in parts, over its network alone, and its data."""
    import torch

    from benchmarks import tuning
    from unisono.embeddings.audio_cache import CachedAudio, cache_audio, folder_of
    from unisono.retrieval.train.config import TrainingConfig

    device = torch.device(bench.device)
    rows, part = (8, 2) if bench.tiny else (1024, 32)
    config = TrainingConfig(batch_size=rows, micro_batch=part, tune_audio="lora", precision="bf16")
    folder = bench.folder / "tuned"
    folder.mkdir(exist_ok=True)
    few = tuning.write_clips(folder, 1 if bench.tiny else 8, 2.0 if bench.tiny else CLIP_S)
    excerpts = few * (2 * rows // len(few))
    built = build("muq", bench)
    rate_hz = built.spec.rate_hz
    cache_audio(folder, rate_hz, dict(zip(tuning.keys_of(len(few)), few, strict=True)))
    cached = CachedAudio(folder_of(folder, rate_hz))
    loop = tuning.Loop(built, excerpts, config, device=device)
    began = time.perf_counter()
    loop.take(loop.batches(1))
    bench.sync()
    bench.say(f"tuned muq: the first step, batch {rows} in parts of {part}, s", time.perf_counter() - began)
    if bench.device != "cpu":
        bench.say("tuned muq: peak memory, GB", torch.cuda.max_memory_allocated() / 1e9)
    config = replace(config, batch_size=rows // 4)
    keys = tuning.keys_of(len(few)) * (len(excerpts) // len(few))
    loop = tuning.Loop(build("muq", bench), excerpts, config, cached, keys, device)
    (held,) = loop.batches(1)
    assert held.waveforms is not None
    windows = held.waveforms.to(bench.device)

    def bare() -> None:
        for at in range(0, len(windows), part):
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                loop.tower.embed(windows[at : at + part])
            with torch.autocast(device.type, torch.bfloat16):  # another one, as it keeps weights that it has converted
                embedded = loop.tower.embed(windows[at : at + part])
            embedded.sum().backward()  # type: ignore[no-untyped-call]

    alone = bench.seconds(bare)
    mine = bench.seconds(lambda: loop.take(iter([held])))
    bench.say(f"tuned muq: step of {len(windows)} over its network's own passes", mine / alone)
    fresh = bench.seconds(lambda: loop.take(loop.batches(2))) / 2
    bench.say("tuned muq: steps on fresh windows of the cache over one batch", fresh / mine)
    bench.say("tuned muq: windows a second", len(windows) / fresh)


def streams(bench: Bench) -> None:
    """Time two encoders, each in a thread and a stream of its own, over one after the other."""
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import nullcontext

    import torch

    pair = [build(name, bench) for name in ("muq", "clap")]
    size = 1 if bench.tiny else 32
    windows = [torch.randn(size, round(each.spec.window_s * each.spec.rate_hz), device=bench.device) for each in pair]

    def one(number: int) -> None:
        stream: Any = torch.cuda.Stream
        context = torch.cuda.stream(stream()) if bench.device != "cpu" else nullcontext()
        with context:
            for _ in range(1 if bench.tiny else 3):
                pair[number].embed(windows[number]).float().cpu()

    def in_turn() -> None:
        one(0)
        one(1)

    with ThreadPoolExecutor(2) as pool:
        together = bench.seconds(lambda: list(pool.map(one, range(2))))
    bench.say("two encoders in two streams over one after the other", together / bench.seconds(in_turn))


PARTS: dict[str, Callable[[Bench], None]] = {
    "floors": floors,
    **{name: lambda bench, name=name: encoder(name, bench) for name in ENCODERS},  # type: ignore[misc]
    "memory": memory, "copies": copies, "end_to_end": end_to_end, "step": step, "lora": lora, "tuned": tuned,
    "streams": streams,
}  # fmt: skip


def use_wheels(folder: Path, to: Path) -> None:
    """Unpack the wheels of a folder whose packages are not installed, so that they can be imported."""
    from importlib import metadata

    here = {(each.metadata["Name"] or "").lower().replace("-", "_") for each in metadata.distributions()}
    missing = [path for path in sorted(folder.glob("*.whl")) if path.name.split("-")[0].lower() not in here]
    print(f"not installed, taken from {folder}: {', '.join(path.name.split('-')[0] for path in missing) or 'nothing'}")
    if missing:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(to)]
        subprocess.run([*command, *map(str, missing)], check=True)


def run_part(name: str, folder: Path, *, tiny: bool) -> None:
    """Run a part in this process."""
    bench = Bench(tiny, folder)
    PARTS[name](bench)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--in-process", action="store_true", help="without a limit of time; for tests")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(options.part, options.folder, tiny=options.tiny)
        return
    end = time.monotonic() + LIMIT_S
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")]),
        }
        if options.wheels:
            use_wheels(options.wheels, folder / "site")
            sys.path.insert(0, str(folder / "site"))
        if importlib.util.find_spec("torch"):
            import torch

            what = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU: no GPU here"
            print(
                f"{what}, torch {torch.__version__}, {os.cpu_count()} cores{', tiny' if options.tiny else ''}",
                flush=True,
            )
        failed = []
        for name in options.parts:
            print(name, flush=True)
            began = time.monotonic()
            left = end - began
            said = "no time was left"
            if options.in_process:
                try:
                    run_part(name, folder, tiny=options.tiny)
                    said = ""
                except Exception:
                    traceback.print_exc(limit=-3)
                    said = "failed"
            elif left > 5:
                command = [sys.executable, __file__, "--part", name, "--folder", str(folder)]
                try:
                    allowed = min(left, BUDGETS_S[name] * (4 if options.tiny else 1))
                    subprocess.run(command + ["--tiny"] * options.tiny, env=environment, check=True, timeout=allowed)
                    said = ""
                except subprocess.TimeoutExpired:
                    said = f"ended after its {allowed:.0f} s"
                except subprocess.CalledProcessError as error:
                    said = f"failed (exit code {error.returncode})"
            if said:
                failed.append(name)
                print(f"  {name}: {said}", flush=True)
            print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
    done = len(options.parts) - len(failed)
    missing = f"; not done: {', '.join(failed)}" if failed else ""
    print(f"{done} of {len(options.parts)} parts done, ratio {done / len(options.parts):.2f}{missing}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
