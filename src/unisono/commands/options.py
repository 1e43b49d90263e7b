"""What the verbs' options have in common. A verb's options are one frozen dataclass: its fields are the command-line
options, their docstrings the help, its defaults the documented ones, and `record` what the verb's output remembers.

Bounds are declared by type (`Count`, `Seconds`, `Share`, `Positive`), and checked while the command line is read.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import Parameter
from cyclopts.validators import Number

from unisono.base import arguments
from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.tracks.workspace import DEFAULT_ROOT


def _bounded(hint: Any) -> Parameter:
    """Make the validator of a bounded number of `base/arguments.py`."""
    meta = get_args(hint)[1]
    return Parameter(validator=Number(gte=meta.ge, gt=meta.gt, lte=meta.le, lt=meta.lt))


Count = Annotated[int, _bounded(arguments.Count)]
"""A number of things, at least one."""
AtLeastTwo = Annotated[int, _bounded(arguments.AtLeastTwo)]
Seconds = Annotated[float, _bounded(arguments.Seconds)]
Share = Annotated[float, _bounded(arguments.Share)]
"""A part of a whole, from 0 to below 1."""
Positive = Annotated[float, _bounded(arguments.Positive)]
Continue = Annotated[bool, Parameter(name="--continue", negative="")]
"""The type of the field `continue_`, spelled `--continue`."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """Options of every stage that reads or writes below the data folder."""

    data_root: Annotated[Path, Parameter(env_var="UNISONO_DATA_ROOT")] = DEFAULT_ROOT
    """Folder of the data; releases lie in `<data-root>/raw/<dataset>/`."""


def record(options: StageOptions) -> dict[str, Any]:
    """Return the options as plain JSON values, to be written into a stage's output."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        return value

    return {name: plain(value) for name, value in asdict(options).items()}


def the_checkpoint(named: Path | None, folder: Path = Path("checkpoints")) -> Path:
    """Return the checkpoint that was named, or the only best one in `checkpoints/`.

    Raises:
        UsageError: none was named, and there is none there, or several.
    """
    if named is not None:
        return named
    found = sorted(folder.glob("*_best.pt"))
    if len(found) == 1:
        log.info("Using %s.", found[0])
        return found[0]
    if found:
        raise UsageError(
            f"There are several checkpoints: {', '.join(map(str, found))}.", hint=f"Name one: --checkpoint {found[0]}"
        )
    raise UsageError(
        f"There is no checkpoint in {folder}.",
        hint="Name one with --checkpoint, train one with: unisono train, or use one that needs no training: --model tags",
    )


def model_of(model: str | None, checkpoint: Path | None) -> str | Path:
    """Return the model that `--model` or `--checkpoint` names, or the only best checkpoint in `checkpoints/`.

    Raises:
        UsageError: both are given; or neither is, and there is no checkpoint there, or several.
    """
    if model is None:
        return the_checkpoint(checkpoint)
    if checkpoint is not None:
        raise UsageError("--model and --checkpoint exclude each other.")
    return model
