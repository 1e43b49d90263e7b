"""A TOML file that a person wrote: its content, and the line of each key for messages about it."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisono.base.arguments import nearest
from unisono.base.errors import DataError, UsageError

_HEAD = re.compile(r"\s*\[{1,2}\s*(?P<table>[^\]]+?)\s*\]{1,2}\s*(#.*)?$")
_KEY = re.compile(r"\s*(?P<key>[\w\"'.-]+)\s*=")


@dataclass(frozen=True)
class TomlFile:
    """A file that was read."""

    path: Path
    content: dict[str, Any]
    lines: Mapping[tuple[str, ...], int]
    """(table, key), (key,) or (table,) -> the number of its line, the first one if it recurs."""

    def at(self, *where: str) -> str:
        """Return the place of a table or key for a message: `FILE, line 3`."""
        line = self.lines.get(where) or self.lines.get(where[:-1])
        return f"{self.path}, line {line}" if line else str(self.path)

    def refuse_unknown(self, found: Iterable[str], known: Iterable[str], what: str, *table: str) -> None:
        """Refuse keys of a table, or of the top, that are not known; dashes and underscores are the same.

        Raises:
            UsageError: with the line and the nearest known name.
        """
        names = [dashed(name) for name in known]
        for key in found:
            if dashed(key) not in names:
                raise UsageError(
                    f"{self.at(*table, key)}: there is no {what} {key!r}.{nearest(dashed(key), names)}",
                    hint=f"Known there: {', '.join(sorted(names))}",
                )


def dashed(name: str) -> str:
    """Return an option's name as it is written on a command line, without its first dashes."""
    return name.strip("_").replace("_", "-")


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file.

    Raises:
        UsageError: there is none.
        DataError: it cannot be read, or is no TOML.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        text = path.read_text(encoding="utf-8")
        return TomlFile(path, tomllib.loads(text), _lines(text))
    except (ValueError, RecursionError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read: {said}.") from error


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Find the lines of tables and of keys that begin a line. A key within a text of several lines may be taken for one."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if head := _HEAD.match(line):
            table = (head["table"],)
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key["key"].strip("\"'")), number)
    return found
