"""The recipe of a run: a TOML file with a table for each stage, whose keys are the options of that verb.

    about = "What it makes."

    [estimate]                     # what the calculator reads
    tracks = 640
    audio-hours = 1.6

    [unify]
    datasets = ["fma"]

    [prepare]
    encoders = ["musicnn"]

    [train]
    audio-encoder = "musicnn"

    [evaluate]                     # or several: [[evaluate]]

The paths between the stages are filled in: all that a run makes is in `<data-root>/runs/<name>`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from unisono.base.arguments import flags, nearest
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.table import Table
from unisono.base.toml_file import TomlFile, dashed, read_toml
from unisono.embeddings.estimate import Requirements, estimate
from unisono.sources import registry
from unisono.sources.download.plan import size_in_words

STAGES = ("download", "unify", "prepare", "train", "evaluate")
SHIPPED = Path(str(files("unisono"))) / "recipes"
ESTIMATE = ("download-gb", "tracks", "audio-hours", "captions-per-track")


@dataclass(frozen=True)
class Stage:
    """One command of a run."""

    name: str
    """The verb; of several evaluations, the second is `evaluate 2`."""
    verb: str
    options: dict[str, Any]
    """By field of the verb's options, with the paths filled in."""
    output: Path
    """What it writes: a file, or a folder of releases."""
    inputs: tuple[Path, ...] = ()
    datasets: tuple[str, ...] = ()
    """Whose releases it writes or reads."""

    @property
    def words(self) -> list[str]:
        """The command line, without the program's name."""
        return [self.verb, *flags(self.options)]


@dataclass(frozen=True)
class RunRecipe:
    """What a run does."""

    name: str
    file: TomlFile
    folder: Path
    about: str
    costs: dict[str, float] = field(default_factory=dict)
    """What the calculator reads."""
    stages: tuple[Stage, ...] = ()

    def estimate(self) -> Requirements | None:
        """Return what embedding and training cost, if the recipe says how much music there is."""
        if "tracks" not in self.costs or "audio-hours" not in self.costs:
            return None
        options = {stage.verb: stage.options for stage in self.stages}
        encoders = options.get("prepare", {}).get("encoders", [])
        return estimate(
            int(self.costs["tracks"]),
            self.costs["audio-hours"],
            [encoders] if isinstance(encoders, str) else encoders,
            captions_per_track=self.costs.get("captions-per-track", 1),
            epochs=options["train"].get("epochs", 20) if "train" in options else 0,
        )

    def costs_in_words(self) -> tuple[str, str, str, str]:
        """Return disk, hours of cores, hours of a GPU, and its memory."""
        found = self.estimate()
        downloads = 1e9 * self.costs.get("download-gb", 0)
        disk = size_in_words(round(downloads + (found.disk_bytes if found else 0))) if found or downloads else "?"
        if not found or found.core_hours is None or found.gpu_hours is None or found.gpu_bytes is None:
            return disk, "?", "?", "?"
        memory = size_in_words(round(found.gpu_bytes)) if found.gpu_bytes > 1e9 else "not needed"
        return disk, _hours(found.core_hours), _hours(found.gpu_hours), memory


def find(name: str) -> Path:
    """Return the file of a recipe: a path, or the name of one that came with unisono.

    Raises:
        UsageError: there is none.
    """
    if name.endswith(".toml"):
        return Path(name)
    known = [path.stem for path in shipped()]
    if name not in known:
        raise UsageError(
            f"There is no recipe {name!r}.{nearest(name, known)}", hint=f"Known: {', '.join(known)}; or a .toml file."
        )
    return SHIPPED / f"{name}.toml"


def shipped() -> list[Path]:
    """List the recipes that came with unisono."""
    return sorted(SHIPPED.glob("*.toml"))


def read(path: Path, data_root: Path, known: Callable[[str], set[str]]) -> RunRecipe:
    """Read and check a recipe.

    Args:
        path: the file.
        data_root: the folder of the data.
        known: verb -> the names of its options.

    Raises:
        UsageError: a stage, an option, a dataset or an encoder is unknown; the message says in which line.
        DataError: the file cannot be read.
    """
    file = read_toml(path)
    file.refuse_unknown(file.content, ("about", "estimate", *STAGES), "stage")
    given = file.content.get("estimate", {})
    if not isinstance(given, dict):
        raise UsageError(f"{file.at('estimate')}: estimate must be a table: [estimate]")
    file.refuse_unknown(given, ESTIMATE, "key", "estimate")
    for name, value in given.items():
        if type(value) not in (int, float) or value <= 0:
            raise UsageError(f"{file.at('estimate', name)}: {name} must be a number above 0, found {value!r}.")
    folder = data_root / "runs" / path.stem
    stages: list[Stage] = []
    for verb in STAGES:
        tables = file.content.get(verb, [])
        for number, table in enumerate(tables if isinstance(tables, list) else [tables], 1):
            if not isinstance(table, dict):
                raise UsageError(f"{file.at(verb)}: {verb} must be a table: [{verb}]")
            file.refuse_unknown(table, known(verb), f"option of {verb}", verb)
            options = {dashed(name).replace("-", "_"): value for name, value in table.items()}
            _check_names(file, verb, options)
            stages.append(_stage(verb, number, options, folder, data_root, stages))
    if not stages:
        raise UsageError(f"{path} has no stage.", hint=f"Stages: {', '.join(STAGES)}")
    costs_given = {dashed(name): value for name, value in given.items()}
    return RunRecipe(path.stem, file, folder, str(file.content.get("about", "")), costs_given, tuple(stages))


def _check_names(file: TomlFile, verb: str, options: dict[str, Any]) -> None:
    """Check the names of datasets and encoders, before hours of work depend on them."""
    from unisono.embeddings.encoders import audio, text

    kinds: dict[str, Callable[[str], object]] = {
        "datasets": _dataset,
        "hold_out": _dataset,
        "encoders": audio.spec,
        "audio_encoder": audio.spec,
        "text_encoder": lambda name: "/" in name or text.spec(name),
    }
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            if name in kinds and isinstance(each, str):
                try:
                    kinds[name](each)
                except UnisonoError as error:
                    key = next((key for key in keys_of(file, verb) if dashed(key).replace("-", "_") == name), name)
                    raise UsageError(f"{file.at(verb, key)}: {error.message}", hint=error.hint) from error


def keys_of(file: TomlFile, verb: str) -> list[str]:
    """Return the keys of a stage's table, or of its tables, as they are spelled."""
    tables = file.content[verb]
    return [key for table in (tables if isinstance(tables, list) else [tables]) for key in table]


def _dataset(name: str) -> object:
    return ":" in name or name.endswith(".toml") or registry.get(name)


def _stage(
    verb: str, number: int, options: dict[str, Any], folder: Path, data_root: Path, before: list[Stage]
) -> Stage:
    """Return a stage with the paths that its recipe does not name."""
    earlier = {stage.verb: stage for stage in before}
    options = {**options, "data_root": str(data_root)}
    datasets = tuple(name for name in options.get("datasets", ()) if ":" not in name)
    unified = earlier["unify"].output if "unify" in earlier else data_root / "unified_dataset.json"
    embedded = earlier["prepare"].output if "prepare" in earlier else data_root / "processed_embeddings/embeddings.h5"
    if verb == "download":
        return Stage(verb, verb, options, data_root / "raw", datasets=datasets)
    if verb == "unify":
        output = Path(options.setdefault("output", str(folder / "unified.json")))
        return Stage(verb, verb, options, output, datasets=datasets)
    if verb == "prepare":
        source = options.setdefault("dataset_file", str(unified))
        where = Path(options.setdefault("output_dir", str(folder / _embeddings_name(options))))
        return Stage(verb, verb, options, where / "embeddings.h5", (Path(source),))
    if verb == "train":
        options.setdefault("run_name", folder.name)
        data = options.setdefault("data_dir", str(embedded.parent))
        where = Path(options.setdefault("checkpoint_dir", str(folder / "checkpoints")))
        best = where / f"{options.get('audio_encoder', 'muq')}_best.pt"
        return Stage(verb, verb, options, best, (Path(data) / "embeddings.h5",))
    inputs = [embedded]
    if "model" not in options and "checkpoint" not in options and "train" in earlier:
        options["checkpoint"] = str(earlier["train"].output)
    inputs += [Path(options["checkpoint"])] if "checkpoint" in options else []
    if not {"benchmark", "dataset_file"} & set(options):
        options.setdefault("data_dir", str(embedded.parent))
    name = verb if number == 1 else f"{verb} {number}"
    output = Path(options.setdefault("output", str(folder / f"{name.replace(' ', '_')}.json")))
    return Stage(name, verb, options, output, tuple(inputs))


def _embeddings_name(options: dict[str, Any]) -> str:
    """Return the name of the folder of embeddings: one for each way of making them, since `prepare` does not mix them."""
    made = {
        name: options[name] for name in ("layers", "pooling", "keep_windows", "windows_per_track") if name in options
    }
    text = json.dumps(made, sort_keys=True)
    return f"embeddings_{hashlib.sha256(text.encode()).hexdigest()[:8]}" if made else "embeddings"


def table(recipes: list[RunRecipe]) -> Table:
    """Return what recipes cost."""
    rows = [(recipe.name, *recipe.costs_in_words()) for recipe in recipes]
    return Table("Recipes", ("recipe", "disk", "core hours", "or GPU hours", "GPU memory"), rows, words=(0,))


def _hours(hours: float) -> str:
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:,.0f} h"
