"""Perception Encoder audio-visual, small: its audio tower (Vyas et al., 2025, arXiv 2512.19687).

48 kHz; the convolutional encoder of a neural codec at 25 frames a second, transformer layers, and the state of a class token
projected to the space that it shares with text; the vector is stored as it is, not scaled to length 1. The network is
transformers' own `PeAudioEncoder`, called directly: `get_text_audio_embeds` of its model classes does not work in
transformers 5.23. Trained on sounds of all kinds; no result on retrieving music is published. Windows of 10 s.

Weights: Apache-2.0. The file holds a model of sound and video; its audio tower is read. Its size and sha256 are not known
here; when fetching, those that the hub states are verified and recorded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.audio._network import Network
from unisono.embeddings.encoders.weights import HubFile, HubWeights, load_tensors, locate

if TYPE_CHECKING:
    import torch

WEIGHTS = HubWeights(
    repo="facebook/pe-av-small",
    revision="dd050762bb9704ae9cd996ca45532a98f81d817e",
    weights=HubFile(name="model.safetensors"),
    others=(HubFile(name="config.json"),),
)

SPEC = EncoderSpec(
    name="pe_audio",
    title="PE-AV small, audio tower",
    rate_hz=48_000,
    window_s=10.0,
    hop_s=10.0,
    dim=1024,
    weights_license="Apache-2.0",
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
)

PREFIXES = ("audio_model.audio_encoder.", "audio_video_encoder.embedder.audio_encoder.")
"""Names of the tower in files of sound and video: the two are one, and a file holds either."""
HEAD = "audio_model.audio_head."


def build(device: str = "cpu", weights: Path | None = None) -> "PeAudio":
    """Build the encoder; see `unisono.embeddings.encoders.audio.build`."""
    import torch
    from transformers import PeAudioEncoder, PeAudioEncoderConfig
    from transformers.models.pe_audio.modeling_pe_audio import PeAudioContrastiveHead

    from unisono.embeddings.encoders.audio._torch import fill

    found = locate(SPEC.name, WEIGHTS, weights)
    content = found.json("config.json")
    try:
        towers = content["audio_config"]
        config: Any = PeAudioEncoderConfig(**_without_kind(towers["audio_config"]))
        shared = int(towers["text_config"]["hidden_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{found.weights.parent} holds no configuration of a PE-AV: {error!r}.") from error
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        network: Any = torch.nn.ModuleDict(
            {
                "encoder": PeAudioEncoder(config),
                "head": PeAudioContrastiveHead(config.hidden_size, shared),
            }
        )
    tensors: dict[str, Any] = {}
    for name, tensor in load_tensors(found.weights).items():
        for old, new in ((PREFIXES[1], "encoder."), (PREFIXES[0], "encoder."), (HEAD, "head.")):
            if name.startswith(old):
                tensors[new + name.removeprefix(old)] = tensor
    fill(network, tensors, found.weights, SPEC.title, unused=("rotary_emb.",))
    _recompute_rotation(network["encoder"], config)
    return PeAudio(found.described(SPEC, dim=shared), network.to(device))


def _without_kind(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in ("model_type", "architectures", "dtype")}


def _recompute_rotation(encoder: Any, config: Any) -> None:
    """Compute the frequencies of the rotary embedding, which files do not hold and a model without memory lacks."""
    from transformers.models.pe_audio.modeling_pe_audio import PeAudioEncoderRotaryEmbedding

    encoder.rotary_emb = PeAudioEncoderRotaryEmbedding(config=config)


class PeAudio(Network):
    """The audio tower: vectors [B, D], as long as the network makes them."""

    def __init__(self, spec: EncoderSpec, network: Any) -> None:
        self.spec = spec
        self.network = network

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of the network, from front to back."""
        of = self.network["encoder"]
        return [of.embedder, of.patch_embedder, *of.layers, of.norm, of.output, self.network["head"]]

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run the network over windows [B, samples] at once; differentiable."""
        states = self.network["encoder"](input_values=windows.unsqueeze(1)).pooler_output
        vectors: torch.Tensor = self.network["head"](states)
        return vectors
