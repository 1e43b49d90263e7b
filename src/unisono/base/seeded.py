"""Random choices that depend on a seed and on names alone: never on order, worker count, process or machine."""

import hashlib
import random


def rank_key(seed: int, *names: object) -> int:
    """Return a number in [0, 2**64) that the seed and the names determine: the key that samples and splits rank by.

    Taking the items of smallest key makes samples nested: a larger sample holds every smaller one.
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def rng(seed: int, *names: object) -> random.Random:
    """Return a random generator for these names alone, so that choices for one track never shift another's."""
    return random.Random(rank_key(seed, *names))
