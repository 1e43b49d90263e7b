"""MERT-v1-95M: the small MERT, 12 layers of 768, trained on 20,000 hours of music; see `mert`.

Weights: CC BY-NC 4.0, not for commercial use.
"""

from dataclasses import replace
from functools import partial

from unisono.embeddings.encoders.audio import mert
from unisono.embeddings.encoders.weights import HubFile, HubWeights

WEIGHTS = HubWeights(
    repo="m-a-p/MERT-v1-95M",
    revision="12af15fef9d0ac838c3f475bfbbf26d2060dd4f5",
    weights=HubFile(
        name="pytorch_model.bin",
        size=377_552_987,
        sha256="a2b8b747f72c06e0595aeae41ae5473f4364938c6b39b2c58be38c48e6bd3fcd",
    ),
    others=(
        HubFile(
            name="config.json", size=1_817, sha256="ea2627c4c7825cd66f3c944b6b966331604c35928174e0100cd4a82829424e32"
        ),
    ),
)

SPEC = replace(
    mert.SPEC,
    name="mert_95m",
    title="MERT-v1-95M",
    dim=768,
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=WEIGHTS.weights.size,
)
build = partial(mert.build, spec=SPEC, hub=WEIGHTS)
