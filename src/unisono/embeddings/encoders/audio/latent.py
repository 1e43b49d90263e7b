"""Music2Latent: a consistency autoencoder of music (Pasini, Lattner and Fazekas, 2024, arXiv 2408.06500).

It was trained to compress, so its embedding describes how music sounds rather than what it is. 44.1 kHz, about 11 frames a
second. The embedding is the state of its encoder before the bottleneck (the paper's choice for other tasks): 8192 numbers a
frame, averaged over windows of 10 s. The end of a window that does not fill eight frames of the transform is not used (27 ms
of 10 s), as in the package's own `encode`.

The network is the package `music2latent` (extra `latent`); the package's loader, which downloads and unpickles files
unchecked, is not used.

Package and weights: CC BY-NC 4.0, not for commercial use. No commit of the weights' repository and no sha256 is known
here: fetching takes its newest state, verifies the sha256 that the hub states, and records the commit.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.base.extras import extra
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.audio._network import Network
from unisono.embeddings.encoders.weights import HubFile, HubWeights, load_tensors, locate

if TYPE_CHECKING:
    import torch

WEIGHTS = HubWeights(repo="SonyCSLParis/music2latent", revision="main", weights=HubFile(name="music2latent.pt"))

SPEC = EncoderSpec(
    name="latent",
    title="Music2Latent, encoder features",
    rate_hz=44_100,
    window_s=10.0,
    hop_s=10.0,
    dim=8192,
    weights_license="CC-BY-NC-4.0",
    noncommercial=True,
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=233_000_000,
)

PREFIX = "encoder."
FIRST_LAYER = PREFIX + "conv_inp.weight"


def build(device: str = "cpu", weights: Path | None = None) -> "Latent":
    """Build the encoder; see `unisono.embeddings.encoders.audio.build`."""
    import torch

    with extra("latent", "The encoder latent (CC BY-NC 4.0)"):
        from music2latent import models
    from unisono.embeddings.encoders.audio._torch import fill

    found = locate(SPEC.name, WEIGHTS, weights)
    tensors = load_tensors(found.weights).get("gen_state_dict")
    if not isinstance(tensors, dict) or FIRST_LAYER not in tensors:
        raise DataError(f"{found.weights} is not of Music2Latent: it has no gen_state_dict with {FIRST_LAYER}.")
    with _width(models, tensors[FIRST_LAYER].shape[0]), torch.device("meta"):
        network = models.Encoder()
    network.bottleneck_layers = torch.nn.ModuleList()  # not run, as features are taken before it
    for unused in ("norm_out", "conv_out"):
        delattr(network, unused)
    fill(network, {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}, found.weights, SPEC.title)
    dim = network.prenorm_1d_to_2d.num_channels * network.freq_dim
    # On a CPU the batched products of the fast path take twice as long here as the slow path.
    torch.backends.mha.set_fastpath_enabled(False)
    return Latent(found.described(SPEC, dim=dim), network.to(device))


_building = threading.Lock()


@contextmanager
def _width(models: Any, channels: int) -> Iterator[None]:
    """Let the package build an encoder of the checkpoint's width: its sizes are global constants of its module."""
    with _building:
        published = models.base_channels
        models.base_channels = channels
        try:
            yield
        finally:
            models.base_channels = published


class Latent(Network):
    """The encoder's convolutions: the time means of its features [B, 8192]."""

    def __init__(self, spec: EncoderSpec, network: Any) -> None:
        self.spec = spec
        self.network = network

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of the network, from front to back."""
        of = self.network
        return [of.gain, of.conv_inp, *of.down_layers, of.prenorm_1d_to_2d]

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run the network over windows [B, samples] at once; differentiable."""
        import torch
        from music2latent import audio, hparams

        frames = 2 ** hparams.freq_downsample_list.count(0)  # of the transform, in one of the encoder's
        overlap = 3 * hparams.hop
        step = hparams.hop * frames
        used = (windows.shape[1] - overlap) // step * step + overlap
        with torch.autocast(windows.device.type, enabled=False):
            spectrum = audio.to_representation_encoder(windows[:, :used])
        features: torch.Tensor = self.network(spectrum, extract_features=True)
        return features.float().mean(dim=2)
