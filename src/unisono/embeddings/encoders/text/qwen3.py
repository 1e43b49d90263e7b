"""Qwen3-Embedding: large multilingual encoders with an instruction for the task; for a GPU.

Weights: Apache-2.0, Qwen/Qwen3-Embedding-{0.6B,4B}; 1.2 GB and 8 GB. Embedding: state of the last token (the tokenizer
ends each text with one for this purpose), scaled to length 1. Padding is on the left, so that the last place of every
row is its last token. Captions are the queries of this task, so all of them get the instruction.
"""

from pathlib import Path

from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec

TASK = "Given a description of music, retrieve the recording that it describes"
REVISIONS = {
    "0.6B": ("97b0c614be4d77ee51c0cef4e5f07c00f9eb65b3", 1024),
    "4B": ("5cf2132abc99cad020ac570b19d031efec650f2b", 2560),
}
HALF_PRECISION = {"qwen3-4b"}
"""Loaded as bfloat16, as published: as float32 the weights alone take 16 GB."""

SPECS = tuple(
    TextEncoderSpec(
        name=f"qwen3-{size.lower()}",
        title=f"Qwen3-Embedding-{size}",
        dim=dim,
        max_tokens=512,
        weights_license="Apache-2.0",
        source=f"Qwen/Qwen3-Embedding-{size}",
        revision=revision,
        instruction=f"Instruct: {TASK}\nQuery: ",
    )
    for size, (revision, dim) in REVISIONS.items()
)


def build(spec: TextEncoderSpec, device: str, weights: Path | None) -> TextEncoder:
    """Load the encoder from a folder, from where weights are kept, or from the hub.

    Raises:
        UnisonoError: the weights are not found.
    """
    import torch

    from unisono.embeddings.encoders.text._transformer import TransformerTextEncoder, find, load

    dtype = torch.bfloat16 if spec.name in HALF_PRECISION else torch.float32
    return TransformerTextEncoder(spec, *load(find(spec, weights), device, dtype=dtype), pooling="last")
