"""CLaMP 3 SAAS, text tower: descriptions in about a hundred languages (Wu et al., 2025, arXiv 2502.10362).

XLM-RoBERTa-base; the mean of the token states of a segment, projected to 768. Segments are of 128 tokens, the last one is
the last 128; their vectors are averaged by length and scaled to length 1, as in the authors' code
(github.com/sanderwood/clamp3 @ 9016d2b). Lines of a text are separate statements, joined by the separator; the authors
shuffle them and drop repeated ones, here they keep their order. The weights are those of the audio tower,
`encoders/audio/clamp3.py`: one folder holds both.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import clamp3 as of_audio
from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec

if TYPE_CHECKING:
    import torch

SEPARATOR = "</s>"

SPECS = (
    TextEncoderSpec(
        name="clamp3",
        title="CLaMP 3 SAAS, text tower",
        dim=of_audio.SPEC.dim,
        max_tokens=of_audio.SEGMENT,
        weights_license="MIT",
        source=of_audio.WEIGHTS.repo,
        revision=of_audio.WEIGHTS.revision,
    ),
)


def build(spec: TextEncoderSpec, device: str, weights: Path | None) -> TextEncoder:
    """Build the text tower; see `unisono.embeddings.encoders.text.build`."""
    from torch import nn

    from unisono.embeddings.encoders.audio._torch import fill
    from unisono.embeddings.encoders.text._towers import TowerTextEncoder, find, xlm_roberta

    class Lines(TowerTextEncoder):
        """Joins the lines of a text, each once."""

        def tokens(self, captions: list[str]) -> list[list[int]]:
            """Cut captions into token ids."""
            lines = (dict.fromkeys(filter(None, caption.split("\n"))) for caption in captions)
            return super().tokens([SEPARATOR.join(each) for each in lines])

    found, tokenizer = find(spec.name, of_audio.WEIGHTS, weights)
    tensors = of_audio.tower_tensors(found.weights, "text")
    model = xlm_roberta({name.removeprefix("model."): tensor for name, tensor in tensors.items()}, found.weights)
    if "proj.weight" not in tensors:
        raise DataError(f"{found.weights} is not of {spec.title}: it lacks text_proj.weight.")
    shared, hidden = tensors["proj.weight"].shape
    network: Any = nn.ModuleDict({"model": model, "proj": nn.Linear(hidden, shared, device="meta")})
    fill(network, tensors, found.weights, spec.title, unused=("pooler.", "position_ids", "token_type_ids"))
    network.to(device)

    def read(ids: "torch.Tensor") -> "torch.Tensor":
        vectors: torch.Tensor = network["proj"](network["model"](input_ids=ids).last_hidden_state.mean(dim=1))
        return vectors

    built = replace(spec, dim=shared, revision=found.revision)
    return Lines(built, network, tokenizer, device, read=read, segments=of_audio.segments)
