"""One step: a batch through the model, the loss, the gradient.

A batch that is too large for the memory goes through the model in parts, twice (gradient caching, Gao et al. 2021): first
without gradients, to get all embeddings and the gradient of the loss with respect to them, then part by part with
gradients. The result is the gradient of the whole batch, with the memory of one part.
"""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unisono.base import memory
from unisono.base.seeded import rank_key
from unisono.embeddings.encoders.text_store import TextTable
from unisono.embeddings.encoders.text_tokens import TokenTable
from unisono.retrieval.heads import ProjectionHeads
from unisono.retrieval.positives import Positives, positives
from unisono.retrieval.train import distributed, losses
from unisono.retrieval.train.audio import AudioSource, StoredAudio
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.data import Batch, SplitData
from unisono.retrieval.train.losses import EmbeddedBatch
from unisono.retrieval.train.terms import false_captions_term, maxsim_term

Embedded = dict[str, Tensor]
"""What a step compares, by name, each [b, ...]: text, audio, and whatever terms of the loss need."""


class TextSource(Protocol):
    """Where the text embeddings of the captions come from."""

    def __call__(self, captions: NDArray[np.int64]) -> Tensor:
        """Return the text embeddings [b, T] of the captions at these places."""
        ...

    def parameters(self) -> list[nn.Parameter]:
        """Return what is trained in it."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return the weights of what is trained in it."""
        ...

    def train(self, mode: bool) -> None:
        """Switch dropout on (True) or off (False)."""
        ...


class StoredTexts:
    """The embeddings of a frozen text encoder, computed before the training."""

    def __init__(self, table: TextTable, device: torch.device) -> None:
        self.table = table
        self.device = device

    def __call__(self, captions: NDArray[np.int64]) -> Tensor:
        """Return the text embeddings [b, T] of the captions at these places."""
        return torch.from_numpy(self.table.rows(captions)).to(self.device, non_blocking=True)

    def parameters(self) -> list[nn.Parameter]:
        """Return nothing: nothing is trained in it."""
        return []

    def state(self) -> dict[str, Tensor]:
        """Return nothing: nothing is trained in it."""
        return {}

    def train(self, mode: bool) -> None:
        """Do nothing: stored embeddings have no dropout."""


class Step:
    """Computes the loss of a batch and its gradient."""

    def __init__(
        self,
        heads: ProjectionHeads,
        data: SplitData,
        texts: TextSource,
        config: TrainingConfig,
        start: ProjectionHeads | None = None,
        tokens: TokenTable | None = None,
        audio: AudioSource | None = None,
    ) -> None:
        """Prepare.

        Args:
            heads: are trained.
            data: the train split.
            texts: the embeddings of its captions.
            config: the settings.
            start: the heads at the beginning, near which `keep_near` keeps the others.
            tokens: the vectors of the tokens of the captions, for `maxsim`.
            audio: the embeddings of its music. Default: those that are stored.
        """
        self.heads = heads
        self.start = start
        self.data = data
        self.texts = texts
        self.tokens = tokens
        self.audio: AudioSource = audio or StoredAudio(data)
        self.config = config
        self.device = heads.log_scale.device
        self._loss = losses.get(config.loss)
        if self.device.type == "cpu":
            memory.keep_freed()

    def __call__(self, batch: Batch, number: int) -> float:
        """Add the gradient of a batch to the parameters, averaged over the processes, and return the loss.

        Args:
            batch: the whole batch; each process takes its part of it.
            number: of the step; everything random in it depends only on this and the seed.
        """
        self.heads.train()
        self.texts.train(True)
        self.audio.train(True)
        if self.tokens is not None:
            batch = replace(batch, longest=self.tokens.longest(batch.captions))
        mine = distributed.mine(len(batch.rows))
        size = mine.stop - mine.start
        pairing = self.data.pairing
        positive = positives(pairing.text_of[batch.captions], pairing.recording[batch.rows], mine).to(self.device)
        micro = min(self.config.micro_batch or size, size)
        parts = [batch.part(start, min(start + micro, mine.stop)) for start in range(mine.start, mine.stop, micro)]
        if len(parts) == 1:
            loss = self._whole_loss(self._embed(parts[0], number, 0), positive, parts, number)
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
        else:
            loss = self._in_parts(parts, positive, number)
        distributed.average_gradients(self.trained())
        return distributed.average(float(loss), self.device)

    def trained(self) -> list[nn.Parameter]:
        """Return all parameters that are trained."""
        of_audio = [each for stage in self.audio.stages() for each in stage]
        return [each for each in [*self.heads.parameters(), *self.texts.parameters(), *of_audio] if each.requires_grad]

    def loss(self, embedded: Embedded, positive: Positives, number: int) -> Tensor:
        """Compute the loss of this process's rows; its mean over the processes is the loss of the batch."""
        text, audio, scale = embedded["text"], embedded["audio"], self.heads.log_scale.exp()
        seed = rank_key(self.config.seed, "loss", number)
        batch = EmbeddedBatch(text, audio, distributed.gather(text), distributed.gather(audio), positive, seed)
        return self._loss.compute(batch, scale, self.heads.bias)

    def _whole_loss(self, embedded: Embedded, positive: Positives, parts: list[Batch], number: int) -> Tensor:
        """Compute the loss of the embeddings of these parts, and all that is added to it."""
        loss = self.loss(embedded, positive, number)
        text, audio = embedded["text"], embedded["audio"]
        if "false" in embedded:
            places = torch.from_numpy(np.concatenate([part.false for part in parts if part.false is not None]))
            term = false_captions_term(
                text, audio, embedded["false"], places.to(self.device) >= 0, self.heads.log_scale.exp()
            )
            loss = loss + self.config.hard_negative_weight * term
        if "tokens" in embedded:
            there = embedded["tokens"].detach().any(dim=2).to(audio.dtype)
            term = maxsim_term(embedded["tokens"], there, embedded["windows"], positive, self.heads.log_scale.exp())
            loss = (1 - self.config.maxsim) * loss + self.config.maxsim * term
        if self.start is None:
            return loss
        with torch.no_grad():
            then_text = torch.cat([self.start.embed_text(self.texts(part.captions)) for part in parts])
            then_audio = torch.cat(
                [self.start.embed_audio(self.audio(part).to(self.device, torch.float32)) for part in parts]
            )
        apart = 2 - (text * then_text).sum(dim=1).mean() - (audio * then_audio).sum(dim=1).mean()
        return loss + self.config.keep_near * apart

    def _embed(self, part: Batch, number: int, place: int) -> Embedded:
        self._seed(number, place)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            each = self.audio.windows(part).to(self.device, torch.float32) if self.tokens is not None else None
            audio = self.audio(part).to(self.device, torch.float32) if each is None else each.mean(dim=1)
            found = {
                "text": self.heads.embed_text(self.texts(part.captions)),
                "audio": self.heads.embed_audio(audio, self.config.noise),
            }
            if part.false is not None:  # where there is none, the caption itself, which then does not count
                false = np.where(part.false < 0, part.captions, part.false)
                found["false"] = self.heads.embed_text(self.texts(false))
            if self.tokens is not None and each is not None:
                found["tokens"], found["windows"] = self._embed_parts_of(part, self.tokens, each)
        return found

    def _embed_parts_of(self, part: Batch, table: TokenTable, each: Tensor) -> tuple[Tensor, Tensor]:
        """Embed the tokens of the captions [b, T, D], 0 where there is none, and windows [b, W, L, A] as [b, W, D]."""
        rows, there = table.rows(part.captions, part.longest)
        tokens = self.heads.embed_tokens(torch.from_numpy(rows).to(self.device))
        embedded = self.heads.embed_audio(each.flatten(0, 1), self.config.noise).reshape(*each.shape[:2], -1)
        return tokens * torch.from_numpy(there).to(self.device).unsqueeze(2), embedded

    def _seed(self, number: int, place: int) -> None:
        """Seed the randomness of a part of a step by its place (`torch.manual_seed` would take a millisecond)."""
        key = rank_key(self.config.seed, "step", number, distributed.rank(), place)
        torch.default_generator.manual_seed(key)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(key)

    def _in_parts(self, parts: list[Batch], positive: Positives, number: int) -> Tensor:
        with torch.no_grad():
            embedded = [self._embed(part, number, place) for place, part in enumerate(parts)]
        whole = {name: torch.cat([each[name] for each in embedded]).requires_grad_() for name in embedded[0]}
        loss = self._whole_loss(whole, positive, parts, number)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: torch.zeros_like(each) if each.grad is None else each.grad for name, each in whole.items()}
        start = 0
        for place, part in enumerate(parts):
            rows = slice(start, start + len(part.rows))
            again = {name: each for name, each in self._embed(part, number, place).items() if each.requires_grad}
            torch.autograd.backward(list(again.values()), [gradients[name][rows] for name in again])
            start = rows.stop
        return loss.detach()
