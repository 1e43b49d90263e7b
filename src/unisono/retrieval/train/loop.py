"""The training loop: steps, epochs, validation, checkpoints. It can be stopped at any step, and resumed exactly there."""

import copy
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from unisono.base.errors import DataError, UnisonoError
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.base.words import counted
from unisono.embeddings.encoders.tuned import tuned
from unisono.retrieval import checkpoint as checkpoints
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.metrics import TEXT_TO_MUSIC
from unisono.retrieval.train import distributed, losses
from unisono.retrieval.train.audio import AudioGoneError
from unisono.retrieval.train.config import COLDEST, HOTTEST, RunSettings, TrainingConfig
from unisono.retrieval.train.curves import curves
from unisono.retrieval.train.data import Batch, Sampler
from unisono.retrieval.train.earlier import remove_earlier_run
from unisono.retrieval.train.step import Step
from unisono.retrieval.train.validation import Validation

SAVED_AFTER = 20
"""A save is this many times as far away as the last one took: with a hundred million captions, which take a gigabyte."""
LINES = 20
"""About this many epochs are logged as information; the others are logged for debugging."""


class InterruptionError(UnisonoError):
    """A signal ended the training; the state was saved. The exit code is 128 + the number of the signal, as in a shell."""


@dataclass
class TrainingState:
    """How far a training is; saved in checkpoints."""

    epoch: int = 0
    """Finished epochs."""
    batch: int = 0
    """Finished batches of the current epoch."""
    step: int = 0
    """Steps taken."""
    loss_sum: float = 0.0
    """Sum over the batches of the current epoch."""
    best: float = -1.0
    best_epoch: int = 0
    chance: dict[str, float] = field(default_factory=dict)
    """Metrics of a random ranking of the val split, text to music."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """Loss and metrics of each finished epoch."""
    warnings: list[str] = field(default_factory=list)
    """What speaks against the data."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Id -> why its audio could not be read."""
    mrr_by_luck: float = 0.0
    """The MRR, text to music, that a random ranking may reach on the val split."""


def learning_rate(step: int, steps: int, warmup: int) -> float:
    """Return the learning rate of a step (from 0), relative to its peak: a linear warmup, then a cosine decay to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def make_optimizer(step: Step, config: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW for all that is trained, with weight decay on matrices only."""
    if not config.learn_temperature:
        step.heads.log_scale.requires_grad_(False)
    step.heads.bias.requires_grad_(losses.get(config.loss).initial_bias is not None)
    heads = [parameter for parameter in step.heads.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in heads if each.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [each for each in heads if each.ndim <= 1], "weight_decay": 0.0},
        {"params": step.texts.parameters(), "weight_decay": 0.0, "peak": config.lora_learning_rate},
        *_groups_of_audio(step, config),
    ]
    groups = [{"peak": config.learning_rate, **group} for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _groups_of_audio(step: Step, config: TrainingConfig) -> Iterator[dict[str, Any]]:
    """Yield what is trained of the audio encoder; the learning rate falls from the last stage to the first."""
    stages = step.audio.stages()
    decay = config.weight_decay if config.tune_audio == "full" else 0.0
    for depth, stage in enumerate(reversed(stages)):
        peak = config.audio_learning_rate * config.layer_decay**depth
        yield {"params": [each for each in stage if each.ndim > 1], "weight_decay": decay, "peak": peak}
        yield {"params": [each for each in stage if each.ndim <= 1], "weight_decay": 0.0, "peak": peak}


def _restore(optimizer: torch.optim.AdamW, saved: dict[str, Any]) -> None:
    """Restore the state of the optimizer from a checkpoint.

    Raises:
        DataError: it is that of other parameters, or of another optimizer.
    """
    fresh = optimizer.state_dict()["param_groups"]
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    shapes = {number: each.shape for number, each in enumerate(parameters)}
    fits = len(fresh) == len(saved["param_groups"]) and set(saved["state"]) <= set(shapes)
    for new, old in zip(fresh, saved["param_groups"], strict=False):
        settings = {
            name: list(value) if isinstance(value, tuple) else value for name, value in new.items() if name != "lr"
        }
        fits = fits and all(old.get(name, value) == value for name, value in settings.items())
    for number, state in saved["state"].items() if fits else ():
        moments = [state.get("exp_avg"), state.get("exp_avg_sq")]
        fits = fits and "step" in state and all(each is not None and each.shape == shapes[number] for each in moments)
        fits = fits and state["step"].numel() == 1
    if not fits:
        raise DataError("The optimizer of the checkpoint is not that of its model.", hint="Train a new model.")
    optimizer.load_state_dict(saved)


class Training:
    """A run of the loop."""

    def __init__(
        self,
        config: TrainingConfig,
        settings: RunSettings,
        step: Step,
        sampler: Sampler,
        validation: Validation | None,
        base: Checkpoint,
    ) -> None:
        """Prepare to run.

        Args:
            config: what decides the model.
            settings: how the training runs.
            step: computes gradients.
            sampler: draws the batches.
            validation: measures retrieval after each epoch; None if the val split is empty.
            base: what each checkpoint holds besides the state; if it has a state, the run continues from it.
        """
        self.config = config
        self.settings = settings
        self.step = step
        self.heads = step.heads
        self.sampler = sampler
        self.validation = validation
        self.base = base
        self.optimizer = make_optimizer(step, config)
        self.state = TrainingState(**base.progress)
        self.state.chance = validation.chance if validation else {}
        self.state.mrr_by_luck = validation.mrr_by_luck if validation else 0.0
        step.audio.skipped.update(self.state.skipped)
        if base.optimizer:
            _restore(self.optimizer, base.optimizer)
        self.steps = config.epochs * len(sampler)
        self._best: Checkpoint | None = None
        self._save_at = time.monotonic() + self.settings.save_seconds
        """When the state is saved next."""

    def path_of(self, name: str) -> Path:
        """Return the path of a file of this training: `<checkpoint_dir>/<encoder>_<name>`."""
        return self.settings.checkpoint_dir / f"{self.config.audio_encoder}_{name}"

    @property
    def last_path(self) -> Path:
        """Where the state is saved."""
        return self.path_of("last.pt")

    @property
    def best_path(self) -> Path:
        """Where the weights of the best epoch are saved."""
        return self.path_of("best.pt")

    def begin_folder_again(self) -> None:
        """Remove what an earlier training left in the folder."""
        if distributed.rank() == 0:
            remove_earlier_run(self.settings.checkpoint_dir, self.config.audio_encoder)

    def run(self) -> None:
        """Train until all epochs are done, or none was better for `patience` epochs.

        Raises:
            UnisonoError: the loss is no longer a number, or a checkpoint cannot be written.
            InterruptionError: a signal came; the state was saved.
        """
        if self.state.epoch >= self.config.epochs or self._out_of_patience():
            self.save()
            log.info("%s is complete: %d epochs were trained.", self.last_path, self.state.epoch)
            return
        if self.config.model and self.validation and not self.state.step:
            found = self.validation(self.heads, self.step.texts, self.step.audio)[TEXT_TO_MUSIC]
            log.info("%s, before the first step: %s", self.config.model, _in_words(found, self.validation.chance))
        if self.state.step:
            log.info("Continuing %s at step %d of %d.", self.last_path, self.state.step, self.steps)
        folder = self.settings.checkpoint_dir / "tensorboard" / self.config.audio_encoder
        with (
            self._saving_what_is_left(),
            signals_noted() as received,
            progress("steps") as bar,
            curves(folder, self.state.step) as add_to_curves,
            ExitStack() as stack,
        ):
            task = bar.add_task("Training", total=self.steps, completed=self.state.step)
            batches = stack.enter_context(closing(self.step.audio.ahead(self._batches(), self.state.step)))
            while self.state.epoch < self.config.epochs and not self._out_of_patience():
                for batch in islice(batches, len(self.sampler) - self.state.batch):
                    self._take(batch)
                    bar.advance(task)
                    if distributed.any_process(bool(received), self.step.device):
                        self._stop(received)
                    if time.monotonic() > self._save_at:
                        self.save()
                add_to_curves(self._finish_epoch())
        self.save()

    def _batches(self) -> Iterator[Batch]:
        """Yield the batches that are left, of all epochs."""
        skip = self.state.batch
        for epoch in range(self.state.epoch, self.config.epochs):
            yield from self.sampler.epoch(epoch)[skip:]
            skip = 0

    @contextmanager
    def _saving_what_is_left(self) -> Iterator[None]:
        """If another process is lost, save the state after the last whole step: weights change only when all have met."""
        try:
            yield
        except distributed.LostProcessError as error:
            if distributed.rank() > 0:
                raise
            self.save()
            raise distributed.LostProcessError(
                f"{error.message} The state after step {self.state.step} of {self.steps} was saved to {self.last_path}.",
                hint="Continue with the same command, on any number of processes that shares the batch.",
            ) from error
        except AudioGoneError:
            self.save()
            raise

    def _take(self, batch: Batch) -> None:
        at = self.state
        share = learning_rate(at.step, self.steps, round(self.config.warmup * self.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = share * group["peak"]
        self.optimizer.zero_grad(set_to_none=True)
        with _memory_explained(self.step.device, len(batch.rows), self.config):
            loss = self.step(batch, at.step)
        if not math.isfinite(loss):
            ids = [self.step.data.rows.ids[row] for row in batch.rows]
            raise UnisonoError(
                f"The loss became {loss} at step {at.step} (epoch {at.epoch + 1}); this step was not saved. "
                f"The batch's ids: {', '.join(ids)}.",
                hint=f"Try a lower learning rate than {self._rates()}, or a higher temperature.",
            )
        self.optimizer.step()
        with torch.no_grad():
            self.heads.log_scale.clamp_(-math.log(HOTTEST), -math.log(COLDEST))
        at.step += 1
        at.batch += 1
        at.loss_sum += loss

    def _rates(self) -> str:
        of_audio = f" (audio encoder: {self.config.audio_learning_rate:g})" if self.config.tune_audio else ""
        return f"{self.config.learning_rate:g}{of_audio}"

    def _finish_epoch(self) -> dict[str, Any]:
        at = self.state
        entry: dict[str, Any] = {
            "epoch": at.epoch + 1,
            "step": at.step,
            "loss": at.loss_sum / at.batch,
            "temperature": self.heads.temperature,
        }
        if self.validation is not None:
            entry.update(self.validation(self.heads, self.step.texts, self.step.audio))
        at.epoch, at.batch, at.loss_sum = at.epoch + 1, 0, 0.0
        at.history.append(entry)
        score = entry[TEXT_TO_MUSIC][self.config.select_by] if self.validation is not None else float(at.epoch)
        if score > at.best:
            at.best, at.best_epoch = score, at.epoch
            self._best = self.snapshot(optimizer=False)
        self._report(entry)
        self._keep()
        return entry

    def _keep(self) -> None:
        """Write the periodic checkpoint, if it is due, and remove those beyond the limit."""
        every = self.settings.keep_every
        if distributed.rank() != 0 or every is None or self.state.epoch % every:
            return
        path = self.path_of(f"epoch{self.state.epoch:05d}.pt")
        checkpoints.save(path, self.snapshot())
        for older in sorted(path.parent.glob(f"{self.config.audio_encoder}_epoch*.pt"))[: -self.settings.keep_limit]:
            older.unlink()

    def _report(self, entry: dict[str, Any]) -> None:
        epochs = self.config.epochs
        level = "info" if entry["epoch"] % max(1, epochs // LINES) == 0 or entry["epoch"] == epochs else "debug"
        line = f"Epoch {entry['epoch']}/{epochs}: loss {entry['loss']:.4f}"
        if self.validation is not None:
            line += f", {_in_words(entry[TEXT_TO_MUSIC], self.validation.chance)}"
        getattr(log, level)(line)

    def _out_of_patience(self) -> bool:
        waited = self.state.epoch - self.state.best_epoch
        enough = self.config.patience is not None and self.validation is not None and waited >= self.config.patience
        if not distributed.any_process(enough, self.step.device):
            return False
        log.info("%s", self.why_stopped)
        return True

    @property
    def why_stopped(self) -> str:
        """Why the training stopped before its last epoch, in a sentence; empty if it did not."""
        at, measure = self.state, self.config.select_by
        if at.epoch >= self.config.epochs or self.config.patience is None or self.validation is None:
            return ""
        best, last = at.history[at.best_epoch - 1], at.history[-1]
        loss = "while the training loss fell" if last["loss"] < best["loss"] else "and the training loss went"
        waited = counted(at.epoch - at.best_epoch, "epoch")
        return (
            f"Stopped early, after epoch {at.epoch} of {self.config.epochs}: val text to music {measure} was best after "
            f"epoch {at.best_epoch} ({at.best:.3f}) and not better in {waited} since (now "
            f"{last[TEXT_TO_MUSIC][measure]:.3f}), {loss} from {best['loss']:.4f} to {last['loss']:.4f}."
        )

    def _stop(self, received: list[int]) -> None:
        self.save()
        name = signal.Signals(received[0]).name if received else "A signal in another process"
        error = InterruptionError(
            f"{name} received at step {self.state.step} of {self.steps}: the state was saved to {self.last_path}.",
            hint=f"Continue with: unisono train --resume {self.last_path}",
        )
        error.exit_code = 128 + received[0] if received else 1
        raise error

    def save(self) -> None:
        """Write the weights of the best epoch, if they are new, and the state."""
        began = time.monotonic()
        if distributed.rank() == 0:
            if self._best is not None:
                checkpoints.save(self.best_path, self._best)
                self._best = None
            checkpoints.save(self.last_path, self.snapshot())
        ended = time.monotonic()
        self._save_at = ended + max(self.settings.save_seconds, SAVED_AFTER * (ended - began))

    def snapshot(self, *, optimizer: bool = True) -> Checkpoint:
        """Return a copy of the state, with or without that of the optimizer."""
        tower = self.step.audio.weights()
        self.state.skipped = dict(self.step.audio.skipped)
        return replace(
            self.base,
            audio_encoder=tuned(self.base.audio_encoder, tower) if tower else self.base.audio_encoder,
            tower=tower,
            weights=_copied(self.heads.state_dict()),
            adapter=_copied(self.step.texts.state()),
            optimizer=self.optimizer.state_dict() if optimizer else {},
            progress=copy.deepcopy(vars(self.state)),
        )


def _in_words(found: dict[str, float], chance: dict[str, float]) -> str:
    return (
        f"val text to music: recall@10 {found['recall@10']:.1%} (chance {chance['recall@10']:.1%}), "
        f"MRR {found['mrr']:.3f} (chance {chance['mrr']:.3f})"
    )


@contextmanager
def _memory_explained(device: torch.device, batch: int, config: TrainingConfig) -> Iterator[None]:
    """Turn the error of a device that has too little memory into one that says what to do."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "not enough memory" not in str(error):
            raise
        micro = max(1, min(config.micro_batch or batch, batch) // 4)
        raise UnisonoError(
            f"{device} has not enough memory for {config.micro_batch or batch} excerpts at a time.",
            hint=f"Let fewer go through the model at a time, which changes no gradient: --micro-batch {micro}. "
            "With --tune-audio, --gradient-checkpointing needs less memory for each. "
            "These are options of a new training: --overwrite, or another --checkpoint-dir.",
        ) from error


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list until the block ends; a second one raises KeyboardInterrupt.

    Signals that the caller ignores (as under `nohup`) stay ignored. Outside the main thread, where Python allows no
    handlers, nothing is collected.
    """
    received: list[int] = []

    def note(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        log.info("%s: finishing the step and saving the state.", signal.Signals(number).name)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
