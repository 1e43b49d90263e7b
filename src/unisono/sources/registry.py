"""The datasets: one module each, registered by being in this folder.

Each module holds, in this order: a docstring that is the data card (what, size, captions and their origin, licence,
where per-track licences come from, known defects), the release as data, `parse`, and `DATASET`, which names them.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from unisono.base.errors import UsageError
from unisono.sources import datasets
from unisono.sources.base import Dataset


def names() -> list[str]:
    """List the datasets, in alphabetical order, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(datasets.__path__) if not module.name.startswith("_"))


def get(name: str) -> Dataset:
    """Give the dataset of that name, or the user's own: `folder:<path>`, or the path of a recipe (`*.toml`).

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in names():
        from unisono.sources import own as intake

        own = intake.find(name)
        if own is None:
            raise UsageError(
                f"There is no dataset {name!r}.",
                hint="Known datasets: "
                + ", ".join([*names(), *intake.recipe_names()])
                + "; your own music: folder:<path>, "
                "hf:<folder>, hf:owner/name, or a recipe ending in .toml.",
            )
        return own
    dataset: Dataset = importlib.import_module(f"{datasets.__name__}.{name}").DATASET
    return dataset


def usable() -> Iterator[Dataset]:
    """Yield all datasets."""
    yield from map(get, names())
