"""What the stages' options have in common. A stage's options are one frozen dataclass: its fields are the command-line
options, their docstrings the help, its defaults the documented ones, and `record` what the stage's output remembers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

Continue = Annotated[bool, Parameter(name="--continue", negative="")]
"""The type of the field `continue_`, spelled `--continue`."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """Options of every stage that reads or writes below the data folder."""

    data_root: Path = Path("data")
    """Folder of the data; releases lie in `<data-root>/raw/<dataset>/`."""


def record(options: StageOptions) -> dict[str, Any]:
    """Give the options as plain JSON values, to be written into a stage's output."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        return value

    return {name: plain(value) for name, value in asdict(options).items()}
