"""Conditions on tracks, as on the command line, over every column of what is known of a track.

    genre=rock        genre=rock,metal    genre!=rock     one of the values; none of them
    genre~=folk       genre!~=folk                        contains; does not contain
    year>=1990        year<2000           year=1990..1999 numbers and dates; a range includes both ends
    duration=2:00..6:40                                   seconds, or minutes and seconds
    year=             year!=                              not known; known

Case is ignored. Of several tags, one that fulfils a condition is enough; a negated one must hold for all. A condition on a
number does not hold where the number is not known.
"""

import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import nearest
from unisono.base.errors import DataError, UsageError
from unisono.base.words import counted
from unisono.retrieval.collection import Collection
from unisono.retrieval.columns import COLUMNS, DATES, NUMBERS, Columns, Words, folded

Mask = NDArray[np.bool_]
NEAR_VALUES = 3
"""The most values that are proposed in place of one that no track has."""
FORMS = "column=value, !=, ~= (contains), !~=, >=, <=, >, <, column=1990..1999, column=one,other"
_ORDERED: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"\s*([a-z_]+)\s*(!~=|~=|!=|>=|<=|>|<|=)(.*)", re.DOTALL)
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True)
class Condition:
    """One condition."""

    column: str
    sign: str
    value: str
    text: str
    """As it was written."""

    def holds(self, columns: Columns) -> Mask:
        """Return for each track [N] whether it fulfils the condition.

        Raises:
            UsageError: the value is none of the column.
        """
        is_positive = not self.sign.startswith("!")
        if self.column in NUMBERS:
            held = self._numbers(columns.numbers(self.column))
        else:
            words = columns.words(self.column)
            is_unknown = not self.value and self.sign in ("=", "!=")
            test = bool if is_unknown else self._test(words)
            chosen = np.fromiter(map(test, words.values), bool, len(words.values))
            held = np.zeros(len(columns), dtype=bool)
            held[words.rows[chosen[words.codes]]] = True
            held ^= is_unknown
        return held if is_positive else ~held

    def _numbers(self, numbers: NDArray[np.float64]) -> Mask:
        if "~" in self.sign:
            raise self._refused(f"{self.column} holds numbers")
        if not self.value and self.sign in ("=", "!="):
            return np.isnan(numbers)
        if self.sign in _ORDERED:
            found: Mask = _ORDERED[self.sign](numbers, self._number(self.value))
            return found
        held = np.zeros(len(numbers), dtype=bool)
        for part in self.value.split(","):
            low, dots, high = part.partition("..")
            least = self._number(low, -math.inf if dots else None)
            most = self._number(high, math.inf) if dots else least
            held |= (numbers >= least) & (numbers <= most)
        return held

    def _number(self, text: str, default: float | None = None) -> float:
        if not text.strip() and default is not None:
            return default
        clock = _CLOCK.fullmatch(text.strip())
        if clock:
            hours, minutes, seconds = clock.groups()
            return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self._refused(f"{text.strip()!r} is no number")
        return number

    def _test(self, words: Words) -> Callable[[str], bool]:
        """Return what tells whether a value of a column of text fulfils the condition, before any negation."""
        value = folded(self.value)
        if "~" in self.sign:
            return lambda found: value in found
        is_date = self.column in DATES
        if self.sign in _ORDERED:
            if not is_date:
                raise self._refused(f"{self.column} holds words, which have no order")
            compare = _ORDERED[self.sign]
            return lambda found: bool(found) and bool(compare(found[: len(value)], value))
        if is_date and ".." in value:
            low, _, high = value.partition("..")
            return lambda found: bool(found) and low <= found[: len(low)] and found[: len(high)] <= high
        if is_date and value:
            return lambda found: found[: len(value)] == value
        # What holds a comma and is a value as it is, such as "Crosby, Stills & Nash", is no list.
        wanted = (
            {value} if value in words.known else {value, *(part.strip() for part in value.split(",") if part.strip())}
        )
        return wanted.__contains__

    def _refused(self, why: str) -> UsageError:
        return UsageError(f"where: {why}, found {self.text!r}.", hint=f"Conditions: {FORMS}", parameter="where")


def parse_condition(text: str) -> Condition:
    """Parse a condition such as `year>=1990`.

    Raises:
        UsageError: it is of another form, or the column is unknown.
    """
    found = _CONDITION.fullmatch(text)
    if not found or found[1] not in COLUMNS:
        named = found[1] if found else text.partition("=")[0]
        raise UsageError(
            f"where must be <column>=<value>, or another condition on a column, found {text!r}.{nearest(named, COLUMNS)}",
            hint=f"Columns: {', '.join(COLUMNS)}. Conditions: {FORMS}",
            parameter="where",
        )
    return Condition(found[1], found[2], found[3].strip(), text.strip())


def fulfilling(columns: Columns, where: Sequence[str]) -> Mask:
    """Return for each track [N] whether it fulfils all conditions.

    Raises:
        UsageError: a condition is not of the right form.
    """
    held = np.ones(len(columns), dtype=bool)
    for text in where:
        held &= parse_condition(text).holds(columns)
    return held


def allowed(collection: Collection, where: Sequence[str]) -> Mask | None:
    """Return for each track [N] whether it fulfils all conditions; None if there are no conditions.

    Raises:
        UsageError: a condition is not of the right form.
        DataError: no track fulfils them; the message says which condition is to blame, and what values there are.
    """
    if not len(collection):
        raise DataError("There are no tracks.")
    if not where:
        return None
    held = fulfilling(collection.columns, where)
    if not held.any():
        raise _emptied(collection.columns, [parse_condition(text) for text in where])
    return held


def _emptied(columns: Columns, conditions: list[Condition]) -> DataError:
    """Say which condition leaves nothing: alone, or after those before it."""
    said = " and ".join(repr(condition.text) for condition in conditions)
    message = f"None of the {len(columns):,} tracks fulfils {said}"
    alone = [condition for condition in conditions if not condition.holds(columns).any()]
    if alone:
        message += f": no track fulfils {alone[0].text!r}" if len(conditions) > 1 else ""
        return DataError(f"{message}.", hint=_near_values(columns, alone[0], None))
    left = np.ones(len(columns), dtype=bool)
    for condition in conditions:
        now = left & condition.holds(columns)
        if not now.any():
            break
        left = now
    message += (
        f": of {counted(int(left.sum()), 'track')} that fulfil the others before it, none fulfils {condition.text!r}"
    )
    return DataError(f"{message}.", hint=_near_values(columns, condition, left))


def _near_values(columns: Columns, condition: Condition, among: Mask | None) -> str:
    """Say what values there are near one that no track has."""
    name = condition.column
    if name in NUMBERS:
        numbers = columns.numbers(name)
        known = numbers[~np.isnan(numbers) & (True if among is None else among)]
        if not len(known):
            return f"Of no track here is the {name} known."
        return f"Here {name} is from {known.min():g} to {known.max():g}, known of {counted(len(known), 'track')}."
    words = columns.words(name)
    counts = words.counts(among)
    there = {value: place for place, value in enumerate(words.values) if counts[place] and value}
    if not there:
        return f"Of no track here is the {name} known."
    if name in DATES:
        return f"Here {name} is from {min(there)} to {max(there)}."
    value = folded(condition.value)
    near = difflib.get_close_matches(value, there, n=NEAR_VALUES, cutoff=0.6)
    near += [found for found in there if value and value in found and found not in near][: NEAR_VALUES - len(near)]
    shown = near or sorted(there, key=lambda found: (-counts[there[found]], found))[:NEAR_VALUES]
    listed = ", ".join(f"{name}={words.spelt[there[found]]} ({counts[there[found]]:,})" for found in shown)
    is_unique = all(counts[there[found]] == 1 for found in shown)
    return f"Did you mean: {listed}?" if near else f"{'For example' if is_unique else 'The most frequent'}: {listed}"


def facets(collection: Collection, column: str, where: Sequence[str] = (), most: int = 20) -> list[tuple[str, int]]:
    """Return the most frequent values of a column of text with their counts, among the tracks that fulfil conditions.

    Raises:
        UsageError: the column is unknown or holds numbers, or a condition is not of the right form.
    """
    if column not in COLUMNS or column in NUMBERS:
        raise UsageError(f"{column!r} is no column of text.{nearest(column, COLUMNS)}", parameter="column")
    words = collection.columns.words(column)
    counts = words.counts(fulfilling(collection.columns, where) if where else None)
    order = sorted(np.flatnonzero(counts), key=lambda place: (-counts[place], words.values[place]))
    return [(words.spelt[place], int(counts[place])) for place in order if words.values[place]][:most]
