"""Assigning captions to tracks by the ways that the user chose, each with its origin."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from unisono.base.arguments import check
from unisono.base.errors import UsageError
from unisono.captions import ways
from unisono.captions.language_model import LanguageModel
from unisono.tracks.track import Caption, Track, replace


@dataclass(frozen=True, kw_only=True)
class CaptionPlan:
    """How tracks are captioned.

    Raises:
        UsageError: there is no such way, or the language model is missing.
    """

    ways: Sequence[str] = ("template",)
    """The first way that has something to say gives the caption, each further one an alternative."""
    of_all: bool = False
    """Whether tracks that upstream describes get further captions; upstream's stay in front."""
    model: LanguageModel = field(default_factory=LanguageModel)
    """The settings of ways that ask a language model."""

    def __post_init__(self) -> None:
        check("captions", self.ways, Sequence[str])
        if not self.ways:
            raise UsageError("captions needs at least one of: " + ", ".join(ways.names()), parameter="captions")
        if self.asks:
            self.model.refuse_incomplete()

    @property
    def asks(self) -> bool:
        """Whether a language model is asked."""
        return any(ways.get(way).ORIGIN == "model" for way in self.ways)

    @property
    def is_default(self) -> bool:
        """Whether tracks keep the captions that they were completed with."""
        return tuple(self.ways) == ("template",) and not self.of_all


@dataclass(frozen=True)
class Assigned:
    """Tracks with their captions, and for each way that has something to report, its report."""

    tracks: list[Track]
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)


def assign(
    tracks: Sequence[Track], made: Collection[str], plan: CaptionPlan, *, seed: int = 42, ask_model: bool = True
) -> Assigned:
    """Caption tracks by the ways of a plan.

    A track about which no way has anything to say keeps the captions that it has.

    Args:
        tracks: with the captions that they have so far.
        made: ids of the tracks that upstream does not describe: their captions are replaced.
        plan: the ways to caption.
        seed: of the ways that choose at random.
        ask_model: whether to use ways that ask a language model.

    Raises:
        UnisonoError: the language model cannot be asked, or has stopped answering.
    """
    chosen = [track for track in tracks if plan.of_all or track.id in made]
    described = frozenset(track.id for track in chosen if track.id not in made)
    request = ways.Request(seed=seed, described=described, model=plan.model)
    found: dict[str, dict[str, Caption]] = {
        track.id: {caption.text: caption for caption in track.captions} if track.id in described else {}
        for track in chosen
    }
    reports = {}
    for name in dict.fromkeys(plan.ways):
        way = ways.get(name)
        if way.ORIGIN == "model" and not ask_model:
            continue
        written = way.write(chosen, request)
        for id, texts in written.captions.items():
            for text in texts:
                found[id].setdefault(text, Caption(text, way.ORIGIN))
        if written.report:
            reports[name] = written.report
    return Assigned([_captioned(track, found.get(track.id)) for track in tracks], reports)


def _captioned(track: Track, captions: dict[str, Caption] | None) -> Track:
    return replace(track, captions=tuple(captions.values())) if captions else track
