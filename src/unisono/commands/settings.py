"""Options out of a file: `--config run.toml`, or the report of an earlier run, whose recorded options are used again."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts.config import Dict

from unisono.base.errors import DataError, UsageError


def config_of(path: Path, verb: Sequence[str]) -> Dict:
    """Return what cyclopts reads a verb's options from; options of the command line come first.

    The verb is given in words, such as `encoders` and `list`. A `.toml` file holds options at its top, and in a table named
    as the verb. A `.json` file is a report that a verb wrote: its `options` are read.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        DataError: it cannot be read.
    """
    found = _read(path)
    if path.suffix.lower() == ".json":
        recorded = found.get("options")
        if not isinstance(recorded, dict):
            raise DataError(f"{path} records no options: it is no report of unisono.")
        found = recorded
    for word in verb:
        if isinstance(found.get(word), dict):
            found = found | found[word]
    options: dict[str, Any] = {_option(name): value for name, value in found.items() if not _is_empty(value)}
    for word in reversed(verb):  # at its top, cyclopts would skip options that are called like verbs, such as captions
        options = {word: options}
    return Dict(options, source=str(path))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", hint="Write one option a line: max-samples = 1000")
    kind = path.suffix.lower()
    try:
        if kind == ".toml":
            return tomllib.loads(path.read_text(encoding="utf-8"))
        if kind == ".json":
            content = json.loads(path.read_bytes())
            return content if isinstance(content, dict) else {}
    except (ValueError, RecursionError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read: {said}.") from error
    raise UsageError(f"{path}: options are read from .toml, or from the .json report of a run, not from {kind!r}.")


def _option(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _is_empty(value: Any) -> bool:
    """Whether a value stands for an option that was not given: null, an empty list, or a table for another verb."""
    return value is None or isinstance(value, dict) or value == []
