"""Exact matching of 1,000,000 against 1,000,000 records, over a bare hash join of the same columns.

    python -m benchmarks.matching [--records 1000000]

The bare join puts the second list's columns (recording, id, audio path, file hash) into dictionaries and looks up the
first's: no track objects, no choice of kinds, no evidence. Both run in one process, alternating; the best of three counts.
"""

import argparse
import gc
import random

from benchmarks.timing import seconds
from unisono.curation.matching import Match, Matching
from unisono.tracks.track import Caption, Track


def tracks(side: str, count: int, seed: int) -> list[Track]:
    source = random.Random(seed)
    return [
        Track(
            id=f"{side}_{number}",
            audio_path=f"/data/{side}/{number}.mp3",
            captions=(Caption("a"),),
            duration=1.0,
            recording=f"jamendo:{source.randrange(20 * count)}",
            sha256=f"{source.getrandbits(256):064x}",
        )
        for number in range(count)
    ]


Columns = list[list[str]]


def columns(side: list[Track]) -> Columns:
    return [[getattr(track, name) for track in side] for name in ("recording", "id", "audio_path", "sha256")]


def bare_join(first: Columns, second: Columns) -> int:
    found = 0
    for mine, theirs in zip(first, second, strict=True):
        places = {key: at for at, key in enumerate(theirs)}
        found += sum(1 for key in mine if key in places)
    return found


def find_matches(first: list[Track], second: list[Track]) -> list[Match]:
    matching = Matching(second, ["ids", "sha256"])
    matching.look(first)
    return matching.found(lambda: first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    count = parser.parse_args().records
    gc.disable()
    first, second = tracks("a", count, 1), tracks("b", count, 2)
    matches = find_matches(first, second)
    first_columns, second_columns = columns(first), columns(second)
    times, floors = [], []
    for _ in range(3):
        floors.append(seconds(lambda: bare_join(first_columns, second_columns)))
        times.append(seconds(lambda: find_matches(first, second)))
    print(
        f"{count:,} against {count:,} records, {len(matches):,} matches: {min(times):.2f} s, "
        f"bare hash join {min(floors):.2f} s, ratio {min(times) / min(floors):.2f}"
    )


if __name__ == "__main__":
    main()
