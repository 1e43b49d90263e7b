"""CLAP, text tower: descriptions in English in a space shared with music (Wu et al., 2023, arXiv 2211.06687).

RoBERTa-base; the state of the first token through the pooler and two projections, scaled to length 1. At most 77 tokens, as
in training; longer descriptions are cut. The network is transformers' own `ClapTextModelWithProjection`. The weights are
those of the audio tower, `encoders/audio/clap.py`: one file holds both.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec


def _spec(name: str) -> TextEncoderSpec:
    of = audio.spec(name)
    return TextEncoderSpec(
        name=name,
        title=of.title.replace("audio", "text"),
        dim=of.dim,
        max_tokens=77,
        weights_license=of.weights_license,
        source=of.source,
        revision=of.revision,
    )


SPECS = tuple(_spec(name) for name in ("clap", "clap_general", "clap_unfused"))


def build(spec: TextEncoderSpec, device: str, weights: Path | None) -> TextEncoder:
    """Build the text tower of a CLAP; see `unisono.embeddings.encoders.text.build`."""
    import torch
    from transformers import ClapTextModelWithProjection

    from unisono.embeddings.encoders.audio._torch import fill
    from unisono.embeddings.encoders.audio.clap import clap_config, refuse_untrained
    from unisono.embeddings.encoders.text._towers import TowerTextEncoder, find
    from unisono.embeddings.encoders.weights import load_tensors

    found, tokenizer = find(spec.name, audio.module(spec.name).WEIGHTS, weights)
    config: Any = clap_config(found).text_config
    config._attn_implementation = "eager"  # the only one that this model has
    with torch.device("meta"):
        model: Any = ClapTextModelWithProjection(config)
    tensors = load_tensors(found.weights)
    refuse_untrained(tensors, found.weights)
    own = {name: tensor for name, tensor in tensors.items() if name.startswith("text_")}
    fill(model, own, found.weights, spec.title, unused=("position_ids", "token_type_ids"))
    built = replace(spec, dim=config.projection_dim, revision=found.revision)
    model.to(device)
    return TowerTextEncoder(built, model, tokenizer, device, read=lambda ids: model(input_ids=ids).text_embeds)
