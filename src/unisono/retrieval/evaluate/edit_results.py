"""What edits of captions and of audio change, as it is written to JSON."""

import msgspec

from unisono.base.table import Table
from unisono.retrieval.evaluate.measured import Estimate


class EditResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one edit changes."""

    name: str
    queries: int
    """Captions that the rule applies to; of audio, those of the tracks that were edited."""
    estimate: Estimate
    """Pair accuracy, or the drop of MRR."""
    before: float | None = None
    """MRR of the same queries without the edit."""
    after: float | None = None
    example: tuple[str, str] | None = None
    """A caption before and after."""


class RobustnessReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of all edits."""

    opposites: list[EditResult]
    """Edits after which a caption is false: how often the true caption is nearer to its music."""
    rewordings: list[EditResult]
    """Edits after which a caption is still true: by how much MRR drops."""
    audio: list[EditResult]
    """Edits of the audio: by how much MRR drops."""
    notes: list[str]

    def tables(self) -> list[Table]:
        """Return the tables."""
        accuracy = [
            (each.name, f"{each.queries:,}", _percent(each.estimate.value), _interval(each.estimate), "50.0")
            for each in self.opposites
        ]
        drops = [
            (
                each.name,
                f"{each.queries:,}",
                _percent(each.before or 0),
                _percent(each.after or 0),
                _percent(each.estimate.value),
                _interval(each.estimate),
            )
            for each in (*self.rewordings, *self.audio)
        ]
        return [
            Table(
                "robustness: how often a true caption is nearer to its music than a false one, %",
                ("made false by", "captions", "right", "95%", "chance"),
                accuracy,
            ),
            Table(
                "robustness: MRR of text to music before and after edits that keep the meaning, %",
                ("edit", "captions", "before", "after", "drop", "95%"),
                drops,
            ),
        ]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(estimate: Estimate) -> str:
    return f"{_percent(estimate.low)} to {_percent(estimate.high)}"
