"""The plan of a sweep: a file names options of `unisono train`, those that vary, and the seeds.

search = "grid"                # or "random": draws `trials` of all combinations, and from ranges
seeds = 3                      # 0, 1, 2; or a list

[train]                        # the same for all trials
data-dir = "data/processed_embeddings"
audio-encoder = "musicnn"

[vary]
projection = ["text", "joint"]
learning-rate = [1e-3, 3e-3]   # random: or { low = 1e-4, high = 1e-2, log = true }
"""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from unisono.base.errors import UsageError
from unisono.base.seeded import rng
from unisono.base.toml_file import TomlFile, dashed, read_toml
from unisono.retrieval.train.config import RunSettings, TrainingConfig

TOP = ("search", "seeds", "trials", "seed", "folder", "train", "vary")
RANGE = ("low", "high", "log")
NOT_IN_TRIALS = frozenset({"checkpoint_dir", "device", "seed", "resume", "overwrite"})
"""Decided by the sweep itself."""

Options = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One training."""

    setting: int
    """Number of its combination of options, from 0."""
    varied: Options
    """The options that vary."""
    seed: int
    options: Options
    """All options that the sweep fixes, by field of the training's settings; without paths of the outputs."""

    @property
    def name(self) -> str:
        """Name of its folder: a digest of its options, so that a changed sweep file keeps what it still asks for."""
        text = json.dumps(self.options, sort_keys=True, default=str)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:12]}_seed{self.seed}"


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep file asks for."""

    path: Path
    data_dir: Path | None
    """The folder of the embeddings; None if the file names none."""
    folder: Path | None
    """The folder of the trials; None if the file names none."""
    trials: tuple[Trial, ...]
    """In the order of the settings; of each, all seeds."""

    @property
    def varied(self) -> list[str]:
        """Names of the options that vary."""
        return list(self.trials[0].varied)


def read_plan(path: Path) -> SweepPlan:
    """Read a sweep file and list its trials.

    Raises:
        UsageError: an option is unknown, or a value is out of its bounds; the message says in which line.
        DataError: the file cannot be read.
    """
    file = read_toml(path)
    content = file.content
    file.refuse_unknown(content, TOP, "key")
    shared, vary = (_table(file, name) for name in ("train", "vary"))
    known = {each.name for kind in (TrainingConfig, RunSettings) for each in fields(kind)} - NOT_IN_TRIALS
    data = shared.pop("data_dir", shared.pop("data-dir", None))
    if data is not None and not isinstance(data, str):
        raise UsageError(f"{file.at('train', 'data-dir')}: a sweep reads one folder of embeddings, found {data!r}.")
    for name, table in (("train", shared), ("vary", vary)):
        file.refuse_unknown(table, known, "option of train", name)
    if not vary:
        raise UsageError(f"{path}: nothing varies.", hint="Add a table [vary]: learning-rate = [1e-3, 3e-3]")
    base = {_field(name): _value(value) for name, value in shared.items()}
    seeds = _seeds(file)
    settings = _settings(file, vary)
    trials = []
    for number, varied in enumerate(settings):
        for seed in seeds:
            options = {**base, **varied}
            _try(file, options, varied)
            trials.append(Trial(number, varied, seed, {**options, "seed": seed}))
    folder = content.get("folder")
    return SweepPlan(path, Path(data) if data else None, Path(folder) if folder else None, tuple(trials))


def _table(file: TomlFile, name: str) -> Options:
    table = file.content.get(name, {})
    if not isinstance(table, dict):
        raise UsageError(f"{file.at(name)}: {name} must be a table: [{name}]")
    return dict(table)


def _field(name: str) -> str:
    return dashed(name).replace("-", "_")


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _seeds(file: TomlFile) -> list[int]:
    seeds = file.content.get("seeds", 3)
    if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds > 0:
        return list(range(seeds))
    if isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds):
        return list(dict.fromkeys(seeds))
    raise UsageError(f"{file.at('seeds')}: seeds must be a number of seeds or a list of them, found {seeds!r}.")


def _settings(file: TomlFile, vary: Options) -> list[Options]:
    """Return the combinations of the options that vary."""
    search = file.content.get("search", "grid")
    for name, values in vary.items():
        is_range = isinstance(values, dict)
        if is_range:
            file.refuse_unknown(values, RANGE, "part of a range", "vary")
        if (is_range and search == "grid") or not (is_range or (isinstance(values, list) and values)):
            raise UsageError(f"{file.at('vary', name)}: {name} must be a list of values.")
    if search == "grid":
        combinations = itertools.product(*vary.values())
        return [{_field(name): _value(one) for name, one in zip(vary, values, strict=True)} for values in combinations]
    if search != "random":
        raise UsageError(f"{file.at('search')}: search must be 'grid' or 'random', found {search!r}.")
    wanted, seed = file.content.get("trials", 20), file.content.get("seed", 42)
    if type(wanted) is not int or wanted < 1 or type(seed) is not int:
        raise UsageError(f"{file.at('trials')}: trials must be a whole number of at least 1.")
    found: dict[str, Options] = {}
    for number in range(20 * wanted):  # the same combination may be drawn twice
        drawn = {_field(name): _draw(file, name, values, seed, number) for name, values in vary.items()}
        found.setdefault(json.dumps(drawn, default=str), drawn)
        if len(found) == wanted:
            break
    return list(found.values())


def _draw(file: TomlFile, name: str, values: Any, seed: int, number: int) -> Any:
    """Draw a value for a trial; more trials extend fewer."""
    random_ = rng(seed, "sweep", name, number)
    if isinstance(values, list):
        return _value(random_.choice(values))
    low, high, log = values.get("low"), values.get("high"), values.get("log", False)
    numbers = all(type(each) in (int, float) for each in (low, high))
    if not numbers or low > high or (log and low <= 0):
        raise UsageError(
            f"{file.at('vary', name)}: a range is {{ low = 1e-4, high = 1e-2, log = true }}, found {values!r}."
        )
    if type(low) is type(high) is int and not log:
        return random_.randint(low, high)
    drawn = math.exp(random_.uniform(math.log(low), math.log(high))) if log else random_.uniform(low, high)
    return round(drawn) if type(low) is type(high) is int else float(f"{drawn:.4g}")


def _try(file: TomlFile, options: Mapping[str, Any], varied: Mapping[str, Any]) -> None:
    """Check a combination before anything runs.

    Raises:
        UsageError: with the line of the option.
    """
    parts = [{each.name for each in fields(kind)} for kind in (TrainingConfig, RunSettings)]
    try:
        TrainingConfig(**{name: value for name, value in options.items() if name in parts[0]})
        RunSettings(**{name: value for name, value in options.items() if name in parts[1]})
    except UsageError as error:
        name = dashed(error.parameter or next((name for name in options if name in error.message), ""))
        table = "vary" if name.replace("-", "_") in varied else "train"
        spelled = next((key for key in file.content.get(table, {}) if dashed(key) == name), name)
        raise UsageError(f"{file.at(table, spelled)}: {error.message}", hint=error.hint) from error
