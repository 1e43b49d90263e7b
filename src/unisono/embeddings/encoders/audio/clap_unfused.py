"""CLAP, clap-htsat-unfused (Wu et al., 2023, arXiv 2211.06687).

LAION's own package loads it by default. Its audio network is smaller than that of `clap`; 153 million parameters with the
text tower; see `clap` for the rest.

Weights: Apache-2.0 (the hub's card).
"""

from dataclasses import replace
from pathlib import Path

from unisono.embeddings.encoders.audio import clap
from unisono.embeddings.encoders.weights import HubFile, HubWeights

WEIGHTS = HubWeights(
    repo="laion/clap-htsat-unfused",
    revision="8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a",
    weights=HubFile(name="pytorch_model.bin"),
    others=clap.WEIGHTS.others,
)
SPEC = replace(
    clap.SPEC,
    name="clap_unfused",
    title="CLAP, clap-htsat-unfused, audio tower",
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=614_000_000,
)


def build(device: str = "cpu", weights: Path | None = None) -> clap.Clap:
    """Build the encoder; see `unisono.embeddings.encoders.audio.clap.build`."""
    return clap.build_clap(SPEC, WEIGHTS, device, weights)
