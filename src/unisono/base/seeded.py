"""Choices that depend on a seed and on names only: never on order, worker count, process or machine."""

import hashlib
import random


def rank_key(seed: int, *names: object) -> int:
    """Give a number in [0, 2**64) that is fixed by the seed and the names: the key that samples and splits rank by.

    Taking the items of smallest key gives nested samples: a larger sample holds every smaller one.
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def rng(seed: int, *names: object) -> random.Random:
    """Give a random generator of its own for these names, so that choices for one track never shift another's."""
    return random.Random(rank_key(seed, *names))
