"""List the datasets with their sizes and with what is on disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unisono.base.arguments import AnyPath
from unisono.sources import registry
from unisono.sources.base import Dataset
from unisono.sources.download.ledger import Ledger
from unisono.sources.download.plan import chosen, make_plan, size_of
from unisono.tracks.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ListedDataset:
    """A dataset, its sizes, and how much of it is on disk."""

    dataset: Dataset
    sizes: tuple[tuple[str, int], ...]
    """What can be downloaded -> bytes, 0 if unknown: each value of a choice, or everything (""), and `metadata`."""
    here: str
    """Of what is downloaded by default: `complete`, `in part: 3 of 5 files`, `yes` or `no`."""


def list_datasets(data_root: AnyPath = "data") -> list[ListedDataset]:
    """List all datasets in alphabetical order."""
    return [
        ListedDataset(
            dataset=dataset,
            sizes=tuple(_sizes(dataset)),
            here=_here(dataset, Workspace.at(data_root).release(dataset.name)),
        )
        for dataset in registry.usable()
    ]


def _sizes(dataset: Dataset) -> Iterator[tuple[str, int]]:
    if not dataset.files:
        return
    alternatives = [option for option in dataset.choices if option.values and not option.several]
    for option in alternatives:
        for value in option.values:
            yield str(value), _total(dataset, {option.name: value})
    if not alternatives:
        yield "", _total(dataset, {})
    yield "metadata", _total(dataset, {}, metadata_only=True)


def _total(dataset: Dataset, choices: dict[str, int | str], *, metadata_only: bool = False) -> int:
    return sum(map(size_of, chosen(dataset, choices, metadata_only=metadata_only)))


def _here(dataset: Dataset, folder: Path) -> str:
    if dataset.files:
        plan = make_plan(dataset, folder, Ledger(folder), ask_hub=False)
        done = len(plan.wanted) - len(plan.missing)
        if not plan.missing:
            return "complete"
        if done or any(map(plan.received, plan.missing)):
            return f"in part: {done} of {len(plan.wanted)} files"
    return "yes" if dataset.is_in(folder) else "no"
