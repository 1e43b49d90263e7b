"""`unisono train`: from prepared embeddings to a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from unisono.base.cores import available_cores
from unisono.base.errors import UsageError
from unisono.base.files import write_whole
from unisono.base.log import log_to
from unisono.base.seeded import rank_key
from unisono.commands import console
from unisono.commands.options import record
from unisono.embeddings.encoders import text as text_encoders
from unisono.embeddings.encoders import text_store
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval import checkpoint as checkpoints
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.lora import TunedTexts, add_adapters, load_adapters
from unisono.retrieval.model import Architecture, RetrievalModel, fit_scaling
from unisono.retrieval.pairing import TEXT_TO_MUSIC
from unisono.retrieval.train import distributed
from unisono.retrieval.train.card import learning_curve, model_card
from unisono.retrieval.train.data import (
    Sampler,
    SplitData,
    WindowDraw,
    mixing_weights,
    read,
    sampled,
    trained_on,
    weights_from,
)
from unisono.retrieval.train.loop import Progress, Training
from unisono.retrieval.train.options import TrainOptions
from unisono.retrieval.train.step import Step, StoredTexts, TextSource
from unisono.retrieval.train.tag_dropout import with_variants
from unisono.retrieval.train.validation import Validation

FREE = {
    "data_root",
    "data_dir",
    "checkpoint_dir",
    "resume",
    "device",
    "save_seconds",
    "keep_every",
    "keep_limit",
    "epochs",
    "patience",
    "threads",
}
"""Options that may differ when a run is resumed."""
SIGLIP_BIAS = -10.0
LARGE_STEP = 2e9
"""Floating point operations of a step from which all cores share it."""


def run(options: TrainOptions) -> Progress:
    """Train, or go on training, and write `<encoder>_last.pt` and `<encoder>_best.pt`.

    Raises:
        UsageError: the options do not fit the data or the checkpoint.
        DataError: nothing can be learned from the data.
        UnisonoError: the training failed; the message says at which step.
    """
    found = checkpoints.load(options.resume) if options.resume else None
    if found is not None:
        options = resumed_options(options, found)
    device = distributed.local_device(options.device)
    with distributed.processes(device), _only_first():
        _check_batch(options)
        audio, train, val = read(options.data_path, options.audio_encoder, windows=options.audio_windows is not None)
        if found is not None:
            refuse_other_data(options, found, audio, train)
        if options.tag_dropout:
            rows = with_variants(train.rows, options.tag_dropout, options.tag_variants, options.seed)
            train = replace(train, rows=rows)
        with log_to(options.checkpoint_dir / f"{options.audio_encoder}_train.log"):
            val = sampled(val, options.val_limit, options.seed)
            training = _prepare(options, device, audio, train, val, found)
            progress = training.run()
            _conclude(training, progress)
    return progress


@contextmanager
def _only_first() -> Iterator[None]:
    """Let only the first of several processes show what happens."""
    before = console.err.quiet, console.out.quiet
    if distributed.rank() > 0:
        console.err.quiet = console.out.quiet = True
    try:
        yield
    finally:
        console.err.quiet, console.out.quiet = before


def resumed_options(options: TrainOptions, found: Checkpoint) -> TrainOptions:
    """Take the options from a checkpoint; those given anew hold if they do not change what the training does.

    Raises:
        UsageError: an option was given that is not the checkpoint's.
    """
    given = record(options)
    defaults = {each.name: each.default for each in fields(TrainOptions)}
    plain_defaults = record(TrainOptions())
    values: dict[str, Any] = {}
    for name, saved in {**plain_defaults, **found.options}.items():  # an older version had fewer options
        if name not in defaults:
            raise UsageError(f"{options.resume} was made with an option {name!r} that this version does not know.")
        new = given[name] != plain_defaults[name]
        if name not in FREE and new and given[name] != saved:
            raise UsageError(
                f"--{name.replace('_', '-')} {given[name]} is not what {options.resume} was trained with ({saved}).",
                hint="Leave the option out to go on with the checkpoint's, or train anew without --resume.",
            )
        if name not in FREE or not new:
            values[name] = tuple(saved) if isinstance(saved, list) else saved
        else:
            values[name] = getattr(options, name)
    for name in ("data_root", "data_dir", "checkpoint_dir"):
        values[name] = None if values[name] is None else Path(values[name])
    assert options.resume is not None
    if given["checkpoint_dir"] == plain_defaults["checkpoint_dir"]:
        values["checkpoint_dir"] = options.resume.parent
    return TrainOptions(**{**values, "resume": options.resume})


def refuse_other_data(options: TrainOptions, found: Checkpoint, audio: EncoderRecord, train: SplitData) -> None:
    """Refuse to go on with other data than the training began with.

    Raises:
        UsageError: the embeddings were made otherwise, or are of other tracks.
    """
    for name, value in asdict(audio).items():
        saved = getattr(found.audio_encoder, name)
        if saved != value:
            raise UsageError(
                f"{options.resume} was trained on {audio.name} embeddings with {name} {saved!r}; "
                f"{options.data_path} has {value!r}.",
                hint="Point --data-dir to the embeddings that it was trained on, or train anew without --resume.",
            )
    if trained_on(train.rows).ids_sha256 != found.trained_on.ids_sha256:
        raise UsageError(
            f"The train split of {options.data_path} is not the one that {options.resume} was trained on.",
            hint="Point --data-dir to the embeddings that it was trained on, or train anew without --resume.",
        )


def _check_batch(options: TrainOptions) -> None:
    if options.batch_size % distributed.world_size():
        raise UsageError(
            f"--batch-size {options.batch_size} cannot be shared equally by {distributed.world_size()} processes."
        )


def _prepare(
    options: TrainOptions,
    device: torch.device,
    audio: EncoderRecord,
    train: SplitData,
    val: SplitData,
    found: Checkpoint | None,
) -> Training:
    encoder, texts = _texts(options, device, [*train.rows.captions, *val.rows.captions], found)
    weights = mixing_weights(
        train.rows,
        options.mix_temperature,
        weights_from("--mix-datasets", options.mix_datasets),
        weights_from("--mix-origins", options.mix_origins),
    )
    draw = WindowDraw(train.windows.begin, options.audio_windows or 1) if train.windows else None
    sampler = Sampler(train.rows.caption_of, options.batch_size, options.seed, *weights, draw)
    model = _model(options, train, encoder.dim, found).to(device)
    step = Step(model, train, texts, options)
    if device.type == "cpu":
        torch.set_num_threads(options.threads or _threads(step, sampler.batch_size))
    base = found or Checkpoint(
        options=record(options),
        audio_encoder=audio,
        text_encoder=encoder,
        architecture=model.architecture,
        trained_on=trained_on(train.rows, val.rows),
        weights={},
    )
    validation = Validation(val, len(train.rows.captions)) if len(val) > 1 else None
    if validation is None:
        console.log.warning("The val split is empty: the last epoch counts as the best.")
    if distributed.world_size() > 1 and sampler.batch_size % distributed.world_size():
        raise UsageError(
            f"{sampler.batch_size} excerpts cannot be shared equally by {distributed.world_size()} processes."
        )
    if options.batch_size > len(train):
        console.log.warning("Only %d excerpts to train on: that is the size of the batches.", len(train))
    console.log.info(
        "Training on %s excerpts with %s captions; %s numbers to learn; val: %s excerpts.",
        f"{len(train):,}",
        f"{len(train.rows.captions):,}",
        f"{_count(step):,}",
        f"{len(val):,}",
    )
    return Training(options, step, sampler, validation, base)


def _texts(
    options: TrainOptions, device: torch.device, captions: list[str], found: Checkpoint | None
) -> tuple[TextEncoderSpec, TextSource]:
    """Give the spec of the text encoder and the embeddings of the captions: stored ones, unless it is tuned."""
    if not options.lora and "/" not in options.text_encoder:
        spec = text_encoders.spec(options.text_encoder)
        table = text_store.embed(captions, spec, lambda: text_encoders.build(options.text_encoder, str(device)))
        return spec, StoredTexts(table, device)
    built = text_encoders.build(options.text_encoder, str(device))
    if not options.lora:
        return built.spec, StoredTexts(text_store.embed(captions, built.spec, lambda: built), device)
    torch.manual_seed(rank_key(options.seed, "adapters"))
    if found is None:
        add_adapters(built, options.lora_rank, options.lora_dropout)
    else:
        load_adapters(built, found.adapter, options.lora_rank, options.lora_dropout)
    return built.spec, TunedTexts(built, captions)


def _count(step: Step) -> int:
    return sum(parameter.numel() for parameter in step.trained())


def _threads(step: Step, batch_size: int) -> int:
    """Choose how many threads share the products of a step: more than one only if they have enough to do."""
    products = 6 * batch_size * (_count(step) + batch_size * step.model.architecture.dim)
    return available_cores() if products > LARGE_STEP or step.options.lora else 1


def _model(options: TrainOptions, train: SplitData, text_dim: int, found: Checkpoint | None) -> RetrievalModel:
    if found is not None:
        return checkpoints.Model.of(found).heads
    layers, audio_dim = train.audio.shape[1:]
    kept = min(options.whiten_dim, audio_dim, len(train)) if options.audio_scaling == "whiten" else audio_dim
    architecture = Architecture(
        text_dim=text_dim,
        audio_dim=audio_dim,
        layers=layers,
        projection=options.projection,
        dim=kept if options.projection == "text" else options.dim,
        scaled_dim=kept,
        text_head=options.text_head,
        audio_head=options.audio_head,
        hidden=options.hidden,
        dropout=options.dropout,
        whitened=options.audio_scaling == "whiten",
    )
    torch.manual_seed(rank_key(options.seed, "weights"))
    bias = SIGLIP_BIAS if options.loss == "siglip" else 0.0
    model = RetrievalModel(architecture, temperature=options.temperature, bias=bias)
    fit_scaling(model.scaling, train.audio, options.audio_scaling)
    return model


def _conclude(training: Training, progress: Progress) -> None:
    if distributed.rank() != 0:
        return
    best = progress.history[progress.best_epoch - 1] if progress.history else {}
    if TEXT_TO_MUSIC in best and training.validation is not None:
        found, chance = best[TEXT_TO_MUSIC], training.validation.chance
        console.out.print(
            f"Best epoch {progress.best_epoch} of {progress.epoch}: val text to music recall@10 {found['recall@10']:.1%} "
            f"(chance {chance['recall@10']:.1%}), MRR {found['mrr']:.3f} (chance {chance['mrr']:.3f}), "
            f"{training.validation.data.pairing.relevance.queries:,} queries, {len(training.validation.data):,} candidates."
        )
    stem = training.best_path.with_name(f"{training.options.audio_encoder}_")
    write_whole(Path(f"{stem}card.md"), model_card(checkpoints.load(training.best_path)))
    if progress.history and learning_curve(progress.history, Path(f"{stem}curve.png"), training.options.select_by):
        console.out.print(f"Learning curve: {stem}curve.png", soft_wrap=True)
    console.out.print(f"Model card: {stem}card.md", soft_wrap=True)
    console.out.print(f"Checkpoints: {training.best_path} (best), {training.last_path} (last)", soft_wrap=True)


def train(options: TrainOptions = TrainOptions()) -> None:  # noqa: B008
    """Train a model that puts descriptions where the music is."""
    run(options)
