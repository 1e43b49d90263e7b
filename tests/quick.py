"""Encoders that take no time, for tests of what happens around encoders.

    python -m tests.quick FILE WORDS...

runs a program in which musicnn and its taggers compute hardly anything.
"""

import runpy
import sys

import pytest
import torch

from unisono.embeddings.encoders.audio.musicnn import Musicnn
from unisono.embeddings.encoders.audio.tags import Tags


def embed(encoder: Musicnn | Tags, windows: torch.Tensor) -> torch.Tensor:
    """Return as many samples of windows [B, 48000] as the encoder has features."""
    dim = encoder.spec.dim
    return windows[:, :: windows.shape[1] // dim][:, :dim].contiguous()


def use(patch: pytest.MonkeyPatch) -> None:
    """Let musicnn and its taggers, in this process, compute hardly anything."""
    for encoder in (Musicnn, Tags):
        patch.setattr(encoder, "embed", embed)
    patch.setattr(Tags, "embed_after", lambda self, _, windows: embed(self, windows))


@pytest.fixture
def quick_musicnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let musicnn, in this process, compute hardly anything."""
    use(monkeypatch)


if __name__ == "__main__":
    use(pytest.MonkeyPatch())
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
