"""MERT-v1-95M: the small MERT, 12 layers of 768, trained on 20,000 hours of music; see `mert`.

Weights: CC BY-NC 4.0, not for commercial use.
"""

from pathlib import Path

from unisono.embeddings.encoders.audio import EncoderSpec, Layers
from unisono.embeddings.encoders.audio.mert import Mert, load
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

SPEC = EncoderSpec(
    name="mert_95m",
    title="MERT-v1-95M",
    rate_hz=24_000,
    window_s=5.0,
    hop_s=5.0,
    dim=768,
    weights_license="CC-BY-NC-4.0",
    noncommercial=True,
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=WEIGHTS.weights.size,
)


def build(device: str = "cpu", weights: Path | None = None, *, layers: Layers = "last") -> Mert:
    """Build the encoder; see `unisono.embeddings.encoders.audio.build`."""
    return load(SPEC, WEIGHTS, device, weights, layers)
