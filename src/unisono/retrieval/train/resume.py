"""The settings of a training as a checkpoint records them, and what may differ when it is resumed."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.embeddings.file import FILE_NAME
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.train.config import RunSettings, TrainingConfig
from unisono.retrieval.train.data import TrainingData, trained_on
from unisono.tracks.workspace import DEFAULT_ROOT

LEADING = (
    "data_root",
    "audio_encoder",
    "text_encoder",
    "data_dir",
    "checkpoint_dir",
    "epochs",
    "batch_size",
    "seed",
    "resume",
)
"""The first options of a checkpoint's record; the order decides the bytes of the file."""
MAY_CHANGE = {"epochs", "patience", *(each.name for each in fields(RunSettings))}
"""Options that may differ when a training is resumed."""


def sorted_settings(given: dict[str, Any]) -> tuple[TrainingConfig, RunSettings]:
    """Sort settings by name into the two dataclasses.

    Raises:
        UsageError: a name is unknown.
    """
    names = [{each.name for each in fields(kind)} for kind in (TrainingConfig, RunSettings)]
    for name in given:
        if name not in names[0] | names[1]:
            raise UsageError(
                f"train() has no setting {name!r}.{nearest(name, names[0] | names[1])}",
                hint="It takes: " + ", ".join(sorted(names[0] | names[1])),
            )
    parts = [{name: value for name, value in given.items() if name in known} for known in names]
    return TrainingConfig(**parts[0]), RunSettings(**parts[1])


def recorded(config: TrainingConfig, how: RunSettings, data: Path) -> dict[str, Any]:
    """Return the settings as a checkpoint records them, with the path of the data."""
    folder = data.parent if data.name == FILE_NAME else data
    options = dict.fromkeys(LEADING) | {"data_root": str(DEFAULT_ROOT), "data_dir": str(folder)}
    return options | {name: _plain(value) for name, value in {**asdict(config), **asdict(how)}.items()}


def resumed(found: Checkpoint, path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a checkpoint, changed by those given now.

    Raises:
        UsageError: a setting was given that changes what the training does.
    """
    known = {**asdict(TrainingConfig()), **asdict(RunSettings())}
    for name in found.options:
        if name not in known and name not in LEADING:
            raise UsageError(f"{path} was trained with an option {name!r} that this version does not know.")
    saved = {name: _plain(value) for name, value in known.items()}  # an earlier version had fewer options
    saved |= {name: value for name, value in found.options.items() if name in known}
    for name, value in given.items():
        if name in known and name not in MAY_CHANGE and _plain(value) != saved[name]:
            raise UsageError(
                f"{name} {_plain(value)} is not what {path} was trained with ({saved[name]}).",
                hint="Resume with the settings of the checkpoint, or train a new model without resuming.",
                parameter=name,
            )
    restored = {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}
    return restored | {"checkpoint_dir": path.parent} | given


def _plain(value: Any) -> Any:
    """Return a setting as checkpoints record it."""
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def refuse_other_data(path: Path, found: Checkpoint, data: TrainingData) -> None:
    """Refuse to resume on other data than the training began with.

    Raises:
        UsageError: the embeddings were made in another way, or are of other tracks.
    """
    hint = "Use the embeddings that it was trained on, or train a new model without resuming."
    for name, value in asdict(data.encoder).items():
        saved = getattr(found.audio_encoder, name)
        if saved != value:
            raise UsageError(
                f"{path} was trained on {data.encoder.name} embeddings with {name} {saved!r}; {data.path} has {value!r}.",
                hint=hint,
            )
    if trained_on(data.train.rows).ids_sha256 != found.trained_on.ids_sha256:
        raise UsageError(f"The train split of {data.path} is not the one that {path} was trained on.", hint=hint)
