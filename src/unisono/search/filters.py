"""Conditions on tracks, as on the command line: `dataset=fma`, `tags=flute`, `license!=unknown`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.retrieval.collection import COLUMNS, IndexedTrack


@dataclass(frozen=True)
class Condition:
    """One condition."""

    column: str
    value: str
    """In lower case."""
    equal: bool

    def holds(self, track: IndexedTrack) -> bool:
        """Return whether a track fulfils it; case is ignored. Of `tags`, one that fulfils it is enough."""
        found = getattr(track, self.column)
        values = found if isinstance(found, list) else [found]
        return any(value.casefold() == self.value for value in values) == self.equal


def parse_condition(text: str) -> Condition:
    """Parse `column=value` or `column!=value`.

    Raises:
        UsageError: it is of another form, or the column is unknown.
    """
    column, sign, value = text.partition("=")
    column, equal = column.removesuffix("!").strip(), not column.endswith("!")
    if not sign or column not in COLUMNS:
        raise UsageError(
            f"where must be <column>=<value> or <column>!=<value>, found {text!r}.{nearest(column, COLUMNS)}",
            hint="Columns: " + ", ".join(COLUMNS),
            parameter="where",
        )
    return Condition(column, value.strip().casefold(), equal)


def matching(tracks: Sequence[IndexedTrack], conditions: Sequence[str]) -> NDArray[np.int64]:
    """Return the positions of the tracks that fulfil all conditions, ascending."""
    parsed = [parse_condition(text) for text in conditions]
    return np.array(
        [row for row, track in enumerate(tracks) if all(condition.holds(track) for condition in parsed)], dtype=np.int64
    )
