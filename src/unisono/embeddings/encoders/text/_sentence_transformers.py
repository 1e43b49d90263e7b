"""Any sentence-transformers model, by its name on the hub or by the path of its folder."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.encoders.text._transformer import embed_in_fixed_shapes


class SentenceTransformersEncoder(torch.nn.Module):
    """A model of the sentence-transformers library, with its own pooling and prompt."""

    def __init__(self, spec: TextEncoderSpec, model: Any) -> None:
        super().__init__()
        self.spec = spec
        self.model = model
        self.requires_grad_(False).eval()

    @property
    def backbone(self) -> torch.nn.Module:
        """The transformer, to which adapters are added."""
        backbone: torch.nn.Module = self.model.transformers_model
        return backbone

    def tokens(self, captions: list[str]) -> list[list[int]]:
        """Cut captions into token ids, with the model's prompt before them."""
        if not captions:
            return []
        texts = [self.spec.instruction + caption for caption in captions]
        ids: list[list[int]] = self.model.tokenizer(texts, truncation=True, max_length=self.spec.max_tokens)[
            "input_ids"
        ]
        return ids

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        device: torch.device = self.model.device
        return device

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.model.tokenizer

    def forward(self, tokens: list[list[int]]) -> torch.Tensor:
        """Embed tokenised captions, of any lengths, as [n, D] unit vectors; differentiable."""
        return self.pooled(*self.padded(tokens))

    def padded(self, tokens: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Bring token lists to one length: ids [n, T] and mask [n, T], padded on the side that the model expects."""
        padded = self.tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self.device)
        return padded["input_ids"], padded["attention_mask"]

    def pooled(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embed padded tokens [n, T] as [n, D] unit vectors."""
        found = self.model({"input_ids": input_ids, "attention_mask": attention_mask})["sentence_embedding"]
        return torch.nn.functional.normalize(found.float(), dim=-1)

    def embed(self, captions: list[str]) -> NDArray[np.float32]:
        """Embed captions as [n, D] unit vectors; the vector of a caption does not depend on its neighbours."""
        return embed_in_fixed_shapes(self.tokens(captions), self.spec.dim, self.forward, self.device)


def build(name: str, device: str) -> SentenceTransformersEncoder:
    """Load a model of the hub, or from a folder, without running any code that comes with it.

    Raises:
        UsageError: there is no such folder or repository, or it holds another kind of model.
        MissingExtraError: the sentence-transformers library is not installed.
    """
    with extra("train", f"The text encoder {name}"):
        from sentence_transformers import SentenceTransformer
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise UsageError(f"There is no folder {name} with a text encoder.")
    place = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    try:
        model = SentenceTransformer(
            place, device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
    except Exception as error:  # the libraries below raise many kinds
        raise UsageError(
            f"Cannot load {name} as a sentence-transformers model: {error}.",
            hint="Check the name, and the connection to the hub.",
        ) from error
    prompts = getattr(model, "prompts", None) or {}
    spec = TextEncoderSpec(
        name=name,
        title=name,
        dim=int(model.get_embedding_dimension() or 0),
        max_tokens=int(model.max_seq_length or 512),
        weights_license="unknown",
        source=name,
        revision=fingerprint(model),
        instruction=prompts.get("query", ""),
    )
    return SentenceTransformersEncoder(spec, model)


def fingerprint(model: torch.nn.Module) -> str:
    """Return a sha256 of a model's weights: the same weights have the same revision, wherever they came from."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
