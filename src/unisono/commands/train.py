"""`unisono train`: from prepared embeddings to a model."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from unisono.base.extras import extra, require
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.options import StageOptions
from unisono.retrieval.train import losses
from unisono.retrieval.train.config import RunSettings, TrainingConfig
from unisono.tracks.workspace import DEFAULT_ROOT, Workspace

if TYPE_CHECKING:
    from unisono.retrieval.train.run import TrainedModel

    LossName = str
else:
    LossName = Literal[tuple(losses.names())]  # so that --help lists them


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunSettings, TrainingConfig, StageOptions):
    """Options of `unisono train`: where the data is, what decides the model, and how the training runs."""

    data_dir: tuple[Path, ...] = ()
    """Folder of `embeddings.h5`, or several. Default: `DATA-ROOT/processed_embeddings`."""
    resume: Path | None = None
    """Checkpoint to resume exactly; its options hold, except those given here that do not change the result."""
    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace the checkpoints of another training in `--checkpoint-dir`, or begin this one again. Otherwise the same
    command continues an interrupted training, and another one is refused."""
    tune_text: Literal["lora"] | None = None
    """Tune the text encoder too: the same as --lora."""
    loss: LossName = "infonce"
    """Loss: infonce (symmetric, a softmax over the batch), dcl (decoupled: over the negatives alone), siglip (each pair
    classified on its own), or infonce_sigreg (infonce, and embeddings spread evenly over the sphere)."""

    @property
    def data_paths(self) -> Sequence[Path] | None:
        """The folders of the embeddings; None for those of the checkpoint to resume."""
        if self.data_dir or (self.resume and self.data_root == DEFAULT_ROOT):
            return self.data_dir or None
        return [Workspace(self.data_root).embeddings]


def run(options: TrainOptions) -> "TrainedModel":
    """Train, print how it went, and return the model."""
    require("train", "Training", ("tensorboard",))
    if options.lora or options.tune_text or options.tune_audio == "lora":
        require("lora", "Tuning an encoder with LoRA", ("peft",))
    with extra("train", "Training"):
        from unisono.retrieval.train.run import train as train_model
    own = {"data_root", "data_dir", "resume", "overwrite", "tune_text"}
    given = {each.name: getattr(options, each.name) for each in fields(options) if each.name not in own}
    defaults = {each.name: each.default for each in fields(options)}
    changed = {name: value for name, value in given.items() if value != defaults[name]}
    if options.tune_text:
        changed["lora"] = True
    with _first_process_alone():
        model = train_model(options.data_paths, resume=options.resume, overwrite=options.overwrite, **changed)
        _show(model)
    return model


@contextmanager
def _first_process_alone() -> Iterator[None]:
    """Let only the first of the processes that `torchrun` started write to the console."""
    before = console.err.quiet, console.out.quiet
    if int(os.environ.get("RANK", "0")) > 0:
        console.err.quiet = console.out.quiet = True
    try:
        yield
    finally:
        console.err.quiet, console.out.quiet = before


def _show(model: "TrainedModel") -> None:
    from unisono.retrieval.metrics import TEXT_TO_MUSIC

    training = model.training
    best = training.history[training.best_epoch - 1] if training.history else {}
    if TEXT_TO_MUSIC in best:
        found, chance = best[TEXT_TO_MUSIC], training.chance
        console.out.print(
            f"Best epoch {training.best_epoch} of {training.epochs}: val text to music recall@10 {found['recall@10']:.1%} "
            f"(chance {chance['recall@10']:.1%}), MRR {found['mrr']:.3f} (chance {chance['mrr']:.3f}), "
            f"{counted(training.queries, 'query', 'queries')}, {counted(training.candidates, 'candidate')}."
        )
    if training.stopped:
        console.out.print(training.stopped, soft_wrap=True)
    if training.curve_path:
        console.out.print(f"Learning curve: {training.curve_path}", soft_wrap=True)
    console.out.print(f"Model card: {training.card_path}", soft_wrap=True)
    console.out.print(f"Checkpoints: {model.path} (best), {training.last_path} (last)", soft_wrap=True)


def train(options: TrainOptions = TrainOptions()) -> None:
    """Train a model that finds music by description."""
    run(options)
