"""The loop: steps, epochs, validation, checkpoints; stoppable at any step and going on exactly where it stopped."""

import copy
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.retrieval import checkpoint as checkpoints
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.pairing import MUSIC_TO_TEXT, TEXT_TO_MUSIC
from unisono.retrieval.train import distributed
from unisono.retrieval.train.data import Batch, Sampler
from unisono.retrieval.train.options import COLDEST, HOTTEST, TrainOptions
from unisono.retrieval.train.step import Step
from unisono.retrieval.train.validation import Validation

SHOWN = (TEXT_TO_MUSIC, MUSIC_TO_TEXT)
LINES = 20
"""About so many epochs are reported on the console."""


class InterruptionError(UnisonoError):
    """A signal ended the run; the state was saved. The exit code is 128 + the signal's number, as in a shell."""


@dataclass
class Progress:
    """Where the training stands; saved in checkpoints."""

    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches of the current epoch finished."""
    step: int = 0
    """Steps taken."""
    loss_sum: float = 0.0
    """Of the current epoch's batches."""
    best: float = -1.0
    best_epoch: int = 0
    chance: dict[str, float] = field(default_factory=dict)
    """What a random model gets on the val split, text to music."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """For each finished epoch: its loss and metrics."""


def learning_rate(step: int, steps: int, warmup: int) -> float:
    """Give the learning rate of a step (from 0), over its peak: linear over `warmup` steps, then a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def make_optimizer(step: Step, options: TrainOptions) -> torch.optim.AdamW:
    """Make AdamW over all that is trained; only matrices decay."""
    if not options.learn_temperature:
        step.model.log_scale.requires_grad_(False)
    step.model.bias.requires_grad_(options.loss == "siglip")
    heads = [parameter for parameter in step.model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in heads if each.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [each for each in heads if each.ndim <= 1], "weight_decay": 0.0},
        {"params": step.texts.parameters(), "weight_decay": 0.0, "peak": options.lora_learning_rate},
    ]
    groups = [{"peak": options.learning_rate, **group} for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


class Training:
    """A run of the loop."""

    def __init__(
        self,
        options: TrainOptions,
        step: Step,
        sampler: Sampler,
        validation: Validation | None,
        base: Checkpoint,
    ) -> None:
        """Prepare to run.

        Args:
            options: of the run.
            step: computes gradients.
            sampler: draws the batches.
            validation: measures retrieval after each epoch; None where there is no val split.
            base: what each checkpoint says besides the state; if it has a state, the run goes on from there.
        """
        self.options = options
        self.step = step
        self.model = step.model
        self.sampler = sampler
        self.validation = validation
        self.base = base
        self.optimizer = make_optimizer(step, options)
        self.progress = Progress(**base.progress)
        self.progress.chance = validation.chance if validation else {}
        if base.optimizer:
            self.optimizer.load_state_dict(base.optimizer)
        self.steps = options.epochs * len(sampler)
        self._best: Checkpoint | None = None
        self._saved = time.monotonic()

    @property
    def last_path(self) -> Path:
        """Where the state is saved."""
        return self.options.checkpoint_dir / f"{self.options.audio_encoder}_last.pt"

    @property
    def best_path(self) -> Path:
        """Where the best epoch's weights are saved."""
        return self.options.checkpoint_dir / f"{self.options.audio_encoder}_best.pt"

    def run(self) -> Progress:
        """Train until the epochs are done or the patience is at its end.

        Raises:
            UnisonoError: the loss is no longer a number, or a checkpoint cannot be written.
            InterruptionError: a signal came; the state was saved.
        """
        with _signals() as received, progress("steps") as bar, Board(self.options, self.progress) as board:
            task = bar.add_task("Training", total=self.steps, completed=self.progress.step)
            while self.progress.epoch < self.options.epochs and not self._out_of_patience():
                for batch in self.sampler.epoch(self.progress.epoch)[self.progress.batch :]:
                    self._take(batch)
                    bar.advance(task)
                    if distributed.any_process(bool(received), self.step.device):
                        self._stop(received)
                    if time.monotonic() - self._saved > self.options.save_seconds:
                        self.save()
                board.add(self._finish_epoch())
        self.save()
        return self.progress

    def _take(self, batch: Batch) -> None:
        at = self.progress
        share = learning_rate(at.step, self.steps, round(self.options.warmup * self.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = share * group["peak"]
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.step(batch, at.step)
        if not math.isfinite(loss):
            ids = [self.step.data.rows.ids[row] for row in batch.rows]
            raise UnisonoError(
                f"The loss became {loss} at step {at.step} (epoch {at.epoch + 1}); nothing of it was saved. "
                f"The batch's ids: {', '.join(ids)}.",
                hint=f"Try a lower --learning-rate than {self.options.learning_rate:g}, or a higher --temperature.",
            )
        self.optimizer.step()
        with torch.no_grad():
            self.model.log_scale.clamp_(-math.log(HOTTEST), -math.log(COLDEST))
        at.step += 1
        at.batch += 1
        at.loss_sum += loss

    def _finish_epoch(self) -> dict[str, Any]:
        at = self.progress
        entry: dict[str, Any] = {
            "epoch": at.epoch + 1,
            "step": at.step,
            "loss": at.loss_sum / at.batch,
            "temperature": self.model.temperature,
        }
        if self.validation is not None:
            entry.update(self.validation(self.model, self.step.texts))
        at.epoch, at.batch, at.loss_sum = at.epoch + 1, 0, 0.0
        at.history.append(entry)
        score = entry[TEXT_TO_MUSIC][self.options.select_by] if self.validation is not None else float(at.epoch)
        if score > at.best:
            at.best, at.best_epoch = score, at.epoch
            self._best = self._checkpoint({})
        self._report(entry)
        self._keep()
        return entry

    def _keep(self) -> None:
        """Write the periodic checkpoint, if one is due, and remove those beyond the limit."""
        every = self.options.keep_every
        if distributed.rank() != 0 or every is None or self.progress.epoch % every:
            return
        pattern = f"{self.options.audio_encoder}_epoch"
        path = self.last_path.with_name(f"{pattern}{self.progress.epoch:05d}.pt")
        checkpoints.save(path, self._checkpoint(self.optimizer.state_dict()))
        for older in sorted(path.parent.glob(f"{pattern}*.pt"))[: -self.options.keep_limit]:
            older.unlink()

    def _report(self, entry: dict[str, Any]) -> None:
        epochs = self.options.epochs
        level = "info" if entry["epoch"] % max(1, epochs // LINES) == 0 or entry["epoch"] == epochs else "debug"
        line = f"Epoch {entry['epoch']}/{epochs}: loss {entry['loss']:.4f}"
        if self.validation is not None:
            found, chance = entry[TEXT_TO_MUSIC], self.validation.chance
            line += (
                f", val text to music: recall@10 {found['recall@10']:.1%} (chance {chance['recall@10']:.1%}), "
                f"MRR {found['mrr']:.3f} (chance {chance['mrr']:.3f})"
            )
        getattr(log, level)(line)

    def _out_of_patience(self) -> bool:
        waited = self.progress.epoch - self.progress.best_epoch
        enough = self.options.patience is not None and self.validation is not None and waited >= self.options.patience
        if not distributed.any_process(enough, self.step.device):
            return False
        log.info("No better epoch for %d epochs: stopping early.", waited)
        return True

    def _stop(self, received: list[int]) -> None:
        self.save()
        name = signal.Signals(received[0]).name if received else "A signal in another process"
        error = InterruptionError(
            f"{name} received at step {self.progress.step} of {self.steps}: the state was saved to {self.last_path}.",
            hint=f"Go on with: unisono train --resume {self.last_path}",
        )
        error.exit_code = 128 + received[0] if received else 1
        raise error

    def save(self) -> None:
        """Write the best epoch's weights, if they are new, and the state."""
        if distributed.rank() == 0:
            if self._best is not None:
                checkpoints.save(self.best_path, self._best)
                self._best = None
            checkpoints.save(self.last_path, self._checkpoint(self.optimizer.state_dict()))
        self._saved = time.monotonic()

    def _checkpoint(self, optimizer: dict[str, Any]) -> Checkpoint:
        return replace(
            self.base,
            weights=_copied(self.model.state_dict()),
            adapter=_copied(self.step.texts.state()),
            optimizer=optimizer,
            progress=copy.deepcopy(vars(self.progress)),
        )


class Board:
    """Writes the curves for TensorBoard, below the checkpoint folder."""

    def __init__(self, options: TrainOptions, progress: Progress) -> None:
        self.folder = options.checkpoint_dir / "tensorboard" / options.audio_encoder
        self.begin = progress.step
        self.writer: Any = None

    def __enter__(self) -> "Board":
        if distributed.rank() == 0:
            from torch.utils.tensorboard import SummaryWriter

            # what an interrupted run wrote beyond the step it is resumed from is struck out
            self.writer = SummaryWriter(str(self.folder), purge_step=self.begin)
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def add(self, entry: dict[str, Any]) -> None:
        """Add an epoch."""
        if self.writer is None:
            return
        for name in ("loss", "temperature"):
            self.writer.add_scalar(f"train/{name}", entry[name], entry["step"])
        for direction in SHOWN:
            for name, value in entry.get(direction, {}).items():
                self.writer.add_scalar(f"val_{direction}/{name}", value, entry["step"])


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one ends the run at once."""
    received: list[int] = []

    def note(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        log.info("%s: finishing the step and saving the state.", signal.Signals(number).name)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
