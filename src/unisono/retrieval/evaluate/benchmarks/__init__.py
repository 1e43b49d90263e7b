"""Benchmarks by name: a module each, registered by being in this folder, with one `CARD`.

The card says what is evaluated on, and how much of it there must be: a release with other counts is refused, since its
numbers would not be those of the benchmark. `song-describer` is the module `song_describer`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.base.registry import Registry
from unisono.tracks.track import Track

Choice = Callable[[Path, list[Track]], list[Track]]
"""(folder of the release, its tracks) -> those of the benchmark, with the captions of the benchmark."""


@dataclass(frozen=True)
class JudgedFiles:
    """A release that holds queries, music and judgements in tables of their own, and the names of their columns."""

    query_id: str = "id"
    query_text: str = "text"
    music_id: str = "id"


@dataclass(frozen=True, kw_only=True)
class BenchmarkCard:
    """What a benchmark is."""

    name: str
    title: str
    music: str
    """The music, in all its parts, as the table of published results names it."""
    homepage: str
    dataset: str
    """What `unisono download` and `unisono unify` call the release."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Own options of the dataset."""
    choose: Choice = lambda _, tracks: tracks
    judged: JudgedFiles | None = None
    """If relevance is not "this caption describes this track", but what judges said."""
    revision: str
    license: str
    split: str
    queries: int | None
    """Distinct captions; None: no source says."""
    candidates: int | None
    """Tracks; None: no source says."""
    lines: tuple[tuple[str, ...], int] | None = None
    """Names that its file has in releases, and how many lines it has; where no source states `queries` and `candidates`."""
    protocol: str
    overlaps: tuple[str, ...]
    """Which training data holds its music or texts."""


_MODULES = Registry(__name__, "benchmark")


def names() -> tuple[str, ...]:
    """List the benchmarks in alphabetical order, without importing them."""
    return tuple(name.replace("_", "-") for name in _MODULES.names())


def get(name: str) -> BenchmarkCard:
    """Return the card of the benchmark of that name.

    Raises:
        UsageError: there is none; the message has the nearest name, the hint all names.
    """
    if name not in names():
        raise UsageError(
            f"There is no benchmark {name!r}.{nearest(name, names())}",
            hint=f"Known: {', '.join(names())}, and all.",
            parameter="benchmark",
        )
    card: BenchmarkCard = _MODULES.module(name.replace("-", "_")).CARD
    return card
