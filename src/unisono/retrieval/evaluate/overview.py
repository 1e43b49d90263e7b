"""The results of one model on several benchmarks, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unisono.base.table import Table, Tabular
from unisono.retrieval.evaluate.result import Result
from unisono.retrieval.evaluate.tables import GRADED, TITLES, say
from unisono.retrieval.metrics import TEXT_TO_MUSIC


@dataclass(frozen=True, repr=False)
class Overview(Tabular):
    """Results by benchmark; printed as one table."""

    results: Mapping[str, Result]
    failed: Mapping[str, str] = field(default_factory=dict)
    """Benchmark -> why there is no result."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Benchmark whose release is not on disk -> the command that fetches it."""

    def table(self) -> Table:
        """Return one line for each benchmark, text to music, each followed by chance."""
        measured = {name: result.retrieval[TEXT_TO_MUSIC]["all"] for name, result in self.results.items()}
        measures = [name for name in GRADED if any(name in found.estimates for found in measured.values())]
        rows = []
        for name, found in measured.items():
            partly = "" if self.results[name].benchmark else " (a part)"
            estimates = [found.estimates.get(measure) for measure in measures]
            values = ["" if each is None else say(m, each.value) for m, each in zip(measures, estimates, strict=True)]
            chance = ["" if each is None else say(m, each.chance) for m, each in zip(measures, estimates, strict=True)]
            rows += [
                (f"{name}{partly}", f"{found.queries:,}", f"{found.candidates:,}", *values),
                ("  chance", "", "", *chance),
            ]
        return Table(
            "Text to music, in per cent except ranks",
            ("benchmark", "queries", "tracks", *(TITLES.get(name, name) for name in measures)),
            rows,
        )
