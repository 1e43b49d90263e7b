"""The settings of a training as a checkpoint records them, and what may differ when it is resumed."""

from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.embeddings.file import FILE_NAME, EncoderRecord
from unisono.retrieval.checkpoint import Checkpoint, TrainedOn
from unisono.retrieval.train.config import RunSettings, TrainingConfig
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


@dataclass(frozen=True)
class AskedTraining:
    """What tells one training from another."""

    options: dict[str, Any]
    """As a checkpoint records them."""
    audio_encoder: EncoderRecord
    trained_on: TrainedOn
    data: str
    """The files of the embeddings, in words."""


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


def recorded(config: TrainingConfig, how: RunSettings, data: Sequence[Path]) -> dict[str, Any]:
    """Return the settings as a checkpoint records them, with the path of the data, or a list of several."""
    folders = [str(path.parent if path.name == FILE_NAME else path) for path in data]
    options = dict.fromkeys(LEADING) | {
        "data_root": str(DEFAULT_ROOT),
        "data_dir": folders if len(folders) > 1 else folders[0],
    }
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


def refuse_other_options(path: Path, found: Checkpoint, options: dict[str, Any], may_differ: Set[str]) -> None:
    """Refuse a checkpoint that was trained with other options, as far as they decide the model.

    Raises:
        UsageError: an option differs.
    """
    known = {name: _plain(value) for name, value in asdict(TrainingConfig()).items()}
    saved = known | found.options  # an earlier version had fewer options
    for name in known:
        if name not in may_differ and saved[name] != options[name]:
            raise UsageError(f"{path} is of another training: its {name} is {saved[name]}, not {options[name]}.")


def refuse_other_data(path: Path, found: Checkpoint, asked: AskedTraining) -> None:
    """Refuse to continue on other data than the training began with.

    Raises:
        UsageError: the embeddings were made in another way, or are of other tracks or captions.
    """
    hint = "Use the embeddings that it was trained on, or train a new model without resuming."
    for name, value in asdict(asked.audio_encoder).items():
        saved = getattr(found.embeddings_of, name)
        if saved != value:
            raise UsageError(
                f"{path} was trained on {asked.audio_encoder.name} embeddings with {name} {saved!r}; "
                f"{asked.data} has {value!r}.",
                hint=hint,
            )
    before, now = found.trained_on, asked.trained_on
    for split, old, new in (("train", before.digests, now.digests), ("val", before.val_digests, now.val_digests)):
        differ = [what for what in old if not np.array_equal(old[what], new.get(what, ()))]
        if differ or (split == "train" and before.ids_sha256 != now.ids_sha256):
            what = "captions" if differ == ["caption"] else f"{split} split"
            raise UsageError(f"The {what} of {asked.data} {_are(what)} that {path} was trained on.", hint=hint)


def _are(what: str) -> str:
    return "are not those" if what == "captions" else "is not the one"
