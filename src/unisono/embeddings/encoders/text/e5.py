"""multilingual-e5: sentence encoders for about a hundred languages.

Weights: MIT, intfloat/multilingual-e5-{small,base,large}; 118 M, 278 M and 560 M parameters. Embedding: mean of the token
states, scaled to length 1; at most 512 tokens. The model expects a prefix for the role of a text: it is `query: ` for all
captions, as the model card advises for symmetric tasks.
"""

from pathlib import Path

from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec

REVISIONS = {
    "small": ("614241f622f53c4eeff9890bdc4f31cfecc418b3", 384),
    "base": ("d13f1b27baf31030b7fd040960d60d909913633f", 768),
    "large": ("0dc5580a448e4284468b8909bae50fa925907bc5", 1024),
}

SPECS = tuple(
    TextEncoderSpec(
        name=f"e5-{size}",
        title=f"multilingual-e5-{size}",
        dim=dim,
        max_tokens=512,
        weights_license="MIT",
        source=f"intfloat/multilingual-e5-{size}",
        revision=revision,
        instruction="query: ",
    )
    for size, (revision, dim) in REVISIONS.items()
)


def build(spec: TextEncoderSpec, device: str, weights: Path | None) -> TextEncoder:
    """Load the encoder from a folder, from where weights are kept, or from the hub.

    Raises:
        UnisonoError: the weights are not found.
    """
    from unisono.embeddings.encoders.text._transformer import TransformerTextEncoder, find, load

    return TransformerTextEncoder(spec, *load(find(spec, weights), device), pooling="mean")
