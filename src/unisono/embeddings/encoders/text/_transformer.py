"""The part that text encoders share: a transformer whose last layer is pooled to one vector for each caption.

Matrix products round differently for different numbers of rows. So that a caption has the same vector, bit for bit, alone
or among others, captions are embedded in batches of one shape: equal length in tokens, and a fixed number of rows; the
last batch of a length is filled by repeating a row.
"""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.encoders.text._files import kept, snapshot
from unisono.embeddings.encoders.weights import check_record

TokenPooling = Literal["mean", "last"]

CPU_ROWS = 8
GPU_ROWS = 64


class TorchTextEncoder(torch.nn.Module):
    """A transformer with its tokenizer; frozen until its parameters are set to require gradients."""

    def __init__(self, spec: TextEncoderSpec, model: Any, tokenizer: Any) -> None:
        """Wrap a loaded model; `spec.instruction` is put before each caption."""
        super().__init__()
        self.spec = spec
        self.model = model
        self.tokenizer = tokenizer
        self.requires_grad_(False).eval()

    @property
    def backbone(self) -> torch.nn.Module:
        """The transformer, to which adapters are added."""
        model: torch.nn.Module = self.model
        return model

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.parameters()).device

    def tokens(self, captions: list[str]) -> list[list[int]]:
        """Cut captions into token ids, at most `spec.max_tokens` each, with the instruction before them."""
        if not captions:
            return []
        texts = [self.spec.instruction + caption for caption in captions]
        found: list[list[int]] = self.tokenizer(texts, truncation=True, max_length=self.spec.max_tokens)["input_ids"]
        return found

    def padded(self, tokens: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Bring token lists to one length: ids [n, T] and mask [n, T], padded on the side that the model expects."""
        raise NotImplementedError

    def pooled(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embed padded tokens [n, T] as [n, D] unit vectors; differentiable."""
        raise NotImplementedError

    def forward(self, tokens: list[list[int]]) -> torch.Tensor:
        """Embed tokenised captions, of any lengths, as [n, D] unit vectors; differentiable."""
        return self.pooled(*self.padded(tokens))

    def embed(self, captions: list[str]) -> NDArray[np.float32]:
        """Embed captions as [n, D] unit vectors; the vector of a caption does not depend on its neighbours."""
        return embed_in_fixed_shapes(self.tokens(captions), self.spec.dim, self.forward, self.device)


class TransformerTextEncoder(TorchTextEncoder):
    """A transformer of the hub, with pooling of its last hidden states: their mean, or that of the last token."""

    def __init__(self, spec: TextEncoderSpec, model: torch.nn.Module, tokenizer: Any, pooling: TokenPooling) -> None:
        super().__init__(spec, model, tokenizer)
        self.pooling = pooling

    def padded(self, tokens: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad token lists to one length: ids [n, T] and mask [n, T], padded on the side that the pooling needs."""
        length = max(len(ids) for ids in tokens)
        padding = self.tokenizer.pad_token_id or 0
        gaps = [[padding] * (length - len(ids)) for ids in tokens]
        left = self.pooling == "last"
        rows = [gap + ids if left else ids + gap for ids, gap in zip(tokens, gaps, strict=True)]
        places = torch.arange(length).flip(0) if left else torch.arange(length)
        mask = (places < torch.tensor([[len(ids)] for ids in tokens])).long()
        return torch.tensor(rows, device=self.device), mask.to(self.device)

    def pooled(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embed padded tokens [n, T] as [n, D] unit vectors."""
        states = self._states(input_ids, attention_mask)
        if self.pooling == "last":
            vectors = states[:, -1]
        else:
            weight = attention_mask.unsqueeze(-1).float()
            vectors = (states * weight).sum(dim=1) / weight.sum(dim=1)
        return torch.nn.functional.normalize(vectors, dim=-1)

    def embed_tokens(self, captions: list[str]) -> list[NDArray[np.float32]]:
        """Embed the tokens of each caption as [t, D] unit vectors: its last hidden states, without those of special tokens.

        The vectors of a caption do not depend on its neighbours.
        """
        tokens = self.tokens(captions)
        special = set(self.tokenizer.all_special_ids)

        def forward(batch: list[list[int]]) -> torch.Tensor:
            return torch.nn.functional.normalize(self._states(*self.padded(batch)), dim=-1)

        rows = run_in_fixed_shapes(tokens, forward, self.device)
        kept = ([place for place, id in enumerate(ids) if id not in special] or [0] for ids in tokens)
        return [row[places] for row, places in zip(rows, kept, strict=True)]

    def _states(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states.float()


def embed_in_fixed_shapes(
    tokens: list[list[int]], dim: int, forward: Callable[[list[list[int]]], torch.Tensor], device: torch.device
) -> NDArray[np.float32]:
    """Embed token lists, each as one vector: [n, dim]; see `run_in_fixed_shapes`."""
    rows = run_in_fixed_shapes(tokens, forward, device)
    return np.stack(rows) if rows else np.empty((0, dim), dtype=np.float32)


def run_in_fixed_shapes(
    tokens: list[list[int]], forward: Callable[[list[list[int]]], torch.Tensor], device: torch.device
) -> list[NDArray[np.float32]]:
    """Run token lists in batches of a fixed number of rows of one length each; return a row for each list of `tokens`.

    On a CPU each thread embeds a batch of its own, on one core. This is as fast as sharing each product among all cores if
    the machine is idle, many times faster if it is not, and independent of the number of cores.
    """
    rows = CPU_ROWS if device.type == "cpu" else GPU_ROWS
    by_length: dict[int, list[int]] = defaultdict(list)
    for position, ids in enumerate(tokens):
        by_length[len(ids)].append(position)
    batches = [
        positions[start : start + rows] for positions in by_length.values() for start in range(0, len(positions), rows)
    ]
    found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(tokens)

    @torch.no_grad()
    def embed(batch: list[int]) -> None:
        filled = batch + [batch[0]] * (rows - len(batch))
        for position, row in zip(batch, forward([tokens[position] for position in filled]).cpu().numpy(), strict=False):
            found[position] = row

    if device.type != "cpu":
        for batch in batches:
            embed(batch)
        return found
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(available_cores(), initializer=lambda: torch.set_num_threads(1)) as pool:
            for _ in pool.map(embed, batches):
                pass
    finally:
        torch.set_num_threads(threads)  # a thread's setting is in part that of all threads
    return found


def load(folder: Path, device: str, *, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """Load a model (safetensors only) and its tokenizer from a folder, without running any code that came with it."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=dtype, trust_remote_code=False)
    return model.to(device), tokenizer


def find(spec: TextEncoderSpec, given: Path | None) -> Path:
    """Return the folder of an encoder's files: the given one, the one where weights are kept, or the hub's.

    Raises:
        UnisonoError: they are in none of these, and the hub cannot be reached.
        DataError: a file is cut short or was altered since it was fetched.
    """
    folder = given or kept(spec.name)
    if folder is None:
        return snapshot(
            spec.source, spec.revision, f"When there is a network, fetch them with: unisono encoders fetch {spec.name}"
        )
    if not (folder / "config.json").is_file():
        raise UnisonoError(f"There is no config.json in {folder}: this is not a folder of {spec.title}.")
    check_record(folder, spec.name)
    return folder
