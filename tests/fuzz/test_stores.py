"""Damaged stores: the same result, or an error that names the file; never another result."""

import random
from pathlib import Path

import numpy as np
import pytest

from tests.embeddings.test_damage import everything, write
from tests.fuzz.rounds import damaged, run
from unisono.base.errors import DataError, UnisonoError
from unisono.embeddings.prepare.sink import EncoderShards

ROUNDS = 120


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Return a file with a few other bytes, or one that is cut."""
    if not chance.randrange(4):
        return content[: chance.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 3))):
        changed[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    return bytes(changed)


def test_embeddings(tmp_path: Path) -> None:
    path = write(tmp_path / "embeddings.h5")
    expected, content, refused = everything(path), path.read_bytes(), []

    def trial(chance: random.Random) -> None:
        path.write_bytes(flipped(content, chance))
        try:
            assert everything(path) == expected
        except UnisonoError as error:
            assert str(path) in error.message and error.hint
            refused.append(error)

    run(trial, ROUNDS)
    assert refused


@pytest.mark.parametrize("how", [flipped, damaged])
def test_shards(tmp_path: Path, how) -> None:
    rows = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float16)
    keys = [bytes([number]) * 16 for number in range(20)]
    shards = EncoderShards(tmp_path)
    for key, row in zip(keys, rows, strict=True):
        shards.put(key, row, None)
    shards.flush()
    (path,) = tmp_path.glob("*.safetensors")
    content = path.read_bytes()

    def trial(chance: random.Random) -> None:
        path.write_bytes(how(content, chance))
        try:
            index = EncoderShards(tmp_path).index()
            found = np.stack([index[key][0].embedding(index[key][1]) for key in keys])
        except DataError as error:
            assert path.name in error.message
            return
        np.testing.assert_array_equal(found, rows)

    run(trial, ROUNDS)
