"""Search for near-duplicates: how its time grows, and what it finds.

    python benchmarks/near_duplicates.py [--tracks 100000] [--pieces 200]

- Time: fingerprints of 12 s with the statistics of real ones (a bit follows its predecessor nine times in ten), half
  the tracks against the other half, one in a hundred a planted copy with 8 % of its bits flipped and up to 5 s cut off.
  The number of tracks doubles: a search that compares all pairs would take four times as long each time.
- Recall and precision against all pairs, through real encoders: synthetic pieces of music and copies of them at four MP3
  qualities, trimmed by up to 5 s, 6 dB louder or softer, resampled, in 16 and 24 bit, alone and together.
"""

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import soxr

from unisono.audio import Decoder, Excerpt, Fault
from unisono.fingerprint import FRAMES_A_SECOND, RATE_HZ, Fingerprint, fingerprint, same_audio

FRAMES = round(12 * FRAMES_A_SECOND)
SOURCE_HZ = 22_050
MP3_LEVELS = (0.0, 0.3, 0.6, 0.85)


def simulated(count: int, seed: int) -> tuple[list[Fingerprint], list[Fingerprint], set[tuple[int, int]]]:
    source = np.random.default_rng(seed)
    changes = source.random((count, FRAMES, 32), dtype=np.float32) < 0.1
    changes[:, 0] = source.random((count, 32)) < 0.5
    prints = _packed(np.logical_xor.accumulate(changes, axis=1))
    first, second = prints[: count // 2], prints[count // 2 :]
    planted = set()
    for at in range(0, len(first), 100):
        flips = _packed(source.random((1, FRAMES, 32)) < 0.08)[0]
        second[at] = (first[at] ^ flips)[source.integers(0, round(5 * FRAMES_A_SECOND)) :]
        planted.add((at, at))
    return first, second, planted


def _packed(bits: np.ndarray) -> list[Fingerprint]:
    return list(np.packbits(bits, axis=2).view(">u4")[:, :, 0].astype(np.uint32))


def time_search(count: int) -> float:
    first, second, planted = [], [], set()
    for part in range(0, count, 10_000):
        one, two, pairs = simulated(min(10_000, count - part), part)
        planted |= {(len(first) + a, len(second) + b) for a, b in pairs}
        first += one
        second += two
    begin = time.perf_counter()
    found = {(same.first, same.second) for same in same_audio(first, second)}
    spent = time.perf_counter() - begin
    print(
        f"{count:,} tracks: {spent:.2f} s; of {len(planted):,} planted copies {len(found & planted):,} found, "
        f"{len(found - planted):,} wrong"
    )
    return spent


def piece(seed: int, seconds: float = 15) -> np.ndarray:
    source = np.random.default_rng(seed)
    sound = np.zeros(round(SOURCE_HZ * seconds))
    base, step_s = source.integers(45, 60), source.uniform(0.15, 0.4)
    for at_s in np.arange(0, seconds, step_s):
        for _ in range(source.integers(1, 4)):
            pitch = base + 12 * source.integers(0, 3) + source.choice([0, 2, 4, 5, 7, 9, 11])
            begin = round(at_s * SOURCE_HZ)
            time_s = np.arange(min(round(step_s * source.integers(1, 5) * SOURCE_HZ), len(sound) - begin)) / SOURCE_HZ
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            tone = sum(np.sin(2 * np.pi * hertz * n * time_s) / n for n in (1, 2, 3, 5))
            sound[begin : begin + len(time_s)] += tone * np.exp(-3 * time_s) * source.uniform(0.3, 1)
    return 0.25 * sound / np.abs(sound).max()


def write_copy(path: Path, sound: np.ndarray, source: np.random.Generator) -> None:
    """Do to a piece what happens to music on its way from one dataset to another."""
    rate_hz = SOURCE_HZ
    if source.random() < 0.6:
        sound = sound[round(source.uniform(0, 5) * SOURCE_HZ) :]
    if source.random() < 0.6:
        sound = sound * 10 ** (source.choice([-6, 6]) / 20)
    if source.random() < 0.6:
        rate_hz = int(source.choice([16_000, 32_000, 44_100]))
        sound = soxr.resample(sound, SOURCE_HZ, rate_hz)
    if source.random() < 0.7:
        level = float(source.choice(MP3_LEVELS))
        soundfile.write(path, sound, rate_hz, format="MP3", bitrate_mode="CONSTANT", compression_level=level)
    else:
        soundfile.write(path, sound, rate_hz, format="WAV", subtype=str(source.choice(["PCM_16", "PCM_24"])))


def measure_recall(pieces: int) -> None:
    decoder, source = Decoder({RATE_HZ}), np.random.default_rng(0)
    originals, copies = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        for number in range(pieces):
            sound = piece(number)
            soundfile.write(path, sound, SOURCE_HZ, format="WAV", subtype="PCM_24")
            originals.append(_taken(decoder, path))
            if number % 2 == 0:  # the others have no copy
                write_copy(path, sound, source)
                copies.append(_taken(decoder, path))
    planted = {(2 * number, number) for number in range(len(copies))}
    found = {(same.first, same.second) for same in same_audio(originals, copies)}
    pairs = len(originals) * len(copies)
    print(
        f"{pieces} pieces, {len(copies)} copies, {pairs:,} pairs: recall {len(found & planted) / len(planted):.3f}, "
        f"precision {len(found & planted) / max(len(found), 1):.3f}"
    )


def _taken(decoder: Decoder, path: Path) -> Fingerprint:
    taken = fingerprint(decoder, Excerpt(str(path), 0, 60))
    if isinstance(taken, Fault):
        raise SystemExit(f"{path}: {taken}")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--pieces", type=int, default=200)
    arguments = parser.parse_args()
    measure_recall(arguments.pieces)
    spent = [time_search(arguments.tracks // share) for share in (8, 4, 2, 1)]
    print("each doubling takes " + ", ".join(f"{b / a:.1f}" for a, b in pairwise(spent)) + " times as long")


if __name__ == "__main__":
    main()
