"""CLAP, clap-htsat-unfused (Wu et al., 2023, arXiv 2211.06687).

LAION's own package loads it by default. Its audio network is smaller than that of `clap`; 153 million parameters with the
text tower; see `clap` for the rest.

Weights: Apache-2.0 (the hub's card).
"""

from unisono.embeddings.encoders.audio.clap import variant

WEIGHTS, SPEC, build = variant(
    "clap_unfused", "laion/clap-htsat-unfused", "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a", 614_000_000
)
