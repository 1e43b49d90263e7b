"""CLAP, larger_clap_general: music, speech and other sounds (Wu et al., 2023, arXiv 2211.06687).

It is the same network as `clap`, trained on more kinds of sound; see `clap` for the rest.

Weights: Apache-2.0 (the hub's card).
"""

from unisono.embeddings.encoders.audio.clap import variant

WEIGHTS, SPEC, build = variant(
    "clap_general", "laion/larger_clap_general", "ada0c23a36c4e8582805bb38fec3905903f18b41", 776_000_000
)
