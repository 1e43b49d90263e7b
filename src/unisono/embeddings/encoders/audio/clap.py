"""CLAP, larger_clap_music_and_speech: music in a space it shares with English text (Wu et al., 2023, arXiv 2211.06687).

A Swin transformer over a log-mel spectrogram of 10 s at 48 kHz, projected to 512 and scaled to length 1; 68 million
parameters. The network is transformers' own `ClapAudioModelWithProjection`, the spectrogram is `ClapFeatureExtractor`'s for
models without fusion (Slaney's filters), computed with torch. The text tower is
`encoders/text/clap.py`.

Weights: Apache-2.0 (the hub's card). Those of `laion/larger_clap_music`, which earlier versions read, are a network that was
never trained: its projection biases are all zero, and it finds music no better than chance (results of
github.com/embeddings-benchmark/mteb, and its issue 5069). Files with that mark are refused, and so are embeddings made
with them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.audio._network import Network
from unisono.embeddings.encoders.weights import HubFile, HubWeights, WeightsOnDisk, load_tensors, locate

if TYPE_CHECKING:
    import torch

WEIGHTS = HubWeights(
    repo="laion/larger_clap_music_and_speech",
    revision="195c3a3e68faebb3e2088b9a79e79b43ddbda76b",
    weights=HubFile(name="pytorch_model.bin"),  # its sha256 is the one that the hub states
    others=(
        HubFile(name="config.json"),
        HubFile(name="preprocessor_config.json"),
        HubFile(name="tokenizer.json", for_text=True),
    ),
)

SPEC = EncoderSpec(
    name="clap",
    title="CLAP, larger_clap_music_and_speech, audio tower",
    rate_hz=48_000,
    window_s=10.0,
    hop_s=10.0,
    dim=512,
    weights_license="Apache-2.0",
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=776_000_000,
)

SMALLEST_POWER = 1e-10


def variant(name: str, repo: str, revision: str, size: int) -> tuple[HubWeights, EncoderSpec, "Callable[..., Clap]"]:
    """Return `WEIGHTS`, `SPEC` and `build` of another CLAP of this kind."""
    hub = replace(WEIGHTS, repo=repo, revision=revision)
    title = f"CLAP, {repo.partition('/')[2]}, audio tower"
    spec = replace(SPEC, name=name, title=title, source=repo, revision=revision, size=size)
    return hub, spec, partial(build, asked=spec, hub=hub)


def build(
    device: str = "cpu", weights: Path | None = None, *, asked: EncoderSpec = SPEC, hub: HubWeights = WEIGHTS
) -> "Clap":
    """Build the audio tower of a CLAP; see `unisono.embeddings.encoders.audio.build`."""
    import torch
    from transformers import ClapAudioModelWithProjection, ClapFeatureExtractor

    from unisono.embeddings.encoders.audio._torch import fill

    found = locate(asked.name, hub, weights)
    config: Any = clap_config(found).audio_config
    if config.enable_fusion:
        raise DataError(f"{found.weights.parent}: a CLAP with fusion of long and short views is not supported.")
    config._attn_implementation = "eager"  # the only one that this model has
    extractor = ClapFeatureExtractor(**found.json("preprocessor_config.json"))
    if extractor.sampling_rate != asked.rate_hz:
        raise DataError(f"{found.weights.parent}: a CLAP of {extractor.sampling_rate} Hz, expected {asked.rate_hz}.")
    with torch.device("meta"):
        model: Any = ClapAudioModelWithProjection(config)
    tensors = load_tensors(found.weights)
    refuse_untrained(tensors, found.weights)
    own = {name: tensor for name, tensor in tensors.items() if name.startswith("audio_")}
    fill(model, own, found.weights, asked.title, unused=("relative_position_index",))
    spec = found.described(asked, dim=config.projection_dim)
    return Clap(spec, model.to(device), extractor, device)


def clap_config(found: WeightsOnDisk) -> Any:
    """Read the configuration of both towers.

    Raises:
        DataError: it is of another kind of model.
    """
    from transformers import ClapConfig

    content = found.json("config.json")
    if content.get("model_type") != "clap":
        raise DataError(f"{found.weights.parent} holds a model of type {content.get('model_type')!r}, expected clap.")
    return ClapConfig(**{key: value for key, value in content.items() if key != "model_type"})


def refuse_untrained(tensors: "dict[str, torch.Tensor]", path: Path) -> None:
    """Refuse a CLAP that was never trained: training moves the biases of the projections away from 0, where they begin.

    Raises:
        DataError: all biases of a projection are exactly 0.
    """
    for tower in ("audio", "text"):
        biases = [
            tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{tower}_projection.") and name.endswith("bias")
        ]
        if biases and not any(bias.any() for bias in biases):
            raise DataError(
                f"{path} is a CLAP that was never trained: the biases of its {tower} projection are all exactly 0.",
                hint=f"Use {WEIGHTS.repo}: unisono encoders fetch {SPEC.name}",
            )


class Clap(Network):
    """The audio tower: unit vectors [B, 512]."""

    def __init__(self, spec: EncoderSpec, model: Any, extractor: Any, device: str) -> None:
        import torch

        self.spec = spec
        self.network = model
        self.fft_size = extractor.fft_window_size
        self.hop_samples = extractor.hop_length
        self.filters = torch.tensor(extractor.mel_filters_slaney, dtype=torch.float32, device=device)
        self.hann = torch.hann_window(self.fft_size, device=device)

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of the network, from front to back."""
        of = self.network.audio_model.audio_encoder
        return [of.batch_norm, of.patch_embed, *of.layers, of.norm, self.network.audio_projection]

    def log_mel(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Return the spectrogram in decibels [B, 1, frames, 64] of windows [B, samples], always in float32."""
        import torch

        with torch.autocast(windows.device.type, enabled=False):
            spectrum = torch.stft(
                windows,
                self.fft_size,
                self.hop_samples,
                window=self.hann,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )
            power = spectrum.real.square() + spectrum.imag.square()
            mel = power.transpose(1, 2) @ self.filters
            return (10 * mel.clamp(min=SMALLEST_POWER).log10()).unsqueeze(1)

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run the network over windows [B, samples] at once; differentiable."""
        from torch.nn.functional import normalize

        return normalize(self.network(input_features=self.log_mel(windows)).audio_embeds.float(), dim=-1)
