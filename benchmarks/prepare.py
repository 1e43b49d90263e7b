"""Measure how close `prepare` comes to the speed of the hardware, as ratios within one run.

    python -m benchmarks.prepare                       # with musicnn and dsp
    python -m benchmarks.prepare --encoders muq mert   # with any encoders whose weights are here, on a GPU if there is one
    python -m benchmarks.prepare --memory              # peak memory of 1,000 and of 10,000 tracks
    python -m benchmarks.prepare --checksums           # what comparing the checksums adds to reading 10,000 tracks
    python -m benchmarks.prepare --ray                 # the executor ray, on this machine, over local, end to end
    python -m benchmarks.prepare --rate muq=80 --machines 16 --price-per-hour 3   # hours, disk and cost of 1M and 100M clips

It makes clips of 30 s (mp3, 44.1 kHz, stereo). Each figure is the best of several repetitions that alternate, so that other
work on the machine affects all of them equally. Each line has the ratio of times and that of CPU seconds: on a busy machine
the second is the reliable one, and it is the cost of the stage itself.

With an accelerator, decoding and encoding can overlap: the floor of a run is the larger of the two alone. On a CPU both use
the same cores, so the floor is their sum. "accelerator" is an encoder that takes as long as decoding but no CPU time: the
case in which overlap matters most.
"""

import argparse
import ctypes
import json
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import soundfile
import soxr
import torch

from benchmarks.apart import apart
from unisono.audio.decode import Decoder, Excerpt, WindowCutter
from unisono.audio.faults import Fault
from unisono.audio.open import Samples
from unisono.base.cores import available_cores
from unisono.base.progress import time_in_words
from unisono.commands import console
from unisono.embeddings.encoders import audio as encoders
from unisono.embeddings.encoders.audio import AudioEncoder, dsp
from unisono.embeddings.estimate import estimate
from unisono.embeddings.file import EncoderRecord, create_embeddings, open_embeddings
from unisono.embeddings.prepare import executors
from unisono.embeddings.prepare.contents import Contents
from unisono.embeddings.prepare.embed import embed
from unisono.embeddings.prepare.executors import Job
from unisono.embeddings.prepare.executors._runner import Runner, choose_devices
from unisono.embeddings.prepare.executors.local import LocalExecutor
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.run import prepare
from unisono.embeddings.prepare.sink import EncoderShards, Failures
from unisono.tracks.track import SPLITS, Caption, Track

PR_SET_CHILD_SUBREAPER = 36
CLIP_S = 30.0
RATE_HZ = 24_000
RATES_HZ = (24_000, 16_000, 44_100)
"""Input sample rates of encoders."""


class Accelerator:
    """An encoder that makes the thread wait, as a GPU does, without using the CPU."""

    def __init__(self, seconds_a_window: float) -> None:
        self.spec = replace(dsp.SPEC, name="accelerator", rate_hz=RATE_HZ, window_s=10.0, hop_s=10.0, dim=8)
        self.seconds_a_window = seconds_a_window

    def embed(self, windows: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds_a_window * len(windows))
        return windows[:, :8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["musicnn", "dsp"])
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="only compare peak memory")
    parser.add_argument("--checksums", action="store_true", help="only measure what comparing checksums costs")
    parser.add_argument("--ray", action="store_true", help="only compare the executor ray, on this machine, with local")
    parser.add_argument(
        "--rate", nargs="+", metavar="ENCODER=CLIPS/S", help="only calculate, from rates measured elsewhere"
    )
    parser.add_argument("--machines", type=int, default=1, help="of the calculation")
    parser.add_argument("--price-per-hour", type=float, default=0.0, help="of a machine, in any currency")
    parser.add_argument("--memory-tracks", type=int, nargs=2, default=[1_000, 10_000])
    arguments = parser.parse_args()
    if arguments.memory:
        compare_memory(*arguments.memory_tracks)
        return
    if arguments.checksums:
        compare_checksums(10_000, 10 * arguments.repeat)
        return
    if arguments.rate:
        rates = {name: float(rate) for name, _, rate in (each.partition("=") for each in arguments.rate)}
        calculate_for({name: 1 / rate for name, rate in rates.items()}, arguments.machines, arguments.price_per_hour)
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.ray:
            made = make_clips(Path(folder), min(8, arguments.clips))
            compare_executors(repeated(made, arguments.clips), arguments.encoders, Path(folder))
            return
        items = make_clips(Path(folder), arguments.clips)
        seconds = compare_speed(items, arguments.encoders, arguments.repeat, Path(folder))
        calculate_for(seconds, arguments.machines, arguments.price_per_hour)


def make_clips(folder: Path, count: int) -> list[WorkItem]:
    generator = np.random.default_rng(0)
    frames = round(CLIP_S * 44_100)
    time_s = np.arange(frames) / 44_100
    items = []
    for number in range(count):
        tones = sum(np.sin(2 * np.pi * hertz * time_s) for hertz in generator.uniform(60, 4000, 6)) / 12
        stereo = tones[:, None] + 0.05 * generator.standard_normal((frames, 2))
        path = folder / f"{number:06}.mp3"
        soundfile.write(path, stereo.astype(np.float32), 44_100)
        items.append(WorkItem(number.to_bytes(16, "big"), Excerpt(str(path), 0, CLIP_S), ()))
    return items


def repeated(made: list[WorkItem], count: int) -> list[WorkItem]:
    """Return so many work items, each of a file that others have too."""
    return [replace(made[number % len(made)], key=number.to_bytes(16, "big")) for number in range(count)]


def compare_speed(items: list[WorkItem], names: list[str], repeat: int, folder: Path) -> dict[str, float]:
    """Measure, and return the seconds a clip of each encoder, end to end."""
    devices = choose_devices(())
    say(f"{len(items)} clips of {CLIP_S:g} s, {available_cores()} cores, devices: {', '.join(dict.fromkeys(devices))}")
    torch.set_num_threads(1)
    compare_decoding(items[:4], 10 * repeat)
    (decode,) = best(repeat, lambda: decode_ours(items, RATE_HZ))
    accelerator = Accelerator(decode.wall_s / len(items) / 3)
    compare_overlap(items, accelerator, folder, repeat)
    rates = {}
    for name in names:
        built = {device: encoders.build(name, device) for device in dict.fromkeys(devices)}
        rates[name] = compare_encoder(items, name, built, devices, folder, repeat)
    return calculate(decode.wall_s / len(items), rates, on_cpu=devices[0] == "cpu")


def compare_decoding(items: list[WorkItem], repeat: int) -> None:
    """Compare the CPU time of decoding on one thread with bare calls, file by file, alternating.

    The lower quartile counts, because other work on the machine makes the processor slower.
    """
    for rate_hz in RATES_HZ:
        decoder = Decoder({rate_hz})
        ratios = []
        for item in items:
            costs: tuple[list[float], list[float]] = [], []
            for turn in range(2 * repeat):
                began = time.thread_time()
                if turn % 2:
                    for block in decoder.blocks(item.excerpt):
                        assert not isinstance(block, Fault)
                else:
                    decode_bare(item, rate_hz)
                costs[turn % 2].append(time.thread_time() - began)
            bare, ours = (np.quantile(its_costs, 0.25) for its_costs in costs)
            ratios.append(ours / bare)
        say(
            f"decode + resample to {rate_hz:,} Hz over bare soundfile + soxr: CPU {1000 * ours:.1f} ms a clip, "
            f"ratio {np.median(ratios):.3f} (at most 1.05)"
        )


def compare_overlap(items: list[WorkItem], encoder: AudioEncoder, folder: Path, repeat: int) -> None:
    """Compare a device that works in parallel with the CPU: the floor is the larger of the two."""
    runners = [Runner("cpu", {encoder.spec.name: encoder}, None)]
    windows = cut(items, encoder)
    encoding, decoding, whole = best(
        repeat,
        lambda: encode(runners, windows),
        lambda: decode_ours(items, encoder.spec.rate_hz),
        lambda: end_to_end(items, runners, folder),
    )
    report("accelerator: end to end over max(decode, encode)", whole, decoding | encoding, "at most 1.10")


def compare_encoder(
    items: list[WorkItem],
    name: str,
    built: dict[str, AudioEncoder],
    devices: list[str],
    folder: Path,
    repeat: int,
) -> float:
    """Compare one encoder with its floor and with a plain loop; return its seconds a clip."""
    runners = [Runner(device, {name: built[device]}, None) for device in devices]
    encoder = built[devices[0]]
    windows = cut(items, encoder)
    encoding, decoding, whole = best(
        repeat,
        lambda: encode(runners, windows),
        lambda: decode_ours(items, encoder.spec.rate_hz),
        lambda: end_to_end(items, runners, folder),
    )
    if devices[0] == "cpu":
        report(
            f"{name}: end to end over decode + encode, which share the cores",
            whole,
            decoding + encoding,
            "at most 1.10",
        )
    else:
        report(f"{name}: end to end over max(decode, encode)", whole, decoding | encoding, "at most 1.10")
    some = items[: max(4, len(items) // 4)]
    (loop,) = best(1, lambda: plain_loop(some, encoder, devices[0]))
    gained, saved = loop.wall_s / whole.wall_s, loop.cpu_s / whole.cpu_s
    share = len(items) / len(some)
    say(f"{name}: a plain loop, one file at a time, over this: ratio {gained * share:.2f}; CPU {saved * share:.2f}")
    return encoding.wall_s / len(items)


def decode_bare(item: WorkItem, rate_hz: int) -> None:
    stereo, native_hz = soundfile.read(item.excerpt.path, dtype="float32")
    mono = (stereo[:, 0] + stereo[:, 1]) * np.float32(0.5)
    if rate_hz != native_hz:
        soxr.resample(mono, native_hz, rate_hz, "HQ")


def decode_ours(items: list[WorkItem], rate_hz: int) -> None:
    local = threading.local()

    def one(item: WorkItem) -> None:
        if not hasattr(local, "decoder"):
            local.decoder = Decoder({rate_hz})
        for block in local.decoder.blocks(item.excerpt):
            assert not isinstance(block, Fault)

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(one, items))


def cut(items: list[WorkItem], encoder: AudioEncoder) -> list[Samples]:
    """Return the windows of all clips."""
    spec = encoder.spec
    windows: list[Samples] = []
    for item in items:
        cutter = WindowCutter(round(spec.window_s * spec.rate_hz), round(spec.hop_s * spec.rate_hz))
        for block in Decoder({spec.rate_hz}).blocks(item.excerpt):
            assert not isinstance(block, Fault)
            windows += cutter.push(block[spec.rate_hz])
        windows += cutter.rest()
    return windows


def encode(runners: list[Runner], windows: list[Samples]) -> None:
    """Embed windows on all devices."""
    (name,) = runners[0].batch_sizes
    size = runners[0].batch_sizes[name]
    lots = [windows[begin : begin + size] for begin in range(0, len(windows), size)]

    def run(number: int) -> None:
        for lot in lots[number :: len(runners)]:
            runners[number].start(name, lot).rows()

    with ThreadPoolExecutor(len(runners)) as pool:
        list(pool.map(run, range(len(runners))))


def end_to_end(items: list[WorkItem], runners: list[Runner], folder: Path) -> None:
    """Do the part of `prepare` between planning and assembling: decode, embed, pool, write shards."""
    (name,) = runners[0].batch_sizes
    with tempfile.TemporaryDirectory(dir=folder) as output:
        shards = {name: EncoderShards(Path(output) / name)}
        embed(
            [replace(item, encoders=(name,)) for item in items],
            LocalExecutor(Job(), runners),
            shards,
            Failures(Path(output) / "failures"),
            Contents(Path(output) / "contents"),
        )


def plain_loop(items: list[WorkItem], encoder: AudioEncoder, device: str) -> None:
    """Load a file as `librosa.load` does (read, mean of the channels, soxr), embed it, and go on to the next."""
    threads = torch.get_num_threads()
    torch.set_num_threads(available_cores())
    spec = encoder.spec
    length = round(spec.window_s * spec.rate_hz)
    for item in items:
        stereo, rate_hz = soundfile.read(item.excerpt.path, dtype="float32")
        mono = soxr.resample(stereo.mean(axis=1), rate_hz, spec.rate_hz, "HQ")
        windows = np.stack([mono[begin : begin + length] for begin in range(0, len(mono) - length + 1, length)])
        encoder.embed(torch.from_numpy(windows).to(device)).mean(0).cpu()
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Cost:
    """The cost of a task."""

    wall_s: float
    cpu_s: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def __or__(self, other: "Cost") -> "Cost":
        """Both in parallel without affecting each other: the longer time, the sum of the work."""
        return Cost(max(self.wall_s, other.wall_s), self.cpu_s + other.cpu_s)


def compare_executors(items: list[WorkItem], names: list[str], folder: Path) -> None:
    """Compare the executor ray, an instance on this machine, with local: end to end, with all that starts and stops."""
    local, ray = (apart(embedded_by, executor, items, names, folder) for executor in ("local", "ray"))
    report(f"{len(items)} clips, {', '.join(names)}: ray over local, end to end", ray, local, "with start and stop")


def embedded_by(executor: str, items: list[WorkItem], names: list[str], folder: Path) -> Cost:
    """Return what an executor costs, in this and all processes that it starts."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # those that their parent leaves become children of this one
    used, done = {os.getpid(): 0.0}, threading.Event()
    watching = threading.Thread(target=watch, args=(used, done))
    began = time.perf_counter()
    watching.start()
    with tempfile.TemporaryDirectory(dir=folder) as output:
        embed(
            [replace(item, encoders=tuple(names)) for item in items],
            executors.build(executor, Job(encoders=dict.fromkeys(names, ""))),
            {name: EncoderShards(Path(output) / name) for name in names},
            Failures(Path(output) / "failures"),
            Contents(Path(output) / "contents"),
        )
    wall_s = time.perf_counter() - began
    done.set()
    watching.join()
    return Cost(wall_s, sum(used.values()))


def watch(used: dict[int, float], done: threading.Event) -> None:
    """Note the CPU seconds of processes and of all that descend from them, until they end: Ray does not wait for its own."""
    while not done.wait(0.2):
        for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                number, parent, ticks = int(path.parent.name), int(fields[1]), int(fields[11]) + int(fields[12])
                if number in used or parent in used:
                    used[number] = ticks / os.sysconf("SC_CLK_TCK")


def calculate_for(seconds: dict[str, float], machines: int, price: float) -> None:
    """Print hours, disk and cost for large collections, from the seconds a clip of each encoder."""
    for count in (1_000_000, 100_000_000):
        for name, its_seconds in seconds.items():
            known = [name] if name in encoders.names() else [each for each in seconds if each in encoders.names()]
            found = estimate(count, count * CLIP_S / 3600, known, captions_per_track=0, measured=CLIP_S / its_seconds)
            assert found.machine_hours is not None
            hours, disk = found.machine_hours / machines, found.disk_bytes / 1e9
            cost = f", cost {found.machine_hours * price:,.0f}" if price else ""
            say(f"{count:,} clips, {name}: {hours:,.1f} hours on {machines} machines like this, {disk:,.1f} GB{cost}")


def calculate(decode_s: float, encode_s: dict[str, float], *, on_cpu: bool) -> dict[str, float]:
    """Print the time that this machine needs for collections of 30 s clips; return the seconds a clip of each encoder."""
    say(f"\nOn this machine, for clips of {CLIP_S:g} s:")
    each = [*encode_s.values(), decode_s]
    total_s = {name: seconds + decode_s if on_cpu else max(seconds, decode_s) for name, seconds in encode_s.items()}
    total_s["all of them together"] = sum(each) if on_cpu else max(sum(encode_s.values()), decode_s)
    for name, seconds in total_s.items():
        times = ", ".join(f"{count:,} clips {time_in_words(seconds * count)}" for count in (10_000, 100_000, 1_000_000))
        say(f"  {name}: {1 / seconds:,.1f} clips/s; {times}")
    return total_s


def compare_checksums(count: int, repeat: int) -> None:
    """Compare reading a split, from the system's memory, with and without comparing its checksums."""
    record = EncoderRecord(
        name="e", weights="", revision="", license="", rate_hz=1, window_s=1, hop_s=1, pooling="mean", dim=1024
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embeddings.h5"
        with create_embeddings(path, {}, 0) as writer:
            for split in SPLITS:
                captions = (Caption("A calm piano piece with soft strings", "human"), Caption("calm piano", "tags"))
                tracks = [
                    Track(
                        id=f"{split}_{i}",
                        audio_path=f"/music/{i:06}.mp3",
                        captions=captions,
                        duration=30.0,
                        dataset="music",
                        artist=f"Artist {i % 100}",
                        title=f"Title {i}",
                        license="CC-BY-4.0",
                        recording=f"recording {i}",
                        tags=["calm", "piano"],
                    )
                    for i in range(count if split == "train" else 0)
                ]
                rows = np.random.default_rng(0).standard_normal((len(tracks), record.dim)).astype(np.float16)
                writer.add_split(split, tracks)
                writer.add_embeddings(split, record, iter([rows]))

        def read(*, compare: bool) -> None:
            with open_embeddings(path) as file:
                if not compare:
                    file.checksums = {}
                file.read("train")

        plain, compared = best(repeat, lambda: read(compare=False), lambda: read(compare=True))
        report(
            f"reading {count:,} tracks of {record.dim} numbers, with checksums over without",
            compared,
            plain,
            "at most 1.05",
        )


def compare_memory(few: int, many: int) -> None:
    """Print the peak memory of the stage with few and with many tracks."""
    peaks = {}
    for count in (few, many):
        peaks[count] = apart(_peak_of, count)
        say(f"{count:,} tracks: peak memory {peaks[count]:,.0f} MiB")
    say(f"{many:,} tracks over {few:,}: ratio {peaks[many] / peaks[few]:.2f}")


def _peak_of(count: int) -> float:
    """Run the whole stage on excerpts of 2 s without the encoder's arithmetic; return the peak memory in MiB."""
    with (
        tempfile.TemporaryDirectory() as name,
        patch.object(dsp.Dsp, "embed", lambda _, windows: windows[:, : dsp.SPEC.dim]),
    ):
        folder = Path(name)
        samples = 0.1 * np.random.default_rng(0).standard_normal(8_000 * 60).astype(np.float32)
        soundfile.write(folder / "a.wav", samples, 8_000)
        records = [
            {"id": f"t{i}", "audio_path": str(folder / "a.wav"), "caption": "noise", "duration": 2, "start": i / 200}
            for i in range(count)
        ]
        (folder / "unified.json").write_text(json.dumps(records))
        prepare(folder / "unified.json", output_dir=folder / "out", encoders=("dsp",))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def best(repeat: int, *tasks: Callable[[], None]) -> list[Cost]:
    """Run the tasks alternately; return the shortest time and the fewest CPU seconds of each."""
    costs: list[list[Cost]] = [[] for _ in tasks]
    for _ in range(repeat):
        for task, its_costs in zip(tasks, costs, strict=True):
            began, cpu_began = time.perf_counter(), time.process_time()
            task()
            its_costs.append(Cost(time.perf_counter() - began, time.process_time() - cpu_began))
    return [Cost(min(cost.wall_s for cost in its), min(cost.cpu_s for cost in its)) for its in costs]


def report(what: str, cost: Cost, floor: Cost, aim: str) -> None:
    say(
        f"{what}: {cost.wall_s:.2f} s / {floor.wall_s:.2f} s: ratio {cost.wall_s / floor.wall_s:.2f} ({aim}); "
        f"CPU {cost.cpu_s:.2f} s / {floor.cpu_s:.2f} s: ratio {cost.cpu_s / floor.cpu_s:.2f}"
    )


def say(line: str) -> None:
    console.out.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
