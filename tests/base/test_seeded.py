import subprocess
import sys

from unisono.base import seeded


def test_keys_are_the_same_on_every_machine() -> None:
    # Fixed forever: samples and splits of published experiments depend on them.
    assert seeded.rank_key(42, "fma_2") == 0xBAF266099A100E92
    assert seeded.rank_key(42, "fma_2") != seeded.rank_key(43, "fma_2")


def test_names_are_told_apart_by_their_boundaries() -> None:
    assert seeded.rank_key(1, "ab", "c") != seeded.rank_key(1, "a", "bc")


def test_a_fresh_process_draws_the_same() -> None:
    code = "from unisono.base import seeded; print(seeded.rng(7, 'x').random())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(other) == seeded.rng(7, "x").random()
