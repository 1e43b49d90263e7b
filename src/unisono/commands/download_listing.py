"""What there is to fetch and what is here, as tables."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE
from rich.filesize import decimal
from rich.table import Table

from unisono.commands import console
from unisono.sources.base import Dataset, HubFiles, RemoteFile
from unisono.sources.download import plan
from unisono.sources.download.ledger import Ledger
from unisono.sources.download.options import DownloadOptions


def show(datasets: Sequence[Dataset], options: DownloadOptions) -> None:
    """Print all datasets: what there is to fetch and what is here, and under which licences."""
    sizes = Table(box=SIMPLE, title="Datasets", title_justify="left")
    sizes.add_column("dataset", no_wrap=True)
    sizes.add_column("tracks", justify="right", no_wrap=True)
    for title in ("captions", "to fetch", "here"):
        sizes.add_column(title)
    licences = Table(box=SIMPLE, title="Licences", title_justify="left")
    licences.add_column("dataset", no_wrap=True)
    licences.add_column("captions", ratio=3)
    licences.add_column("audio", ratio=2)
    for dataset in datasets:
        sizes.add_row(
            dataset.name,
            f"{dataset.tracks:,}",
            dataset.captions_in_words + (" (for evaluation only)" if dataset.evaluation_only else ""),
            "\n".join(_sizes(dataset, options)),
            what_is_here(dataset, options),
        )
        licences.add_row(dataset.name, dataset.caption_license, dataset.audio_license)
    console.out.print(sizes, licences)


def what_is_here(dataset: Dataset, options: DownloadOptions) -> str:
    """Say how much of a dataset, with the default choices, is on disk."""
    folder = options.data_root / "raw" / dataset.name
    if dataset.files:
        todo = plan.make(dataset, options, folder, Ledger(folder), ask_hub=False)
        done = len(todo.wanted) - len(todo.missing)
        if not todo.missing:
            return "complete"
        if done or any(todo.received(file) for file in todo.missing):
            return f"in part: {done} of {len(todo.wanted)} files"
    if any(next(folder.glob(pattern), None) is not None for pattern in dataset.marker_files):
        return "yes"
    return "no"


def dry_run(dataset: Dataset, options: DownloadOptions, folder: Path) -> None:
    """Print what a download of the dataset would do."""
    todo = plan.make(dataset, options, folder, Ledger(folder), ask_hub=False)
    rows = Table(title=f"{dataset.title} -> {folder}", title_justify="left")
    rows.add_column("file", overflow="fold")
    for title in ("size", "from", "here"):
        rows.add_column(title, no_wrap=True)
    missing = set(todo.missing)
    for file in todo.wanted:
        have = "complete" if file not in missing else size_text(have) if (have := todo.received(file)) else "no"
        rows.add_row(_name(file), size_text(plan.size_of(file)), _source(file), have)
    if todo.wanted:
        console.out.print(rows)
    room = todo.room_needed(keep_archives=options.keep_archives, jobs=options.jobs)
    console.out.print(
        f"{dataset.name}: {size_text(todo.to_fetch)} to fetch; {size_text(room)} of room needed while unpacking."
        if todo.missing
        else f"{dataset.name}: nothing to fetch."
    )
    if dataset.not_fetched:
        console.out.print(console.escape(f"{dataset.name}, not fetched: {dataset.not_fetched}"), soft_wrap=True)


def amount(files: Sequence[RemoteFile], size: int) -> str:
    """Say how many files of what size together."""
    return f"{len(files):,} file{'s' if len(files) != 1 else ''}, {size_text(size)}"


def size_text(size: int) -> str:
    """Write a number of bytes for people, e.g. "3.3 GB"."""
    return decimal(size) if size else "?"


def _sizes(dataset: Dataset, options: DownloadOptions) -> Iterable[str]:
    """Give the size of each way to fetch a dataset."""
    if not dataset.files:
        yield "not by program"
        return
    for name, values in dataset.choices.items():
        if name == "parts":
            continue
        for value in values:
            total = _total(dataset, replace(options, **{name: value}))  # type: ignore[arg-type]
            yield f"{size_text(total)} {value}"
    if not set(dataset.choices) - {"parts"}:
        yield size_text(_total(dataset, options))
    yield f"{size_text(_total(dataset, replace(options, metadata_only=True)))} metadata"


def _total(dataset: Dataset, options: DownloadOptions) -> int:
    return sum(plan.size_of(file) for file in plan.chosen(dataset, options))


def _name(file: RemoteFile | HubFiles) -> str:
    return file.name if isinstance(file, RemoteFile) else f"{file.repo}: {', '.join(file.patterns)}"


def _source(file: RemoteFile | HubFiles) -> str:
    return "Hugging Face Hub" if isinstance(file, HubFiles) or file.hub else file.urls[0].split("/")[2]
