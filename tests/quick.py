"""An encoder that takes no time, for tests of what happens around encoders."""

import pytest
import torch

from unisono.embeddings.encoders.audio.musicnn import SPEC, Musicnn


def embed(_: Musicnn, windows: torch.Tensor) -> torch.Tensor:
    """Return as many samples of windows [B, 48000] as musicnn has features [B, 1706]."""
    return windows[:, :: windows.shape[1] // SPEC.dim][:, : SPEC.dim].contiguous()


@pytest.fixture
def quick_musicnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let musicnn, in this process, compute hardly anything."""
    monkeypatch.setattr(Musicnn, "embed", embed)
