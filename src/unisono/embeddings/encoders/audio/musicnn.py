"""musicnn: a music tagger trained on the Million Song Dataset (Pons and Serra, 2019, arXiv 1909.06654).

A small convolutional network (0.8 million parameters) over 3 s of log-mel spectrogram at 16 kHz. Its first layer has
filters for timbre (short, tall) and for rhythm (long, one band high). The features of this layer and of three further ones
are pooled by maximum and mean over time; a hidden layer leads from them to 50 tags. The embedding is the pooled vector
(1506) and the hidden layer (200), each standardised with the means and variances that the network's batch normalisation
learned from its training music.

Weights: ISC licence, inside the package `musicnn` on PyPI (29 MB). This package requires TensorFlow and an old numpy; only
its data files are read here, so it is installed without its dependencies.

The network was trained on power spectrograms rounded to float16 and then `log10(10000 m + 1)`; here all of it is
float32, because float16 overflows on loud bass.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.audio._taggers import (
    HIDDEN_DIM,
    MSD,
    POOLED_DIM,
    find_weights,
    read_variables,
)

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["FILES", "SPEC", "Musicnn", "build", "find_weights"]

FILES = MSD.files

SPEC = EncoderSpec(
    name="musicnn",
    title="musicnn, a tagger trained on the Million Song Dataset",
    rate_hz=16_000,
    window_s=3.0,
    hop_s=3.0,
    dim=POOLED_DIM + HIDDEN_DIM,
    weights_license="ISC",
    source="PyPI musicnn 0.1.0, MSD_musicnn",
    revision=MSD.revision,
)


def build(device: str = "cpu", weights: Path | None = None) -> "Musicnn":
    """Build the encoder from the installed package, or from a folder with its two files.

    Raises:
        WeightsAbsentError: the package is not installed, or the folder lacks a file.
        DataError: a file is cut short or altered.
    """
    return Musicnn(read_variables(MSD, SPEC.name, weights), device)


class Musicnn:
    """The network, from its TensorFlow variables, and the spectrogram that it reads."""

    spec = SPEC

    def __init__(self, variables: "dict[str, NDArray[np.float32]]", device: str) -> None:
        from unisono.embeddings.encoders.audio._musicnn import MusicnnMel, MusicnnNetwork

        self.network = MusicnnNetwork(variables).to(device)
        self.log_mel = MusicnnMel(device)

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The layers that the embedding passes, from front to back."""
        of = self.network
        return [of.front, *of.middle, of.pooled_norm, of.dense]

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, 48000] as [B, 1706]: the pooled vector and the hidden layer, both standardised."""
        import torch

        with torch.inference_mode():
            return self.forward(windows)

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, 48000] as [B, 1706]; differentiable."""
        found: torch.Tensor = self.network(self.log_mel(windows))
        return found

    def log_odds(self, rows: "torch.Tensor") -> "torch.Tensor":
        """Return the log-odds [B, 50] of the tags that the network was trained on, from embeddings [B, 1706]."""
        import torch

        with torch.inference_mode():
            return self.network.tags_of(rows[:, POOLED_DIM:])
