"""The forward pass of a BERT sentence encoder in numpy: a single query is embedded before torch would have been imported.

The formulas are those of transformers' `BertModel` (post-norm layers, GELU by the error function) with the mean over the
tokens, scaled to length 1.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings.encoders.text import TextEncoderSpec

Floats = NDArray[np.float32]
ROWS = 32
"""The most captions of one length that are embedded at a time."""


class NumpyTextEncoder:
    """A sentence encoder with the architecture of BERT, on a CPU."""

    def __init__(self, spec: TextEncoderSpec, folder: Path) -> None:
        """Read the weights (`model.safetensors`), the configuration and the tokenizer of a folder."""
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.spec = spec
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config["layer_norm_eps"])
        self._tensors: dict[str, Floats] = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(spec.max_tokens)

    def embed(self, captions: list[str]) -> Floats:
        """Embed captions as [n, D] unit vectors."""
        tokens = [
            each.ids for each in self._tokenizer.encode_batch([self.spec.instruction + text for text in captions])
        ]
        by_length: dict[int, list[int]] = defaultdict(list)
        for place, ids in enumerate(tokens):
            by_length[len(ids)].append(place)
        found = np.empty((len(captions), self.spec.dim), dtype=np.float32)
        for places in by_length.values():
            for start in range(0, len(places), ROWS):
                block = places[start : start + ROWS]
                found[block] = self._forward(np.array([tokens[place] for place in block]))
        return found

    def _forward(self, ids: NDArray[np.int64]) -> Floats:
        """Embed token ids [B, T] of equal lengths as [B, D]."""
        rows, length = ids.shape
        states = (
            self._tensors["embeddings.word_embeddings.weight"][ids]
            + self._tensors["embeddings.position_embeddings.weight"][:length]
            + self._tensors["embeddings.token_type_embeddings.weight"][0]
        ).reshape(rows * length, -1)
        states = self._norm(states, "embeddings.LayerNorm")
        for number in range(self._layers):
            layer = f"encoder.layer.{number}"
            attended = self._attend(states, layer, rows, length)
            states = self._norm(
                states + self._dense(attended, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm"
            )
            wide = _gelu(self._dense(states, f"{layer}.intermediate.dense"))
            states = self._norm(states + self._dense(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        means = states.reshape(rows, length, -1).mean(axis=1)
        unit: Floats = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit

    def _attend(self, states: Floats, layer: str, rows: int, length: int) -> Floats:
        def heads(name: str) -> Floats:
            """Return the projection as [B, H, T, D / H]."""
            projected = self._dense(states, f"{layer}.attention.self.{name}")
            return projected.reshape(rows, length, self._heads, -1).transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(query.shape[-1]))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed: Floats = (weights @ value).transpose(0, 2, 1, 3).reshape(rows * length, -1)
        return mixed

    def _dense(self, states: Floats, name: str) -> Floats:
        found: Floats = states @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]
        return found

    def _norm(self, states: Floats, name: str) -> Floats:
        centred = states - states.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + self._epsilon)
        found: Floats = centred / spread * self._tensors[f"{name}.weight"] + self._tensors[f"{name}.bias"]
        return found.astype(np.float32, copy=False)


def _gelu(x: Floats) -> Floats:
    """Return x times the normal distribution function, by Abramowitz and Stegun 7.1.26 (within 1.5e-7)."""
    size = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-size * size))
    found: Floats = (x * 0.5 * (1 + erf)).astype(np.float32, copy=False)
    return found
