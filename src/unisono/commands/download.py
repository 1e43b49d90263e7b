"""The verb `download`: find out what of each dataset is missing, fetch and unpack it, and say what cannot be fetched."""

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import explained
from unisono.base.log import log, log_to
from unisono.commands import console
from unisono.commands import download_listing as listing
from unisono.sources import registry as datasets
from unisono.sources.base import Dataset, RemoteFile
from unisono.sources.download import plan
from unisono.sources.download.ledger import Ledger, locked, state_folder
from unisono.sources.download.options import DownloadOptions


def run(options: DownloadOptions) -> None:
    """Fetch the datasets asked for, or show what there is to fetch.

    Raises:
        UsageError: nothing is asked for, or something that does not exist.
        UnisonoError: something could not be fetched; everything else was.
    """
    if options.list_:
        listing.show([datasets.get(name) for name in datasets.names()], options)
        return
    wanted = _asked_for(options)
    plan.refuse_idle_options(wanted, options)
    for dataset in wanted:
        plan.chosen(dataset, options)  # wrong usage shows before the first byte
    failures = []
    for dataset in wanted:
        try:
            if options.dry_run:
                listing.dry_run(dataset, options, _folder(dataset, options))
            else:
                _download(dataset, options)
        except UsageError:
            raise
        except UnisonoError as failure:
            if len(wanted) == 1:
                raise
            console.err.print(f"[bold red]{dataset.name}:[/] {console.escape(failure.message)}", soft_wrap=True)
            failures.append(f"{dataset.name}: {failure.hint or failure.message}")
    if failures:
        raise UnisonoError(f"{len(failures)} of {len(wanted)} datasets are not complete.", hint="\n".join(failures))


def _asked_for(options: DownloadOptions) -> list[Dataset]:
    names = datasets.names() if options.all_ else list(dict.fromkeys(options.datasets))
    if not names:
        raise UsageError(
            "No dataset is named.", hint="Name some, or use --all; `unisono download --list` shows what there is."
        )
    return [datasets.get(name) for name in names]


def _folder(dataset: Dataset, options: DownloadOptions) -> Path:
    return options.data_root / "raw" / dataset.name


def _download(dataset: Dataset, options: DownloadOptions) -> None:
    folder = _folder(dataset, options)
    if not dataset.files:
        if options.all_:
            _say_what_is_not_there(dataset, (), folder)
            return
        raise UnisonoError(f"{dataset.title} cannot be fetched by a program.", hint=dataset.not_fetched)
    with explained(folder / "x"):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), log_to(state_folder(folder) / "download.log"):
        ledger = Ledger(folder)
        todo = plan.make(dataset, options, folder, ledger, ask_hub=True)
        for file in set(todo.wanted).difference(todo.missing):
            if isinstance(file, RemoteFile):
                ledger.remove_archive(file)  # a run was killed between unpacking it and this
        files = [file for file in todo.missing if isinstance(file, RemoteFile)]
        if files:
            _make_sure_of_room(dataset, todo, options)
            from unisono.sources.download.fetch import (
                fetch_all,  # its libraries take a moment to load: not for "all is here"
            )

            log.info("%s: fetching %s.", dataset.name, listing.amount(files, todo.to_fetch))
            try:
                fetch_all(dataset.name, files, folder, ledger, options)
            except OSError as error:
                raise _write_failed(folder, error) from error
        count = len(todo.wanted)
        log.info("%s: complete%s: %d files in %s.", dataset.name, "" if files else " already", count, folder)
        _say_what_is_not_there(dataset, todo.wanted, folder)


def _make_sure_of_room(dataset: Dataset, todo: plan.Plan, options: DownloadOptions) -> None:
    needed = todo.room_needed(keep_archives=options.keep_archives, jobs=options.jobs)
    free = shutil.disk_usage(todo.folder).free
    if needed > free:
        raise UnisonoError(
            f"{dataset.title} needs {listing.size_text(needed)} in {todo.folder} while it is fetched and unpacked; "
            f"{listing.size_text(free)} are free.",
            hint="Free some space, put the data elsewhere with --data-root, or fetch less: --metadata-only"
            + "".join(
                f", --{name.replace('_', '-')} ({', '.join(values[:4])}...)" for name, values in dataset.choices.items()
            )
            + (", --shards N" if any(file.audio_column for file in dataset.files) else "")
            + ".",
        )


def _write_failed(folder: Path, error: OSError) -> UnisonoError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnisonoError(
            f"No space left on the disk while writing to {folder}; what was received is kept.",
            hint="Free some space and run the same command again: it goes on from there.",
        )
    where = os.fspath(error.filename) if isinstance(error.filename, (str, os.PathLike)) else str(folder)
    return UnisonoError(f"Cannot write {where}: {error.strerror or error}.", hint="What was received is kept.")


def _say_what_is_not_there(dataset: Dataset, wanted: Sequence[object], folder: Path) -> None:
    known_bad = {
        path: fault
        for file in wanted
        if isinstance(file, RemoteFile)
        for path, fault in file.known_bad.items()
        if (folder / path).exists()
    }
    if known_bad:
        lines = "".join(f"\n  {path}: {fault}" for path, fault in known_bad.items())
        console.out.print(console.escape(f"{dataset.name}: {len(known_bad)} files are bad as published:{lines}"))
    if dataset.not_fetched:
        console.out.print(console.escape(f"{dataset.name}, not fetched: {dataset.not_fetched}"), soft_wrap=True)


def download(*names: str, options: DownloadOptions = DownloadOptions()) -> None:  # noqa: B008 - frozen
    """Fetch datasets from their official sources into `<data-root>/raw/<dataset>/`."""
    run(replace(options, datasets=(*names, *options.datasets)))
