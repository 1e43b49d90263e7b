"""CLAP, larger_clap_general: music, speech and other sounds (Wu et al., 2023, arXiv 2211.06687).

It is the same network as `clap`, trained on more kinds of sound; see `clap` for the rest.

Weights: Apache-2.0 (the hub's card).
"""

from dataclasses import replace
from pathlib import Path

from unisono.embeddings.encoders.audio import clap
from unisono.embeddings.encoders.weights import HubFile, HubWeights

WEIGHTS = HubWeights(
    repo="laion/larger_clap_general",
    revision="ada0c23a36c4e8582805bb38fec3905903f18b41",
    weights=HubFile(name="pytorch_model.bin"),
    others=clap.WEIGHTS.others,
)
SPEC = replace(
    clap.SPEC,
    name="clap_general",
    title="CLAP, larger_clap_general, audio tower",
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=776_000_000,
)


def build(device: str = "cpu", weights: Path | None = None) -> clap.Clap:
    """Build the encoder; see `unisono.embeddings.encoders.audio.clap.build`."""
    return clap.build_clap(SPEC, WEIGHTS, device, weights)
