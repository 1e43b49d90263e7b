"""Load a model that unisono exported, without unisono: needs numpy, safetensors, and for texts onnxruntime and tokenizers.

    model = load("folder")
    texts = model.embed_text(["slow solemn choir"])      # [n, D] unit vectors
    music = model.project_audio(embeddings)              # [N, A] or [N, L, A] of the audio encoder -> [N, D] unit vectors
    scores = texts @ music.T

This file is part of unisono and under the Apache License 2.0.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

_ERF = np.vectorize(math.erf, otypes=[np.float32])


class ExportedModel:
    """A text tower in ONNX and a music head in numpy."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        self.weights = load_file(self.folder / "model.safetensors")
        self._text: Any = None

    def embed_text(self, texts: list[str]) -> NDArray[Any]:
        """Embed descriptions as [n, D] unit vectors, one at a time: no vector depends on its neighbours."""
        import onnxruntime
        from tokenizers import Tokenizer

        of = self.config["onnx"]
        if self._text is None:
            tokenizer = Tokenizer.from_file(str(self.folder / of["tokenizer"]))
            tokenizer.no_padding()
            tokenizer.enable_truncation(of["most_tokens"])
            self._text = (
                tokenizer,
                onnxruntime.InferenceSession(str(self.folder / of["file"]), providers=["CPUExecutionProvider"]),
            )
        tokenizer, session = self._text
        rows = []
        for text in texts:
            ids = np.array([tokenizer.encode(of["put_before_each_text"] + text).ids], dtype=np.int64)
            rows.append(session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0])
        return np.stack(rows)

    def project_audio(self, embeddings: NDArray[Any]) -> NDArray[Any]:
        """Map embeddings [N, A] or [N, L, A] of the audio encoder that `config.json` describes to [N, D] unit vectors."""
        weights = self.weights
        audio = np.asarray(embeddings, dtype=np.float32)
        if audio.ndim == 2:
            audio = audio[:, None]
        scaled = (audio - weights["scaling.mean"]) * weights["scaling.scale"]
        layers = np.exp(weights["layer_weights"] - weights["layer_weights"].max())
        summed = np.einsum("l,bla->ba", layers / layers.sum(), scaled)
        if weights["scaling.rotation"].size:
            summed = summed @ weights["scaling.rotation"]
        if self.config["architecture"]["projection"] == "joint":
            summed = self._head("audio_head", self.config["architecture"]["audio_head"], summed)
        unit: NDArray[Any] = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
        return unit

    def _head(self, name: str, kind: str, inputs: NDArray[Any]) -> NDArray[Any]:
        if kind == "residual":
            changed: NDArray[Any] = inputs + self._head(f"{name}.change", "mlp", inputs)
            return changed
        if kind == "linear":
            return self._linear(name, inputs)
        hidden = self._linear(f"{name}.0", inputs)
        return self._linear(f"{name}.3", hidden * 0.5 * (1 + _ERF(hidden / math.sqrt(2))))

    def _linear(self, name: str, inputs: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = inputs @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return found


def load(folder: str = ".") -> ExportedModel:
    """Load a model from its folder."""
    return ExportedModel(folder)
