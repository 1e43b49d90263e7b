"""MiniLM in numpy equals transformers' own, whatever the text and its neighbours."""

import numpy as np
import pytest

from unisono.embeddings.encoders import text
from unisono.embeddings.encoders.text import minilm

if minilm.packaged() is None:
    pytest.skip("the MiniLM weights are not here", allow_module_level=True)

TEXTS = [
    "slow solemn choir",
    "",
    "?!",
    "x " * 3000,
    "гитара, バイオリン",
    "Fast SOLO fiddle dance with drums.",
    "a",
    "\n",
]


def test_the_vectors_equal_those_of_transformers() -> None:
    ours, theirs = minilm.build_numpy(), text.build("minilm")
    found = ours.embed(TEXTS)
    np.testing.assert_allclose(found, theirs.embed(TEXTS), atol=1e-5)
    assert found.dtype == np.float32 and ours.spec == theirs.spec
    for row, caption in zip(found, TEXTS, strict=True):
        np.testing.assert_allclose(ours.embed([caption])[0], row, atol=1e-6)
    many = [f"{word} music {number}" for number in range(20) for word in ("piano", "harp")]
    np.testing.assert_allclose(ours.embed(many), np.concatenate([ours.embed([each]) for each in many]), atol=1e-6)
    assert ours.embed([]).shape == (0, 384)
