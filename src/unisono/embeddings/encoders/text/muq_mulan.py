"""MuQ-MuLan-large, text tower: descriptions in English and Chinese (Zhu et al., 2025, arXiv 2501.01108).

XLM-RoBERTa-base and eight layers without an attention mask, the mean over all tokens, projected to 512 and scaled to length
1. The authors pad the texts of a batch to one length, and padding counts in the mean: there a text's vector depends on its
neighbours. Here texts are embedded by equal length, without padding. At most 512 tokens, where the authors' code fails. The
weights are those of the audio tower, `encoders/audio/muq_mulan.py`: one file holds both.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import muq_mulan as of_audio
from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec

SPECS = (
    TextEncoderSpec(
        name="muq_mulan",
        title="MuQ-MuLan-large, text tower",
        dim=of_audio.SPEC.dim,
        max_tokens=512,
        weights_license=of_audio.SPEC.weights_license,
        source=of_audio.WEIGHTS.repo,
        revision=of_audio.WEIGHTS.revision,
    ),
)


def build(spec: TextEncoderSpec, device: str, weights: Path | None) -> TextEncoder:
    """Build the text tower; see `unisono.embeddings.encoders.text.build`."""
    import torch

    from unisono.embeddings.encoders.audio._torch import fill
    from unisono.embeddings.encoders.text._mulan import MulanText
    from unisono.embeddings.encoders.text._towers import TowerTextEncoder, find, xlm_roberta
    from unisono.embeddings.encoders.weights import load_tensors

    found, tokenizer = find(spec.name, of_audio.WEIGHTS, weights)
    content = found.json("config.json")
    tensors: dict[str, Any] = {}
    for name, tensor in load_tensors(found.weights).items():
        if name.startswith(("mulan.text.", "mulan.text_to_latents.")):
            tensors[name.removeprefix("mulan.").removeprefix("text.")] = tensor
    model = xlm_roberta({name.removeprefix("model."): tensor for name, tensor in tensors.items()}, found.weights)
    try:
        layers, dim_latent = content["text_transformer"], int(content["mulan"]["dim_latent"])
        sizes = {name: int(layers[name]) for name in ("dim", "heads", "dim_head", "tf_depth")}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{found.weights.parent} holds no configuration of a MuQ-MuLan: {error!r} is missing."
        ) from error
    if sizes["dim"] != model.config.hidden_size:
        raise DataError(f"{found.weights.parent}: expected a MuQ-MuLan whose layers are as wide as its XLM-RoBERTa.")
    with torch.device("meta"):
        network = MulanText(
            model,
            sizes["dim"],
            dim_latent,
            sizes["tf_depth"],
            sizes["heads"],
            sizes["dim_head"],
            int(layers.get("ff_mult", 4)),
        )
    fill(network, tensors, found.weights, spec.title, unused=("pooler.", "position_ids", "token_type_ids"))
    built = replace(spec, dim=dim_latent, revision=found.revision)
    return TowerTextEncoder(built, network.to(device), tokenizer, device)
