"""Measure the search for near-duplicates: how its time grows, and what it finds.

    python -m benchmarks.near_duplicates [--tracks 100000] [--pieces 500] [--music data/demo/unified_dataset.json]

- Recall and precision, compared with all pairs at all offsets, through real encoders: pieces of music and copies of them at
  64 to 320 kbit/s, trimmed by up to 5 s, 6 dB louder or softer, resampled, in 16 and 24 bit, separately and combined. The
  truth is what was planted.
- Time: half the tracks against the other half. One in a hundred is a planted copy, trimmed by up to 5 s and with as many
  bits changed as the worst encoders change. A track of 12 s is a mixture of two of the pieces from random positions, at
  random pitches and speeds: fingerprints are as regular, and as different from each other, as those of the pieces. The
  number of tracks doubles: a search that compares all pairs would take four times as long each time. For some of the
  tracks all pairs are compared.

The pieces are synthetic or, with `--music`, excerpts of a unified file.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from tests.planted import SOURCE_HZ, alike_by_all_pairs, music, write_copy
from unisono.audio.decode import Decoder, Excerpt
from unisono.audio.fingerprint import (
    BANDS,
    FRAMES_A_SECOND,
    RATE_HZ,
    Fingerprint,
    band_energies,
    of_energies,
    same_audio,
)
from unisono.audio.listening import hear

FRAMES = round(12 * FRAMES_A_SECOND)
COPIED = 100
"""One track in this number is a copy."""
NOISE = 0.08
"""Standard deviation of the noise on the logarithm of a copy's energies."""


def pieces(count: int, path: Path | None) -> Iterator[tuple[np.ndarray, int]]:
    """Yield mono samples and their rate."""
    if not path:
        yield from ((music(seed, 15), SOURCE_HZ) for seed in range(count))
        return
    records = json.loads(path.read_text())
    for record in records[:: max(1, len(records) // count)][:count]:
        with soundfile.SoundFile(record["audio_path"]) as file:
            file.seek(round(record.get("start", 0) * file.samplerate))
            sound = file.read(round(record["duration"] * file.samplerate), always_2d=True)
            yield sound.mean(axis=1), file.samplerate


def measure_recall(sounds: list[tuple[np.ndarray, int]]) -> None:
    """Encode copies of every other piece, and search."""
    decoder = Decoder({RATE_HZ})
    originals, copies = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        for number, (sound, rate_hz) in enumerate(sounds):
            soundfile.write(path, sound, rate_hz, format="WAV", subtype="PCM_24")
            originals.append(_taken(decoder, path))
            if number % 2 == 0:  # the others have no copy
                for kind in (number, number + 3):
                    write_copy(path, sound, kind, rate_hz)
                    copies.append(_taken(decoder, path))
    planted = {(2 * (number // 2), number) for number in range(len(copies))}
    found = {(same.first, same.second) for same in same_audio(originals, copies)}
    alike = alike_by_all_pairs(originals, copies)
    print(
        f"{len(originals)} pieces, {len(copies)} copies, {len(originals) * len(copies):,} pairs: "
        f"recall {len(found & planted) / len(planted):.4f}, precision {len(found & planted) / max(len(found), 1):.4f}; "
        f"comparing all pairs finds {len(alike & planted)} of {len(planted)} copies and {len(alike - planted)} others"
    )


def _taken(decoder: Decoder, path: Path) -> Fingerprint:
    heard = hear(decoder, Excerpt(str(path), 0, 60))
    if heard.fault:
        raise SystemExit(f"{path}: {heard.fault}")
    return heard.fingerprint


Recipe = set[tuple[int, int]]
"""The pieces in a mixture, and by how many bands they are shifted."""


class Mixtures(NamedTuple):
    """Tracks to search, and which of them are copies."""

    first: list[Fingerprint]
    second: list[Fingerprint]
    recipes: tuple[list[Recipe], list[Recipe]]
    planted: set[tuple[int, int]]

    def part(self, count: int) -> "Mixtures":
        """Return the first tracks of both lists."""
        planted = {pair for pair in self.planted if pair[0] < count}
        return Mixtures(self.first[:count], self.second[:count], self.recipes, planted)

    def unrelated(self, pairs: set[tuple[int, int]]) -> int:
        """Count the pairs that are no copies and share no piece at the same pitch, which may sound the same by chance."""
        first, second = self.recipes
        return sum(not first[one] & second[other] for one, other in pairs - self.planted)


def time_search(mixtures: Mixtures) -> float:
    """Search, print what was found, and return the seconds of processor time."""
    first, second, planted = mixtures.first, mixtures.second, mixtures.planted
    begin, wall = time.process_time(), time.perf_counter()
    found = {(same.first, same.second) for same in same_audio(first, second)}
    spent, wall = time.process_time() - begin, time.perf_counter() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(first) + len(second):,} tracks: {spent:.2f} s of processor time, {wall:.2f} s; "
        f"of {len(planted):,} planted copies {len(found & planted):,} found, {len(found - planted):,} others, "
        f"{mixtures.unrelated(found)} of them unrelated; at most {memory:.2f} GiB of memory in use",
        flush=True,
    )
    return spent


def mix(energies: list[np.ndarray], count: int) -> Mixtures:
    """Make tracks, half of them to be searched for in the other half."""
    source = np.random.default_rng(0)
    longest = 2 * FRAMES
    looped = [np.concatenate([one] * (2 + longest // len(one))) for one in energies]

    def part(recipe: Recipe) -> np.ndarray:
        piece, shift = int(source.integers(len(looped))), int(source.integers(BANDS))
        recipe.add((piece, shift))
        one = looped[piece]
        places = source.integers(len(one) - longest) + np.arange(FRAMES) * source.uniform(0.6, 1.6)
        before = places.astype(int)
        share = (places - before)[:, None].astype(np.float32)
        return np.roll(one[before] * (1 - share) + one[before + 1] * share, shift, axis=1)

    def track(recipe: Recipe) -> np.ndarray:
        return part(recipe) + part(recipe) * source.uniform(0.2, 1)

    half = count // 2
    mixtures = Mixtures([], [], ([set() for _ in range(half)], [set() for _ in range(half)]), set())
    for at in range(half):
        one = track(mixtures.recipes[0][at])
        mixtures.first.append(of_energies(one))
        if at % COPIED == 0:
            trimmed = one[source.integers(round(5 * FRAMES_A_SECOND)) :]
            mixtures.second.append(of_energies(trimmed * np.exp(source.normal(0, NOISE, trimmed.shape))))
            mixtures.planted.add((at, at))
        else:
            mixtures.second.append(of_energies(track(mixtures.recipes[1][at])))
    return mixtures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--pieces", type=int, default=500, help="few make mixtures that are the same by chance")
    parser.add_argument("--encoded", type=int, default=100, help="pieces that copies are made of by encoders")
    parser.add_argument("--checked", type=int, default=300, help="tracks a side of which all pairs are compared")
    parser.add_argument("--music", type=Path)
    arguments = parser.parse_args()
    sounds = list(pieces(arguments.pieces, arguments.music))
    measure_recall(sounds[:: max(1, len(sounds) // arguments.encoded)][: arguments.encoded])
    energies = [band_energies(soxr.resample(sound, rate_hz, RATE_HZ).astype(np.float32)) for sound, rate_hz in sounds]
    mixtures = mix(energies, arguments.tracks)
    spent = [time_search(mixtures.part(arguments.tracks // share // 2)) for share in (8, 4, 2, 1)]
    some = mixtures.part(arguments.checked)
    alike = alike_by_all_pairs(some.first, some.second)
    print(
        f"of {len(some.first)}^2 pairs comparing all pairs finds {len(alike & some.planted)} of {len(some.planted)} and "
        f"{some.unrelated(alike)} unrelated"
    )
    different = [_differing(mixtures, at) for at, _ in sorted(mixtures.planted)]
    print(
        f"a copy differs in {np.median(different):.1%} of its bits (median), at most {max(different):.1%}; "
        "each doubling takes longer by the ratio " + ", ".join(f"{b / max(a, 1e-9):.1f}" for a, b in pairwise(spent))
    )


def _differing(mixtures: Mixtures, at: int) -> float:
    found = list(same_audio([mixtures.first[at]], [mixtures.second[at]]))
    return found[0].different if found else 1.0


if __name__ == "__main__":
    main()
