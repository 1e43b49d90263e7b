"""MuQ-MuLan-large, audio tower: music in a space shared with text (Zhu et al., 2025, arXiv 2501.01108).

A MuQ of its own (see `muq`), its last layer projected, averaged over the window's 10 s, projected again to 512 and scaled
to length 1. A track is cut into consecutive windows, the last one is completed with the track's beginning, and their vectors
are averaged, as the authors do. The text tower is `encoders/text/muq_mulan.py`.

Weights: CC BY-NC 4.0, not for commercial use. The repository's `config.json` does not describe its MuQ; that comes with
`OpenMuQ/MuQ-large-msd-iter` and is kept as `muq_config.json`. The sha256 of the weights is not known here; when fetching,
the one that the hub states is verified and recorded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import EncoderSpec, muq
from unisono.embeddings.encoders.audio._network import Network
from unisono.embeddings.encoders.weights import XLM_R_TOKENIZER, HubFile, HubWeights, load_tensors, locate

if TYPE_CHECKING:
    import torch

WEIGHTS = HubWeights(
    repo="OpenMuQ/MuQ-MuLan-large",
    revision="2e01c796b71dca71b45251384c04cd7b237c9020",
    weights=HubFile(name="pytorch_model.bin"),
    others=(
        HubFile(name="config.json"),
        XLM_R_TOKENIZER,
        muq.WEIGHTS.others[0].within(muq.WEIGHTS, saved_as="muq_config.json"),
    ),
)

SPEC = EncoderSpec(
    name="muq_mulan",
    title="MuQ-MuLan-large, audio tower",
    rate_hz=24_000,
    window_s=10.0,
    hop_s=10.0,
    tail="wrap",
    dim=512,
    weights_license="CC-BY-NC-4.0",
    noncommercial=True,
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=2_600_000_000,
)

TENSORS = {
    "mulan.audio.model.model.": "muq.",
    "mulan.audio.proj.": "frames.",
    "mulan.audio_to_latents.": "shared.",
}
"""Prefix of the names in the checkpoint -> in the network here."""


def build(device: str = "cpu", weights: Path | None = None) -> "MuqMulan":
    """Build the encoder; see `unisono.embeddings.encoders.audio.build`."""
    import torch

    from unisono.embeddings.encoders.audio._torch import fill

    found = locate(SPEC.name, WEIGHTS, weights)
    sizes = muq.read_config(found.json("muq_config.json"), found.weights.with_name("muq_config.json"))
    content = found.json("config.json")
    try:
        middle, shared = content["audio_transformer"]["dim"], content["mulan"]["dim_latent"]
        if content["audio_transformer"]["tf_depth"] or content["audio_model"]["use_layer_idx"] != -1:
            raise DataError(
                f"{found.weights.parent}: expected a MuQ-MuLan on MuQ's last layer, without layers of its own."
            )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{found.weights.parent} holds no configuration of a MuQ-MuLan: {error!r} is missing."
        ) from error
    with torch.device("meta"):
        network = torch.nn.ModuleDict(
            {
                "muq": muq.build_network(sizes),
                "frames": torch.nn.Linear(sizes.conformer["hidden_size"], middle),
                "shared": torch.nn.Linear(middle, shared),
            }
        )
    tensors = {
        new + name.removeprefix(old): tensor
        for name, tensor in load_tensors(found.weights).items()
        for old, new in TENSORS.items()
        if name.startswith(old)
    }
    fill(network, tensors, found.weights, SPEC.title)
    return MuqMulan(found.described(SPEC, dim=shared), network.to(device), sizes, device)


class MuqMulan(Network):
    """The audio tower: unit vectors [B, 512]."""

    def __init__(self, spec: EncoderSpec, network: Any, sizes: muq.MuqSizes, device: str) -> None:
        self.spec = spec
        self.network = network
        self.muq = muq.Muq(spec, network["muq"], sizes, device, [sizes.conformer["num_hidden_layers"]])

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of the network, from front to back."""
        return [*self.muq.stages, self.network["frames"], self.network["shared"]]

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run the network over windows [B, samples] at once; differentiable."""
        from torch.nn.functional import normalize

        # Averaging before the first projection, which is linear, is the same as after it, and faster.
        projected = self.network["frames"](self.muq.forward(windows))
        return normalize(self.network["shared"](projected).float(), dim=-1)
