"""The datasets by name: one module each in `sources/datasets/`, or an entry point `unisono.datasets` of another package.

Being in the folder registers a module. An entry point names a module that is written in the same way, or its `DATASET`.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from unisono.base import entry_points
from unisono.base.arguments import AnyPath, nearest
from unisono.base.errors import UsageError
from unisono.base.registry import Registry
from unisono.sources import datasets, own
from unisono.sources.base import Dataset, Option
from unisono.tracks.workspace import Workspace

GROUP = "unisono.datasets"
"""The group of entry points by which other packages add datasets."""
_OWN = Registry(datasets.__name__, "dataset")
Kind = Literal["options", "choices"]
"""What options of datasets are for: reading a release, or choosing what of it to download."""


def names() -> list[str]:
    """List the datasets in alphabetical order, without importing them."""
    return sorted({*_OWN.names(), *entry_points.names(GROUP)})


def get(name: str, suffix: str = "") -> Dataset:
    """Return the dataset of that name, or the user's own: `folder:<path>`, `hf:...`, or the path of a recipe (`*.toml`).

    The suffix tells the user's own folders of one name apart, see `unisono.sources.own.distinct_suffixes`.

    Raises:
        UsageError: there is none, with the nearest name; or the package that adds it cannot be used.
    """
    if name in _OWN.names():
        dataset: Dataset = _OWN.module(name).DATASET
        return dataset
    if name in entry_points.names(GROUP):
        return _of_package(name)
    found = own.find(name, suffix)
    if found is None:
        known = [*names(), *own.recipe_names()]
        if close := own.meant_by(name):
            raise UsageError(f"There is no dataset {name!r}.", hint=close)
        raise UsageError(
            f"There is no dataset {name!r}.{nearest(name, known)}",
            hint=f"Known datasets: {', '.join(known)}; your own music: folder:<path>, hf:<folder>, hf:owner/name, or a "
            "recipe ending in .toml.",
        )
    return found


def usable() -> Iterator[Dataset]:
    """Yield all datasets but those whose packages cannot be used; `get` says why they cannot."""
    for name in names():
        with suppress(entry_points.EntryPointError):
            yield get(name)


def unusable() -> Iterator[UsageError]:
    """Yield what is wrong with the datasets that `usable` leaves out."""
    for name in entry_points.names(GROUP):
        try:
            get(name)
        except entry_points.EntryPointError as error:
            yield error


def flags(kind: Kind) -> dict[str, Option]:
    """Collect the datasets' own options by their names on the command line; of equal names, the first one counts."""
    found: dict[str, Option] = {}
    for dataset in usable():
        for option in getattr(dataset, kind):
            found.setdefault(option.flag or option.name, option)
    return found


def by_dataset(kind: Kind, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Turn values by name on the command line into values by dataset and name; each dataset gets its own only."""
    return {
        dataset.name: {
            option.name: values[flag]
            for option in getattr(dataset, kind)
            if values.get(flag := option.flag or option.name) not in (None, ())
        }
        for dataset in usable()
    }


def hash_lists(data_root: AnyPath) -> tuple[Path, ...]:
    """List the files of published hashes (`Dataset.hash_lists`) that are on disk below `<data_root>/raw`."""
    return tuple(
        sorted(
            path
            for dataset in usable()
            for pattern in dataset.hash_lists
            for path in Workspace.at(data_root).release(dataset.name).glob(pattern)
        )
    )


def _of_package(name: str) -> Dataset:
    found = entry_points.load_one(GROUP, name)
    if isinstance(found, entry_points.EntryPointError):
        raise found
    dataset = getattr(found, "DATASET", None) if isinstance(found, ModuleType) else found
    if isinstance(dataset, Dataset) and dataset.name == name:
        return dataset
    reason = (
        f"its dataset is called {dataset.name!r}; the entry point must have the same name"
        if isinstance(dataset, Dataset)
        else "it names neither a Dataset nor a module with a DATASET"
    )
    package = entry_points.package_of(GROUP, name)
    raise entry_points.EntryPointError(GROUP, name, package, reason)
