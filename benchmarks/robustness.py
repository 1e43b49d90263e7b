"""Measure the robustness report: the CPU time of all edits of captions, against embedding the same texts and nothing else.

    python -m benchmarks.robustness                      # 10,000 captions, a few minutes on two cores
    python -m benchmarks.robustness --captions 1000

The captions are made from the vocabulary, as those of a dataset of tags; music is random. Nothing is cached: the text
encoder (MiniLM) embeds every edited caption once in both runs. They are compared by CPU seconds, which other work on the
machine affects less than the clock.

floor      the text encoder on all distinct edited captions
unisono    unisono.retrieval.evaluate.robustness.measure_robustness, with the edits, ranks and 95 % intervals
"""

import argparse
import time

import numpy as np

from benchmarks.apart import apart

METHODS = ("floor", "unisono")
DIM = 384


def measure(method: str, captions: int) -> tuple[float, int]:
    """Run one method; return its CPU seconds and how many texts were embedded."""
    from unisono.captions.wording import INSTRUMENTS
    from unisono.embeddings.encoders import text as text_encoders
    from unisono.retrieval.evaluate.robustness import Evaluated, measure_robustness
    from unisono.retrieval.pairing import pair

    rng = np.random.default_rng(0)
    moods, tempos = ("happy", "calm", "dark", "energetic", "romantic"), ("slow", "fast", "laid-back")
    texts = [
        f"A {rng.choice(tempos)} {rng.choice(moods)} piece in C major with {rng.choice(INSTRUMENTS)} and drums, number {n}, "
        f"sung by a {rng.choice(['male', 'female'])} singer at {rng.integers(60, 180)} bpm"
        for n in range(captions)
    ]
    encoder = text_encoders.build("minilm")
    asked: list[str] = []
    pairing = pair(texts, np.arange(captions), [f"r{n}" for n in range(captions)])
    plain = rng.standard_normal((captions, DIM), dtype=np.float32)

    def collect(edited: list[str]) -> np.ndarray:
        asked.extend(edited)
        return rng.standard_normal((len(edited), DIM), dtype=np.float32) if method == "floor" else encoder.embed(edited)

    class Model:
        label = ""
        text_encoder = encoder

    class Rows:
        ids: tuple[str, ...] = ()

    of = Evaluated(Model(), Rows(), pairing, None, plain, plain, collect, 0)  # type: ignore[arg-type]
    start = time.process_time()
    measure_robustness(of)
    if method == "floor":
        start = time.process_time()
        encoder.embed(asked)
    return time.process_time() - start, len(asked)


def main() -> None:
    """Run both methods, each in a process of its own, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=10_000)
    options = parser.parse_args()
    found = {}
    for method in METHODS:
        found[method], texts = apart(measure, method, options.captions)
        print(f"{method:8} {found[method]:8.1f} CPU s, {texts:,} texts")
    print(f"ratio to the floor {found['unisono'] / found['floor']:.3f}")


if __name__ == "__main__":
    main()
