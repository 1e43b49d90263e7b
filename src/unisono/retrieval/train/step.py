"""One step: a batch through the model, the loss, the gradient.

A batch too large for the memory goes through the model in parts, twice: first without gradients, to get all embeddings
and the loss's gradient with respect to them, then part by part with gradients. The result is the gradient of the whole
batch, every pair compared with every other, at the memory of one part.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unisono.base.seeded import rank_key
from unisono.embeddings.encoders.text_store import TextTable
from unisono.retrieval.model import RetrievalModel
from unisono.retrieval.train import distributed
from unisono.retrieval.train.data import Batch, SplitData
from unisono.retrieval.train.losses import Positives, positives, siglip, symmetric_info_nce
from unisono.retrieval.train.options import TrainOptions


class TextSource(Protocol):
    """Where the text encoder's embeddings of the captions come from."""

    def __call__(self, captions: NDArray[np.int64]) -> Tensor:
        """Give the embeddings [b, T] of the captions at these places."""
        ...

    def parameters(self) -> list[nn.Parameter]:
        """List what is trained in it."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Give the weights of what is trained in it."""
        ...

    def train(self, mode: bool) -> None:
        """Switch to training (True), with dropout, or to use (False)."""
        ...


class StoredTexts:
    """The embeddings of a frozen encoder, computed before."""

    def __init__(self, table: TextTable, device: torch.device) -> None:
        self.table = table
        self.device = device

    def __call__(self, captions: NDArray[np.int64]) -> Tensor:
        """Give the embeddings [b, T] of the captions at these places."""
        return torch.from_numpy(self.table.rows(captions)).to(self.device, non_blocking=True)

    def parameters(self) -> list[nn.Parameter]:
        """List what is trained in it: nothing."""
        return []

    def state(self) -> dict[str, Tensor]:
        """Give the weights of what is trained in it: nothing."""
        return {}

    def train(self, mode: bool) -> None:
        """Do nothing: stored embeddings are the same in training and in use."""


class Step:
    """Computes the loss of a batch and its gradient."""

    def __init__(self, model: RetrievalModel, data: SplitData, texts: TextSource, options: TrainOptions) -> None:
        self.model = model
        self.data = data
        self.texts = texts
        self.options = options
        self.device = model.log_scale.device
        if self.device.type == "cpu":
            _keep_freed_memory()

    def __call__(self, batch: Batch, number: int) -> float:
        """Add the gradient of a batch to the parameters, averaged over the processes, and give the loss.

        Args:
            batch: the whole batch; a process takes its part of it.
            number: of the step; what is random in it depends on that and on the seed alone.
        """
        self.model.train()
        self.texts.train(True)
        size = len(batch.rows) // distributed.world_size()
        mine = slice(distributed.rank() * size, (distributed.rank() + 1) * size)
        pairing = self.data.pairing
        positive = positives(pairing.text_of[batch.captions], pairing.recording[batch.rows], mine).to(self.device)
        micro = min(self.options.micro_batch or size, size)
        parts = [batch.part(start, min(start + micro, mine.stop)) for start in range(mine.start, mine.stop, micro)]
        if len(parts) == 1:
            loss = self.loss(*self._embed(parts[0], number, 0), positive)
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
        else:
            loss = self._in_parts(parts, positive, number)
        distributed.average_gradients(self.trained())
        return distributed.average(float(loss), self.device)

    def trained(self) -> list[nn.Parameter]:
        """List all that is trained."""
        return [each for each in [*self.model.parameters(), *self.texts.parameters()] if each.requires_grad]

    def loss(self, text: Tensor, audio: Tensor, positive: Positives) -> Tensor:
        """Compare this process's rows [b, D] with all processes' rows; the mean over the processes is the batch's loss."""
        all_audio = distributed.gather(audio)
        scale = self.model.log_scale.exp()
        if self.options.loss == "siglip":
            return siglip((scale * text) @ all_audio.T + self.model.bias, positive)
        all_text = distributed.gather(text)
        return symmetric_info_nce(text, audio, all_text, all_audio, positive, scale)

    def _embed(self, part: Batch, number: int, place: int) -> tuple[Tensor, Tensor]:
        self._seed(number, place)
        audio = self._audio(part).to(self.device, torch.float32)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            return (
                self.model.embed_text(self.texts(part.captions)),
                self.model.embed_audio(audio, self.options.noise),
            )

    def _audio(self, part: Batch) -> Tensor:
        if part.windows is not None and self.data.windows is not None:
            return self.data.windows.mean(part.windows)
        return self.data.audio[torch.from_numpy(part.rows)]

    def _seed(self, number: int, place: int) -> None:
        """Make what is random in a part of a step depend on its place alone (`torch.manual_seed` takes a millisecond)."""
        key = rank_key(self.options.seed, "step", number, distributed.rank(), place)
        torch.default_generator.manual_seed(key)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(key)

    def _in_parts(self, parts: list[Batch], positive: Positives, number: int) -> Tensor:
        with torch.no_grad():
            embedded = [self._embed(part, number, place) for place, part in enumerate(parts)]
        text, audio = (torch.cat(side).requires_grad_() for side in zip(*embedded, strict=True))
        loss = self.loss(text, audio, positive)
        loss.backward()  # type: ignore[no-untyped-call]
        assert text.grad is not None and audio.grad is not None
        sizes = [len(part.rows) for part in parts]
        gradients = zip(torch.split(text.grad, sizes), torch.split(audio.grad, sizes), strict=True)
        for place, (part, gradient) in enumerate(zip(parts, gradients, strict=True)):
            again = self._embed(part, number, place)
            torch.autograd.backward(
                [side for side in again if side.requires_grad],
                [grad for side, grad in zip(again, gradient, strict=True) if side.requires_grad],
            )
        return loss.detach()


def _keep_freed_memory() -> None:
    """Let glibc keep the memory that a step frees for the next step, instead of fetching it anew from the kernel each time.

    Having freed a large block teaches it that such blocks come and go; 31 MiB is about the most that it learns from.
    """
    torch.empty(31 << 20, dtype=torch.uint8)
