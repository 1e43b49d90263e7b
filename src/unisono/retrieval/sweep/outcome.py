"""The outcome of a sweep: a table with intervals over seeds and recordings, and the winner's command."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import flags
from unisono.base.table import Table, Tabular
from unisono.base.words import counted
from unisono.retrieval.evaluate.result import QueryResult
from unisono.retrieval.evaluate.significance import Measure, value_of
from unisono.retrieval.metrics import interval
from unisono.retrieval.sweep.plan import SweepPlan, Trial
from unisono.retrieval.train.config import TrainingConfig

RESAMPLES = 2000


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished trial left: the result of each text query on the val split."""

    options: dict[str, Any]
    data: list[int]
    """Size and time of change of the embeddings."""
    checkpoint: str
    best_epoch: int
    candidates: int
    chance: dict[str, float]
    queries: list[QueryResult]


@dataclass(frozen=True)
class Setting:
    """One combination of options, over its seeds."""

    varied: Mapping[str, Any]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]
    """[S, Q]: the measure of each query, by seed."""
    recall: float
    best: Trial
    """The trial of the highest mean."""
    checkpoint: str

    @property
    def mean(self) -> float:
        """The mean over seeds and queries."""
        return float(self.values.mean())


@dataclass(frozen=True, repr=False)
class SweepOutcome(Tabular):
    """All settings, the best one first."""

    plan: SweepPlan
    measure: Measure
    settings: tuple[Setting, ...]
    about: NDArray[np.int64]
    """[Q]: the recording of each query."""
    candidates: int
    chance: Mapping[str, float]
    failed: Mapping[str, str]
    """Trial -> why it failed."""

    @property
    def note(self) -> str:  # type: ignore[override]
        """The protocol."""
        queries, recordings = counted(len(self.about), "caption"), len(np.unique(self.about))
        return (
            f"Val split, text to music: {queries} of {recordings:,} recordings, {self.candidates:,} candidates; in per "
            f"cent; chance: {self.measure} {100 * self.chance[self.measure]:.1f}, recall@10 "
            f"{100 * self.chance['recall@10']:.1f}. ±: standard deviation over the seeds. 95 %: bootstrap over seeds and "
            "recordings; differences to the first line are paired. The val split selected the epochs and this order, so the "
            "numbers are too high; the test split was not looked at."
        )

    def table(self) -> Table:
        """Return one line for each setting."""
        rows = []
        for each in self.settings:
            low, high = interval_over_seeds(each.values, self.about)
            spread = f" ± {100 * each.values.mean(axis=1).std(ddof=1):.1f}" if len(each.seeds) > 1 else ""
            cells = [*map(_plain, each.varied.values()), str(len(each.seeds))]
            cells += [
                f"{100 * each.mean:.1f}{spread}",
                f"{100 * low:.1f} to {100 * high:.1f}",
                f"{100 * each.recall:.1f}",
            ]
            rows.append([*cells, self._behind(each)])
        measure = self.measure.upper() if self.measure == "mrr" else self.measure
        heads = [*(name.replace("_", "-") for name in self.plan.varied), "seeds", f"val {measure}", "95 %", "recall@10"]
        return Table("Sweep", [*heads, "difference"], rows, words=range(len(self.plan.varied)))

    def _behind(self, each: Setting) -> str:
        first = self.settings[0]
        if each is first:
            return ""
        if each.seeds != first.seeds:
            return "other seeds"
        change = each.values - first.values
        low, high = interval_over_seeds(change, self.about)
        return f"{100 * change.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"

    def command(self) -> str:
        """Return the command that trains the winner's best seed again."""
        options = self.settings[0].best.options
        words = ["unisono", "train"]
        if self.plan.data_dir:
            words += ["--data-dir", str(self.plan.data_dir)]
        return shlex.join(words + flags(options))


def interval_over_seeds(
    values: NDArray[np.float64], about: NDArray[np.int64], resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Bootstrap the mean over seeds and clusters of queries; return its 95 % interval.

    Args:
        values: [S, Q], of each query by seed.
        about: [Q], the cluster of each query: its recording.
        resamples: how many to draw; each draws S seeds and as many clusters as there are.
    """
    _, member = np.unique(about, return_inverse=True)
    clusters = int(member.max()) + 1
    sums = np.stack([np.bincount(member, of_seed, clusters) for of_seed in values])
    sizes = np.bincount(member, minlength=clusters)
    rng = np.random.default_rng(0)
    means = np.empty(resamples)
    for number in range(resamples):
        times = np.bincount(rng.integers(clusters, size=clusters), minlength=clusters)
        seeds = rng.integers(len(values), size=len(values))
        means[number] = (sums[seeds].mean(axis=0) @ times) / (sizes @ times)
    return interval(means)


def outcome_of(
    plan: SweepPlan, results: Sequence[tuple[Trial, TrialResult]], failed: Mapping[str, str], folder: Path
) -> SweepOutcome:
    """Compare the settings that have results, by the mean over the seeds."""
    selected = results[0][1].options.get("select_by") or TrainingConfig.select_by
    measure: Measure = next(each for each in get_args(Measure) if each == selected)
    keys = [(each.query, each.about) for each in results[0][1].queries]
    by_setting: dict[int, list[tuple[Trial, TrialResult]]] = {}
    for trial, result in results:
        by_setting.setdefault(trial.setting, []).append((trial, result))
    settings = []
    for found in by_setting.values():
        values = np.stack([_values(result, measure, keys) for _, result in found])
        at = int(values.mean(axis=1).argmax())
        recall = np.mean([_values(result, "recall@10", keys).mean() for _, result in found])
        seeds = tuple(trial.seed for trial, _ in found)
        best, checkpoint = found[at][0], str(folder / found[at][0].name / found[at][1].checkpoint)
        settings.append(Setting(best.varied, seeds, values, float(recall), best, checkpoint))
    settings.sort(key=lambda each: (-each.mean, each.best.setting))
    about = np.unique([recording for _, recording in keys], return_inverse=True)[1]
    first = results[0][1]
    return SweepOutcome(plan, measure, tuple(settings), about, first.candidates, first.chance, failed)


def _values(result: TrialResult, measure: Measure, keys: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    place = {(each.query, each.about): each for each in result.queries}
    return np.array([value_of(place[key], measure) for key in keys])


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
