"""MusicFM, trained on FMA: self-supervised music representations (Won et al., 2024, arXiv 2311.03318).

The predecessor of MuQ: the same spectrogram, convolutions and conformer of 12 layers of 1024 (see `muq`), trained by masked
prediction on crops of 30 s. The sizes are those of the authors' code (github.com/minzwon/musicfm, `musicfm_25hz.py`); the
statistics of the spectrogram come with the weights. The authors used layer 7 for tagging: `--layers musicfm=7`.

Weights: MIT (the hub's tag), the one large music encoder of this list that may be used commercially. Revision, size and
sha256 are those that public repositories agree on. A plain PyTorch file, read without running any code in it.
"""

from pathlib import Path

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import EncoderSpec, Layers, muq
from unisono.embeddings.encoders.weights import HubFile, HubWeights, load_tensors, locate

WEIGHTS = HubWeights(
    repo="minzwon/MusicFM",
    revision="4513b38bc25ad1d227b1980819b9691ba97f4d87",
    weights=HubFile(
        name="pretrained_fma.pt",
        size=1_316_802_154,
        sha256="68392eee13d34c2941b3761934abb6b1e67b2e9df498695bda2ea5c1087d4b96",
    ),
    others=(HubFile(name="fma_stats.json"),),
)

SPEC = EncoderSpec(
    name="musicfm",
    title="MusicFM-FMA",
    rate_hz=24_000,
    window_s=30.0,
    hop_s=30.0,
    dim=1024,
    weights_license="MIT",
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=WEIGHTS.weights.size,
)

CONFORMER = {
    "hidden_act": "swish",
    "position_embeddings_type": "rotary",
    "rotary_embedding_base": 10000,
    "conv_depthwise_kernel_size": 31,
    "layer_norm_eps": 1e-5,
}
"""Of facebook/wav2vec2-conformer-rope-large-960h-ft, which the authors' code takes its configuration from."""


def build(device: str = "cpu", weights: Path | None = None, *, layers: Layers = "last") -> muq.Muq:
    """Build the encoder; see `unisono.embeddings.encoders.audio.build`."""
    found = locate(SPEC.name, WEIGHTS, weights)
    statistics = found.json("fma_stats.json")
    tensors = load_tensors(found.weights).get("state_dict", {})
    try:
        hidden = tensors["model.conv.linear.weight"].shape[0]
        sizes = muq.MuqSizes(
            mel_bands=128,
            hop_samples=240,
            channels=tensors["model.conv.conv.0.conv1.weight"].shape[0],
            mean_db=float(statistics["melspec_2048_mean"]),
            deviation_db=float(statistics["melspec_2048_std"]),
            conformer={
                **CONFORMER,
                "hidden_size": hidden,
                "num_attention_heads": hidden // (2 * len(tensors["model.conformer.embed_positions.inv_freq"])),
                "intermediate_size": tensors["model.conformer.layers.0.ffn1.intermediate_dense.weight"].shape[0],
                "num_hidden_layers": 1
                + max(int(name.split(".")[3]) for name in tensors if name.startswith("model.conformer.layers.")),
            },
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{found.weights} is not of {SPEC.title}: {error!r} is missing.") from error
    return muq.load(SPEC, found, sizes, tensors, device, layers)
