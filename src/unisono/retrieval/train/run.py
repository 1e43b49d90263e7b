"""Train a model on `embeddings.h5`, or resume a training."""

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.cores import available_cores
from unisono.base.errors import DataError, UsageError
from unisono.base.files import write_whole
from unisono.base.log import log, log_to
from unisono.base.seeded import rank_key
from unisono.base.texts import chained
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.file import EmbeddingsFile
from unisono.retrieval import checkpoint as checkpoints
from unisono.retrieval import doubts
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.device import local_device
from unisono.retrieval.heads import Architecture, ProjectionHeads, fit_scaling
from unisono.retrieval.model import Model, recorded_data
from unisono.retrieval.model_card import model_card
from unisono.retrieval.split_rows import opened
from unisono.retrieval.train import distributed, losses
from unisono.retrieval.train.audio import doubts_of_skipped, prepare_start, tuned_audio
from unisono.retrieval.train.caption_sets import FalseDraw, make_false, with_views
from unisono.retrieval.train.config import RunSettings, TrainingConfig
from unisono.retrieval.train.curves import draw_curve
from unisono.retrieval.train.data import (
    Sampler,
    SplitData,
    TrainingData,
    WindowDraw,
    mixing_weights,
    read,
    sampled,
    trained_on,
    weights_from,
)
from unisono.retrieval.train.earlier import claimed, find_earlier_run
from unisono.retrieval.train.loop import Training
from unisono.retrieval.train.resume import AskedTraining, recorded, refuse_other_data, resumed, sorted_settings
from unisono.retrieval.train.start import Start, check_data, find_start
from unisono.retrieval.train.step import Step
from unisono.retrieval.train.tag_dropout import with_variants
from unisono.retrieval.train.texts import fetch_text_encoder, text_source, token_table
from unisono.retrieval.train.validation import Validation

LARGE_STEP = 2e9
"""Floating point operations of a step from which all cores share it."""


@dataclass(frozen=True)
class TrainingSummary:
    """How a training ended."""

    epochs: int
    """Finished epochs."""
    best_epoch: int
    history: list[dict[str, Any]]
    """Loss and validation metrics of each epoch."""
    chance: dict[str, float]
    """Metrics of a random ranking of the val split, text to music; empty without a val split."""
    queries: int
    """Distinct captions of the val split."""
    candidates: int
    """Excerpts of the val split."""
    last_path: Path
    """Checkpoint of the last state, to be resumed."""
    card_path: Path
    """The model card."""
    curve_path: Path | None
    """Image of the learning curve; None without matplotlib."""
    stopped: str = ""
    """Why it ended before its last epoch, in a sentence; empty if it did not."""
    warnings: tuple[str, ...] = ()
    """What speaks against the model, in sentences."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Id -> why its audio could not be read, with a tuned audio encoder."""


class TrainedModel(Model):
    """The model that a training returns: that of its best epoch.

    Attributes:
        training: how the training ended.
    """

    training: TrainingSummary

    @property
    def history(self) -> list[dict[str, Any]]:
        """Loss and validation metrics of each epoch."""
        return self.training.history


@checked
def train(
    embeddings: EmbeddingsFile | AnyPath | Sequence[EmbeddingsFile | AnyPath] | None = None,
    *,
    resume: AnyPath | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> TrainedModel:
    """Train a model that finds music by description; return the model of the best epoch.

    Writes to `checkpoint_dir`: `<encoder>_best.pt`, `<encoder>_last.pt` (the state every `save_seconds`), a log, a model
    card, and the learning curve. The same call continues an interrupted training exactly where it stopped, and returns the
    model of one that is complete.

    Args:
        embeddings: an `embeddings.h5`, or its folder, or a list of several. When a training is resumed, by default those of
            the checkpoint.
            With `tune_audio` and `dataset_file`, a folder that holds none yet is prepared first.
        resume: checkpoint of the training to resume. Its settings apply, and of those given here only the ones that do not
            change what is learned may differ, and `epochs` and `patience`.
        overwrite: replace what an earlier training left in `checkpoint_dir`, which is otherwise an error if its settings
            or its data differ.
        settings: the fields of `TrainingConfig` (`audio_encoder`, `text_encoder`, `epochs`, `batch_size`, `seed`, ...) and
            of `RunSettings` (`checkpoint_dir`, `device`, ...).

    Raises:
        UsageError: a setting is unknown, out of its bounds, or does not fit the data or the checkpoint, or `checkpoint_dir`
            holds the checkpoints of another training.
        DataError: nothing can be learned from the data.
        InterruptionError: SIGINT or SIGTERM came; the state was saved.
        UnisonoError: the training failed, and the message says at which step; or another run writes to `checkpoint_dir`.
    """
    found = checkpoints.load(as_path(resume)) if resume else None
    if found and resume:
        settings = resumed(found, as_path(resume), settings)
        embeddings = recorded_data(found) if embeddings is None else embeddings
    named = _named(embeddings)
    start = Start(settings) if resume else find_start(settings)
    config, how = sorted_settings(start.settings)
    device = local_device(how.device)
    fetch_text_encoder(config.text_encoder)
    if config.tune_audio and how.dataset_file:
        prepare_start(named, config.audio_encoder, how)
    with distributed.processes(device), _torch_state_kept(device), ExitStack() as stack:
        if config.batch_size % distributed.world_size():
            raise _not_shared(f"batch_size {config.batch_size}")
        files = [stack.enter_context(opened(each)) for each in named]
        windows = config.audio_windows is not None and not config.tune_audio
        data = _chosen(config, read(files, config.audio_encoder, windows=windows, shuffle=config.shuffle))
        asked = AskedTraining(
            recorded(config, how, data.paths), data.encoder, trained_on(data.train.rows, data.val.rows), data.where
        )
        if distributed.rank() == 0:
            stack.enter_context(claimed(how.checkpoint_dir, config.audio_encoder))
        distributed.any_process(False, device)  # all wait for the first process: nobody else writes there from here on
        if resume:
            found = checkpoints.load(as_path(resume))
            refuse_other_data(as_path(resume), found, asked)
        earlier = find_earlier_run(how.checkpoint_dir, asked, resumes=found is not None)
        if earlier.refusal and not overwrite:
            raise earlier.refusal
        if earlier.state and not (overwrite and not resume):
            found = _further(found, earlier.state)
        _refuse_other_processes(config, asked, found)
        if distributed.rank() == 0:
            stack.enter_context(log_to(how.checkpoint_dir / f"{config.audio_encoder}_train.log"))
        training = _prepare(config, how, device, data, asked, found, start.checkpoint)
        if overwrite and (earlier.refusal or not resume):
            training.begin_folder_again()
        if resume:
            _bring_best(training, as_path(resume))
        with hide_decoder_messages() if config.tune_audio else nullcontext():
            training.run()
        return _conclude(training, str(device))


# so that `help` and notebooks list the settings
train.__dict__["__signature__"] = inspect.signature(train).replace(
    parameters=[
        *list(inspect.signature(train).parameters.values())[:-1],
        *(
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
            for kind in (TrainingConfig, RunSettings)
            for each in fields(kind)
        ),
    ]
)


def _named(
    embeddings: EmbeddingsFile | AnyPath | Sequence[EmbeddingsFile | AnyPath] | None,
) -> list[EmbeddingsFile | AnyPath]:
    """Return the embeddings that were given, one or several, as a list.

    Raises:
        UsageError: there are none.
    """
    given = embeddings if isinstance(embeddings, Sequence) and not isinstance(embeddings, str) else [embeddings]
    if found := [each for each in given if each is not None]:
        return found
    raise UsageError("embeddings must be an embeddings.h5 or its folder, or several.", parameter="embeddings")


def _refuse_other_processes(config: TrainingConfig, asked: AskedTraining, found: Checkpoint | None) -> None:
    """Refuse processes of one training that would not train the same."""
    distributed.refuse_differences(
        {
            "the version of unisono": version("unisono"),
            **{f"the option {name}": asked.options[name] for name in vars(config)},
            "the train split": asked.trained_on.ids_sha256,
            "the step that they continue from": found.progress["step"] if found else 0,
        }
    )


def _not_shared(what: str) -> UsageError:
    return UsageError(
        f"{what} cannot be shared equally by {distributed.world_size()} processes.",
        parameter="batch_size" if what.startswith("batch_size") else "",
    )


def _chosen(config: TrainingConfig, data: TrainingData) -> TrainingData:
    """Return the data with the captions that are added to the train split, and the sample of the val split."""
    train, val = data.train, sampled(data.val, config.val_limit, config.seed)
    if config.tag_dropout:
        train = replace(train, rows=with_variants(train.rows, config.tag_dropout, config.tag_variants, config.seed))
    if config.views:
        rows, shares = with_views(train.rows, config.seed)
        train = replace(train, rows=rows, shares=shares)
    if config.hard_negatives:
        false = make_false(train.rows, data.train.rows, config.hard_negatives, config.seed)
        log.info(
            "%s of %s captions have false ones.",
            f"{np.count_nonzero(np.diff(false.begin)):,}",
            f"{len(false.begin) - 1:,}",
        )
        if not false.texts:
            raise UsageError(
                f"No caption has anything that hard_negatives {' '.join(config.hard_negatives)} could change.",
                hint="See what each would make of them: unisono captions preview FILE --views",
                parameter="hard_negatives",
            )
        train = replace(train, false=false)
    return replace(data, train=train, val=val)


def _further(resumed: Checkpoint | None, there: Checkpoint) -> Checkpoint:
    """Return the further of two states of one training."""
    if resumed is None:
        return there
    return max(resumed, there, key=lambda found: int(found.progress["step"]))


def _prepare(
    config: TrainingConfig,
    how: RunSettings,
    device: torch.device,
    data: TrainingData,
    asked: AskedTraining,
    found: Checkpoint | None,
    start: Checkpoint | None,
) -> Training:
    """Build what a run needs, in the state of `found`, or else in that of `start`, or else from scratch."""
    train, val = data.train, data.val
    captions = chained([train.rows.captions, val.rows.captions])
    false = FalseDraw(train.false, len(captions)) if train.false else None
    encoder, texts = text_source(
        config, device, chained([captions, train.false.texts]) if train.false else captions, found or start
    )
    if found:
        _check_text_encoder(found, encoder)
    else:
        check_data(config, start, encoder, data)
    sampler = _sampler(config, data, false)
    begun = found or start
    heads = (Model(begun).heads if begun else _new_heads(config, train, encoder.dim)).to(device)
    first = _first_heads(heads, found) if config.keep_near else None
    tokens = token_table(config, device, train.rows.captions, heads)
    audio = tuned_audio(config, how, device, data, sampler, begun) if config.tune_audio else None
    step = Step(heads, train, texts, config, first, tokens, audio)
    if device.type == "cpu":
        torch.set_num_threads(how.threads or _threads(step, sampler.batch_size))
    validation = Validation(val, len(train.rows.captions)) if len(val) > 1 else None
    if validation is None:
        log.warning("The val split is empty: the last epoch counts as the best.")
    if config.batch_size > len(train):
        log.warning("There are only %d excerpts to train on: that is the size of the batches.", len(train))
    log.info(
        "Training on %s excerpts with %s captions; %s parameters; val: %s excerpts.",
        f"{len(train):,}",
        f"{len(train.rows.captions):,}",
        f"{_count(step):,}",
        f"{len(val):,}",
    )
    if found:
        base = replace(found, options=found.options | {"epochs": config.epochs, "patience": config.patience})
    else:
        base = Checkpoint(
            options=asked.options,
            audio_encoder=data.encoder,
            text_encoder=encoder,
            architecture=heads.architecture,
            trained_on=asked.trained_on,
            weights={},
            music={} if config.tune_audio else doubts.measure_music(train.audio),  # what was measured changes
            start={name: tensor.cpu() for name, tensor in first.state_dict().items()} if first else {},
        )
    training = Training(config, how, step, sampler, validation, base)
    training.state.warnings = _doubts_of(train)
    return training


def _check_text_encoder(found: Checkpoint, encoder: TextEncoderSpec) -> None:
    """Refuse to go on with another version of the text encoder.

    Raises:
        UsageError: it has other weights, or another size.
    """
    if (encoder.revision, encoder.dim) != (found.text_encoder.revision, found.text_encoder.dim):
        raise UsageError(
            f"The checkpoint was trained with another version of the text encoder {encoder.name} "
            f"({found.text_encoder.revision}) than the one here ({encoder.revision}).",
            hint="Fetch that version, or train a new model.",
        )


def _sampler(config: TrainingConfig, data: TrainingData, false: FalseDraw | None) -> Sampler:
    """Return what draws the batches.

    Raises:
        UsageError: the processes cannot share them equally.
    """
    train = data.train
    weights = mixing_weights(
        train.rows,
        config.mix_temperature,
        weights_from("mix_datasets", config.mix_datasets),
        weights_from("mix_origins", config.mix_origins),
        train.shares,
    )
    draw = WindowDraw(train.windows.begin, config.audio_windows or 1) if train.windows else None
    sampler = Sampler(train.rows.caption_of, config.batch_size, config.seed, *weights, draw, false, data.block)
    if distributed.world_size() > 1 and sampler.batch_size % distributed.world_size():
        raise _not_shared(f"{sampler.batch_size} excerpts")
    return sampler


def _first_heads(heads: ProjectionHeads, found: Checkpoint | None) -> ProjectionHeads:
    """Return a copy of the heads as they were when the training started."""
    first = copy.deepcopy(heads).requires_grad_(False).eval()
    if found and not found.start:
        raise DataError("The checkpoint lacks the weights that its training started with.", hint="Train a new model.")
    if found:
        first.load_state_dict(found.start)
    return first


def _doubts_of(train: SplitData) -> list[str]:
    """Return what makes the training data doubtful, and log it."""
    found = doubts.of_data(train.pairing)
    for sentence in found:
        log.warning("%s", sentence)
    return found


def _count(step: Step) -> int:
    return sum(parameter.numel() for parameter in step.trained())


def _threads(step: Step, batch_size: int) -> int:
    """Return how many threads share a step: more than one only if they have enough to do."""
    products = 6 * batch_size * (_count(step) + batch_size * step.heads.architecture.dim)
    return available_cores() if products > LARGE_STEP or step.config.lora or step.config.tune_audio else 1


def _new_heads(config: TrainingConfig, train: SplitData, text_dim: int) -> ProjectionHeads:
    layers, audio_dim = train.audio.shape[1:]
    kept = min(config.whiten_dim, audio_dim, len(train)) if config.audio_scaling == "whiten" else audio_dim
    architecture = Architecture(
        text_dim=text_dim,
        audio_dim=audio_dim,
        layers=layers,
        projection=config.projection,
        dim=_dim(config, text_dim, kept),
        scaled_dim=kept,
        text_head=config.text_head,
        audio_head=config.audio_head,
        token_head=config.maxsim > 0,
        hidden=config.hidden,
        dropout=config.dropout,
        whitened=config.audio_scaling == "whiten",
    )
    torch.manual_seed(rank_key(config.seed, "weights"))
    bias = losses.get(config.loss).initial_bias or 0.0
    heads = ProjectionHeads(architecture, temperature=config.temperature, bias=bias)
    fit_scaling(heads.scaling, train.audio, config.audio_scaling)
    return heads


def _dim(config: TrainingConfig, text_dim: int, audio_dim: int) -> int:
    """Return the size of the common space.

    Raises:
        UsageError: a residual head cannot have it.
    """
    heads = {"text": (config.text_head, text_dim)}
    if config.projection == "joint":
        heads["music"] = config.audio_head, audio_dim
    residual = [dim for kind, dim in heads.values() if kind == "residual"]
    dim = audio_dim if config.projection == "text" else next(iter(residual), config.dim)
    for side, (kind, its_dim) in heads.items():
        if kind == "residual" and its_dim != dim:
            raise UsageError(
                f"A residual head of the {side} keeps its {its_dim} dimensions, the common space has {dim}.",
                hint="Use linear or mlp heads, or encoders of one dimension.",
            )
    return dim


@contextmanager
def _torch_state_kept(device: torch.device) -> Iterator[None]:
    """Restore the caller's number of threads and random states when the block ends."""
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(threads)


def _bring_best(training: Training, resume: Path) -> None:
    """Copy the best checkpoint so far when a training is resumed into another folder."""
    best = resume.with_name(training.best_path.name)
    if distributed.rank() == 0 and best.is_file() and not training.best_path.exists():
        write_whole(training.best_path, best.read_bytes())


def _conclude(training: Training, device: str) -> TrainedModel:
    """Write the model card and the learning curve, and return the model of the best epoch.

    Other processes than the first return the model of the last epoch.
    """
    state, validation = training.state, training.validation
    card, curve = training.path_of("card.md"), training.path_of("curve.png")
    drawn = False
    if distributed.rank() == 0:
        if not training.best_path.exists():
            if training.validation and state.best_epoch != state.epoch:
                log.warning("%s is gone: the last epoch takes its place.", training.best_path)
            write_whole(training.best_path, training.last_path.read_bytes())
        best = checkpoints.load(training.best_path, device)
        write_whole(card, model_card(best, training.best_path.name))
        drawn = bool(state.history) and draw_curve(
            state.history, curve, training.config.select_by, state.best_epoch, state.chance
        )
    else:
        best = training.snapshot()
    model = TrainedModel(best, device, training.best_path)
    model.training = TrainingSummary(
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        history=state.history,
        chance=state.chance,
        queries=validation.data.pairing.relevance.queries if validation else 0,
        candidates=len(validation.data) if validation else 0,
        last_path=training.last_path,
        card_path=card,
        curve_path=curve if drawn else None,
        stopped=training.why_stopped,
        warnings=(*doubts.of_model(best), *doubts_of_skipped(training.step.audio.skipped)),
        skipped=dict(training.step.audio.skipped),
    )
    for sentence in model.training.warnings:
        if sentence not in state.warnings:  # those were said when the training began
            log.warning("%s", sentence)
    return model
