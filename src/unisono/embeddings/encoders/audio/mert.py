"""MERT-v1-330M: self-supervised music understanding, 24 layers (Li et al., 2023, arXiv 2306.00107).

A HuBERT trained on 160,000 hours of music: 24 kHz, 75 frames a second, 315 million parameters, trained on crops of 5 s.
The network is transformers' own `HubertModel`; nothing of the repository's code is run. Each window is brought to zero mean
and unit variance, as the model expects, and a layer's frames are averaged over the window.

Layers: `build(layers=...)` takes "last" (the default), "all" (25), "mean" (of all), or numbers. Number 24 is the output
after the final normalisation, as "last" in the paper's own code; transformers 5 lists the state before it as
`hidden_states[24]`.

Weights: CC BY-NC 4.0 (the hub's card), not for commercial use. Their sha256 is not known here; when fetching, the one that
the hub states is verified and recorded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import EncoderSpec, Layers
from unisono.embeddings.encoders.audio._network import Network
from unisono.embeddings.encoders.weights import HubFile, HubWeights, load_tensors, locate

if TYPE_CHECKING:
    import torch


WEIGHTS = HubWeights(
    repo="m-a-p/MERT-v1-330M",
    revision="5240c2708a5acaee1007f43fb9735c7dcd0b78c9",
    weights=HubFile(name="pytorch_model.bin"),
    others=(HubFile(name="config.json"),),
)

SPEC = EncoderSpec(
    name="mert",
    title="MERT-v1-330M",
    rate_hz=24_000,
    window_s=5.0,
    hop_s=5.0,
    dim=1024,
    weights_license="CC-BY-NC-4.0",
    noncommercial=True,
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=1_262_000_000,
)


def build(
    device: str = "cpu",
    weights: Path | None = None,
    *,
    layers: Layers = "last",
    spec: EncoderSpec = SPEC,
    hub: HubWeights = WEIGHTS,
) -> "Mert":
    """Build a MERT of any size: its configuration comes with its weights; see `unisono.embeddings.encoders.audio.build`."""
    from unisono.embeddings.encoders.audio._torch import fill, layer_numbers

    found = locate(spec.name, hub, weights)
    config = hubert_config(found.json("config.json"), found.weights)
    model = build_network(config)
    fill(model, load_tensors(found.weights), found.weights, spec.title)
    numbers = layer_numbers(layers, config.num_hidden_layers)
    average = layers == "mean"
    built = found.described(spec, dim=config.hidden_size, layers=1 if average else len(numbers))
    return Mert(built, model.to(device), numbers, average=average)


def hubert_config(content: dict[str, Any], path: Path) -> Any:
    """Return transformers' configuration for MERT's `config.json`.

    Raises:
        DataError: it is of another kind of model, or of a MERT with parts that HuBERT lacks.
    """
    from transformers import HubertConfig

    if content.get("model_type") not in ("mert_model", "hubert"):
        raise DataError(f"{path.parent} holds a model of type {content.get('model_type')!r}, expected a MERT.")
    for key in ("feature_extractor_cqt", "deepnorm"):
        if content.get(key):
            raise DataError(f"{path.parent}: a MERT with {key} is not supported; the published v1 models have it off.")
    known = HubertConfig().to_dict().keys() - {"model_type", "transformers_version", "architectures", "dtype"}
    sizes = {key: value for key, value in content.items() if key in known}
    masking_off = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "apply_spec_augment": False}  # for training
    config: Any = HubertConfig(**{**sizes, **masking_off})
    config._attn_implementation = "sdpa"
    return config


def build_network(config: Any) -> Any:
    """Build a HuBERT without memory for its weights."""
    import torch
    from transformers import HubertModel

    with torch.device("meta"):
        return HubertModel(config)


class Mert(Network):
    """The network, and which of its layers are the embedding: their time means, [B, D] or, of several, [B, L, D]."""

    def __init__(self, spec: EncoderSpec, model: Any, numbers: list[int], *, average: bool = False) -> None:
        from unisono.embeddings.encoders.audio._torch import LayerMeans

        self.spec = spec
        self.network = model
        self.means = LayerMeans(model.encoder.layers, numbers, average=average)

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of the network, from front to back."""
        return stages_of(self.network)

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run the network over windows [B, samples] at once; differentiable."""
        return self.means.during(lambda: self.network(standardise(windows)).last_hidden_state)


def stages_of(network: Any) -> "list[torch.nn.Module]":
    """Return the parts of a HuBERT, from front to back."""
    encoder = network.encoder
    front = [network.feature_extractor, network.feature_projection, encoder.pos_conv_embed]
    return [*front, *encoder.layers, encoder.layer_norm]


def standardise(windows: "torch.Tensor") -> "torch.Tensor":
    """Bring each window [B, samples] to zero mean and unit variance, as Wav2Vec2's feature extractor does."""
    centred = windows - windows.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-7).sqrt()
