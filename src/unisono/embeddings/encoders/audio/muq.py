"""MuQ-large-msd-iter: self-supervised music representations (Zhu et al., 2025, arXiv 2501.01108).

A conformer of 12 layers over a convolutional front end: 24 kHz, a log-mel spectrogram of 128 bands at 100 frames a second,
four-fold subsampled to 25 frames a second of 1024; 316 million parameters in use. The conformer is transformers' own
`Wav2Vec2ConformerEncoder`; the spectrogram and the convolutions are below. Windows of 10 s; a layer's frames are averaged
over the window. Windows are never padded: zeros at the end change the embedding of the samples before them.

Layers: `build(layers=...)` takes "last" (the default), "all" (13), "mean" (of all), or numbers; 12 is the output.

Weights: CC BY-NC 4.0, not for commercial use.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import EncoderSpec, Layers
from unisono.embeddings.encoders.audio._network import Network
from unisono.embeddings.encoders.weights import HubFile, HubWeights, WeightsOnDisk, load_tensors, locate

if TYPE_CHECKING:
    import torch

    from unisono.embeddings.encoders.audio._muq import MuqNetwork

WEIGHTS = HubWeights(
    repo="OpenMuQ/MuQ-large-msd-iter",
    revision="0562a57814f6f8bbd9fdea0a25921a2fce1a841a",
    weights=HubFile(
        name="model.safetensors",
        size=1_333_825_096,
        sha256="273febab2be02872c37d2c37e48a9d6c52c1c9392f3eeeabd498efa281ccb7a6",
    ),
    others=(
        HubFile(
            name="config.json", size=3_133, sha256="237335ee27d8fb951ce778701a12a79e06c51ae636dd786f97e45f51ce532543"
        ),
    ),
)

SPEC = EncoderSpec(
    name="muq",
    title="MuQ-large-msd-iter",
    rate_hz=24_000,
    window_s=10.0,
    hop_s=10.0,
    dim=1024,
    weights_license="CC-BY-NC-4.0",
    noncommercial=True,
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=WEIGHTS.weights.size,
)


def build(device: str = "cpu", weights: Path | None = None, *, layers: Layers = "last") -> "Muq":
    """Build the encoder; see `unisono.embeddings.encoders.audio.build`."""
    found = locate(SPEC.name, WEIGHTS, weights)
    sizes = read_config(found.json("config.json"), found.weights)
    return load(SPEC, found, sizes, load_tensors(found.weights), device, layers)


def load(
    spec: EncoderSpec, found: WeightsOnDisk, sizes: "MuqSizes", tensors: dict[str, Any], device: str, layers: Layers
) -> "Muq":
    """Build a network of these sizes from the tensors of a file.

    Raises:
        DataError: the file is of another model.
    """
    from unisono.embeddings.encoders.audio._torch import fill, layer_numbers

    network = build_network(sizes)
    fill(network, {name.removeprefix("model."): tensor for name, tensor in tensors.items()}, found.weights, spec.title)
    numbers = layer_numbers(layers, sizes.conformer["num_hidden_layers"])
    average = layers == "mean"
    built = found.described(spec, dim=sizes.conformer["hidden_size"], layers=1 if average else len(numbers))
    return Muq(built, network.to(device), sizes, device, numbers, average=average)


@dataclass(frozen=True, kw_only=True)
class MuqSizes:
    """The values of a MuQ's `config.json` that inference needs."""

    mel_bands: int
    hop_samples: int
    channels: int
    """Of the convolutions."""
    mean_db: float
    """Mean of the log-mel spectrograms of the training music; with the deviation it standardises a spectrogram."""
    deviation_db: float
    conformer: dict[str, Any]
    """The fields of `Wav2Vec2ConformerConfig`."""


def read_config(content: dict[str, Any], path: Path) -> MuqSizes:
    """Read MuQ's `config.json`.

    Raises:
        DataError: it is of another kind of model, or of a MuQ of another frame rate or spectrogram.
    """
    try:
        if content["label_rate"] != 25 or content["features"] != ["melspec_2048"]:
            raise DataError(f"{path.parent}: expected a MuQ of 25 frames a second on `melspec_2048`.")
        return MuqSizes(
            mel_bands=content["n_mels"],
            hop_samples=content["hop_length"],
            channels=content["conv_dim"],
            mean_db=content["stat"]["melspec_2048_mean"],
            deviation_db=content["stat"]["melspec_2048_std"],
            conformer={
                **content["w2v2_config"],
                "num_hidden_layers": content["encoder_depth"],
                "hidden_size": content["encoder_dim"],
            },
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path.parent} holds no configuration of a MuQ: {error!r} is missing.") from error


def build_network(sizes: MuqSizes) -> "MuqNetwork":
    """Build convolutions and conformer without memory for their weights."""
    import torch

    from unisono.embeddings.encoders.audio._muq import MuqNetwork

    with torch.device("meta"):
        return MuqNetwork(sizes.channels, sizes.mel_bands, sizes.conformer)


class Muq(Network):
    """The whole encoder: the time means of the chosen layers, [B, D] or, of several, [B, L, D]."""

    def __init__(
        self,
        spec: EncoderSpec,
        network: "MuqNetwork",
        sizes: MuqSizes,
        device: str,
        numbers: list[int],
        *,
        average: bool = False,
    ) -> None:
        from unisono.embeddings.encoders.audio._muq import LogMel
        from unisono.embeddings.encoders.audio._torch import LayerMeans

        self.spec = spec
        self.network = network
        self.means = LayerMeans(network.conformer.layers, numbers, average=average)
        self.log_mel = LogMel(
            spec.rate_hz, sizes.hop_samples, sizes.mel_bands, sizes.mean_db, sizes.deviation_db, device
        )

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of the network, from front to back."""
        return [self.network.conv, *self.network.conformer.layers, self.network.conformer.layer_norm]

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run the network over windows [B, samples] at once; differentiable."""
        return self.means.during(lambda: self.network(self.log_mel(windows)))
