"""The text towers of joint models: tokens of equal length to vectors, so that a text depends on none of its neighbours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from unisono.base.errors import DataError
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.encoders.text._transformer import embed_in_fixed_shapes
from unisono.embeddings.encoders.weights import HubWeights, WeightsOnDisk, absent, locate

Floats = NDArray[np.float32]
HEAD_DIM = 64


class TowerTextEncoder(torch.nn.Module):
    """A text tower; frozen until its parameters are set to require gradients."""

    def __init__(
        self,
        spec: TextEncoderSpec,
        backbone: torch.nn.Module,
        tokenizer: Tokenizer,
        device: str,
        *,
        read: Callable[[torch.Tensor], torch.Tensor] | None = None,
        segments: Callable[[int], list[tuple[int, int, int]]] | None = None,
    ) -> None:
        """Keep a network.

        Args:
            spec: its description, with the revision of the weights at hand.
            backbone: the network.
            tokenizer: of whole texts, with begin and end.
            device: where it runs.
            read: from token ids [n, T] without padding to vectors [n, D]. Default: the network itself.
            segments: from a number of tokens to begin, end and weight of the segments that are read one by one. Default: a
                text is cut at `spec.max_tokens`.
        """
        super().__init__()
        self.spec = spec
        self.backbone = backbone
        self._read = read or (lambda ids: backbone(ids))  # as an attribute it would be a part twice
        self._tokenizer = tokenizer
        self._device = torch.device(device)
        self._segments = segments or (lambda length: [(0, length, length)])
        tokenizer.no_padding()
        if segments is None:
            tokenizer.enable_truncation(spec.max_tokens)
        else:
            tokenizer.no_truncation()
        self.requires_grad_(False).eval()

    def tokens(self, captions: list[str]) -> list[list[int]]:
        """Cut captions into token ids."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(captions)]

    def forward(self, tokens: list[list[int]]) -> torch.Tensor:
        """Embed token lists of any lengths as [n, D] unit vectors; differentiable. Those of one length go together."""
        parts = self._parts(tokens)
        found = torch.zeros(len(tokens), self.spec.dim, device=self._device)
        for length in sorted({len(ids) for _, ids, _ in parts}):
            rows, some, weights = zip(*(part for part in parts if len(part[1]) == length), strict=True)
            vectors = self._vectors_of(list(some)) * torch.tensor(weights, device=self._device).unsqueeze(1)
            found = found.index_add(0, torch.tensor(rows, device=self._device), vectors)
        return torch.nn.functional.normalize(found, dim=-1)

    def embed(self, captions: list[str]) -> Floats:
        """Embed captions as [n, D] unit vectors; the vector of a caption does not depend on its neighbours."""
        parts = self._parts(self.tokens(captions))
        vectors = self._vectors([ids for _, ids, _ in parts])
        found = np.zeros((len(captions), self.spec.dim), dtype=np.float32)
        for (row, _, weight), vector in zip(parts, vectors, strict=True):
            found[row] += vector * weight
        return unit(found)

    def _parts(self, tokens: list[list[int]]) -> list[tuple[int, list[int], float]]:
        """Cut token lists into what is read at once: place of the text, tokens, share of its vector."""
        return [
            (row, ids[begin:end], weight / len(ids))
            for row, ids in enumerate(tokens)
            for begin, end, weight in self._segments(len(ids))
        ]

    def _vectors(self, tokens: list[list[int]]) -> Floats:
        return embed_in_fixed_shapes(tokens, self.spec.dim, self._vectors_of, self._device)

    def _vectors_of(self, tokens: list[list[int]]) -> torch.Tensor:
        return self._read(torch.tensor(tokens, device=self._device)).float()


def unit(vectors: Floats) -> Floats:
    """Scale rows [n, D] to length 1; zeros stay."""
    found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return found


def find(name: str, hub: HubWeights, given: Path | None) -> tuple[WeightsOnDisk, Tokenizer]:
    """Find the weights of a joint model and read its tokenizer.

    Raises:
        WeightsAbsentError: a file is missing.
        DataError: a file is cut short, or is no tokenizer.
    """
    found = locate(name, hub, given)
    path = found.weights.with_name("tokenizer.json")
    if not path.is_file():
        raise absent(name, hub, path)
    try:
        return found, Tokenizer.from_file(str(path))
    except Exception as error:  # it raises the base class
        raise DataError(f"{path} is not a readable tokenizer: {error}.", hint="Fetch it again.") from error


def xlm_roberta(tensors: dict[str, Any], path: Path) -> Any:
    """Build an XLM-RoBERTa of the sizes that the tensors have, without memory for its weights.

    Raises:
        DataError: they are of another model.
    """
    from transformers import XLMRobertaConfig, XLMRobertaModel

    try:
        words = tensors["embeddings.word_embeddings.weight"]
        layers = [int(name.split(".")[2]) for name in tensors if name.startswith("encoder.layer.")]
        config: Any = XLMRobertaConfig(
            vocab_size=words.shape[0],
            hidden_size=words.shape[1],
            num_hidden_layers=1 + max(layers),
            num_attention_heads=words.shape[1] // HEAD_DIM,
            intermediate_size=tensors["encoder.layer.0.intermediate.dense.weight"].shape[0],
            max_position_embeddings=tensors["embeddings.position_embeddings.weight"].shape[0],
            type_vocab_size=tensors["embeddings.token_type_embeddings.weight"].shape[0],
            layer_norm_eps=1e-5,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"{path} holds no XLM-RoBERTa: {error!r}.") from error
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        return XLMRobertaModel(config, add_pooling_layer=False)
