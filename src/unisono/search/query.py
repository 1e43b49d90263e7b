"""What is searched for: texts and music in any mix, what is not wanted, conditions, and how the hits are chosen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints

from msgspec import Meta

from unisono.base.arguments import Count, check
from unisono.base.errors import UsageError
from unisono.base.words import is_text

HEAVIEST = 100
_WEIGHTED = re.compile(r"(.*\S)\s*\^\s*(\d{1,9}(?:\.\d{1,9})?)\s*", re.DOTALL)

Diversity = Annotated[float, Meta(ge=0, le=1)]
"""From 0, the best in order, to 1, the most different."""


@dataclass(frozen=True)
class Query:
    """A question to a collection; `unisono.search.run.search` answers it.

    What is asked for, `text`, `like` and `without`, may end in a weight: `"flute^0.5"`. The default is 1. A single text
    stands for a tuple of one.

    Raises:
        UsageError: a value is of another type, out of its bounds, or an empty text.
    """

    text: Sequence[str] = ()
    """Descriptions; music should fit all of them."""
    like: Sequence[str] = ()
    """Music that it should be like: ids, paths, parts of "artist - title" that only one track has, or playlists."""
    without: Sequence[str] = ()
    """Descriptions of what it should not be."""
    where: Sequence[str] = ()
    """Conditions, which all must hold: see `search.filters`."""
    keep: Sequence[str] = ()
    """Ids of hits that were right: more like these."""
    reject: Sequence[str] = ()
    """Ids of hits that were wrong: less like these, and never these."""
    top: Count = 10
    """The most tracks."""
    max_per_artist: Count | None = None
    max_per_album: Count | None = None
    one_per_recording: bool = False
    """Leave out further tracks of a recording: of the same `recording`, or the same artist and title."""
    diversity: Diversity = 0.0
    """How much the hits should differ from each other, from 0 to 1."""
    rerank: Literal["none", "maxsim"] = "none"
    """How the first hits of a single description are ordered again: maxsim compares each word with each window."""
    windows: Literal["best", "mean"] = "best"
    """What counts of a track with several windows: the one that fits best, or their mean."""

    def __post_init__(self) -> None:
        """Check the values."""
        hints = get_type_hints(type(self), include_extras=True)
        for each in fields(self):
            value: Any = getattr(self, each.name)
            if each.name in PARTS:
                value = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
                object.__setattr__(self, each.name, value)
            check(each.name, value, hints[each.name])
            if each.name in PARTS and not all(part.strip() for part in value):
                raise UsageError(f"{each.name} must not be empty.", parameter=each.name)
        if not is_text("".join((*self.text, *self.without))):
            raise UsageError("A description holds bytes that are not UTF-8.", hint="Type it as UTF-8.")

    def __str__(self) -> str:
        """Return it as it is shown: `calm guitar, like Artist - Title, without vocals`."""
        said = [f"like {weighted(part)[0]}" for part in self.like]
        said += [f"without {weighted(part)[0]}" for part in self.without]
        said += [f"{len(ids)} {word}" for ids, word in ((self.keep, "kept"), (self.reject, "rejected")) if ids]
        texts = " + ".join(weighted(part)[0] for part in self.text)
        return ", ".join(filter(None, [texts, *said])) or "everything"

    def with_conditions(self) -> str:
        """Return it as it is shown, and its conditions: `calm guitar, where year>=1990 and genre=folk`."""
        return f"{self}, where {' and '.join(self.where)}" if self.where else str(self)


PARTS = ("text", "like", "without", "where", "keep", "reject")
"""The fields of several texts."""


def weighted(text: str) -> tuple[str, float]:
    """Take the weight from the end of a text: "flute^0.5" is ("flute", 0.5); without one it is 1.

    Raises:
        UsageError: the weight is 0, or above the heaviest.
    """
    found = _WEIGHTED.fullmatch(text)
    if not found:
        return text.strip(), 1.0
    weight = float(found[2])
    if not 0 < weight <= HEAVIEST:
        raise UsageError(f"A weight is above 0 and at most {HEAVIEST}, found {text!r}.")
    return found[1], weight
