"""Fetch datasets from their official sources into `<data_root>/raw/<dataset>/`, and return a report."""

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unisono.base.arguments import AnyPath, Count, Positive, as_path, checked
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import explained
from unisono.base.log import log, log_to
from unisono.base.table import Table, Tabular
from unisono.sources import registry
from unisono.sources.base import Dataset, HubFiles, RemoteFile
from unisono.sources.download.fetch import FetchSettings, fetch_all
from unisono.sources.download.ledger import Ledger, locked, state_folder
from unisono.sources.download.plan import FetchPlan, chosen, make_plan, size_in_words, size_of
from unisono.tracks.workspace import Workspace

Asked = Mapping[str, Mapping[str, Any]]
"""Values of datasets' own options: dataset -> name -> value."""


@dataclass(frozen=True, kw_only=True)
class FileState:
    """A wanted file, and its state before the download."""

    name: str
    size: int
    """Bytes, exactly or roughly; 0 if unknown."""
    source: str
    """The host that serves it."""
    received: int
    """Bytes that were on disk."""
    complete: bool
    """It was on disk, verified and unpacked."""


@dataclass(frozen=True, kw_only=True)
class DatasetDownload:
    """One dataset in a `DownloadReport`."""

    name: str
    title: str
    folder: Path
    files: tuple[FileState, ...] = ()
    bytes_to_fetch: int = 0
    """Bytes of the missing files, roughly."""
    bytes_of_room: int = 0
    """Bytes needed on the disk while the missing files are fetched and unpacked."""
    known_bad: Mapping[str, str] = field(default_factory=dict)
    """Files on disk that are broken as published: path -> the fault."""
    not_fetched: str = ""
    """What cannot be downloaded, and how to get it."""

    @property
    def missing(self) -> int:
        """Return the number of files that were missing."""
        return sum(not file.complete for file in self.files)


@dataclass(frozen=True, kw_only=True, repr=False)
class DownloadReport(Tabular):
    """What a download fetched, or in a dry run would fetch, dataset by dataset."""

    datasets: tuple[DatasetDownload, ...]
    dry_run: bool = False

    def table(self) -> Table:
        """Return it as a table."""
        fetched = "to fetch" if self.dry_run else "fetched"
        rows = [
            (
                each.name,
                f"{each.missing:,}",
                size_in_words(each.bytes_to_fetch) if each.missing else "0",
                f"{len(each.files) - each.missing:,}",
                f"{len(each.known_bad):,}",
                str(each.folder),
            )
            for each in self.datasets
        ]
        headings = ("dataset", f"files {fetched}", "bytes", "files before", "bad as published", "folder")
        return Table("Dry run: nothing was fetched" if self.dry_run else "", headings, rows, words=(0, 5))


class DownloadError(UnisonoError):
    """Some of several datasets are incomplete; `report` covers the others."""

    def __init__(self, failures: Mapping[str, UnisonoError], report: DownloadReport) -> None:
        super().__init__(
            f"{len(failures)} of {len(failures) + len(report.datasets)} datasets are not complete.",
            hint="\n".join(f"{name}: {failure.hint or failure.message}" for name, failure in failures.items()),
        )
        self.report = report


@checked
def download(
    datasets: str | Sequence[str] = (),
    *,
    all_: bool = False,
    data_root: AnyPath = "data",
    metadata_only: bool = False,
    dataset_options: Mapping[str, Mapping[str, Any]] | None = None,
    dry_run: bool = False,
    from_dir: AnyPath | None = None,
    keep_archives: bool = False,
    accept_new_checksum: bool = False,
    jobs: Count = 4,
    timeout_s: Positive = 60,
    retries: int = 8,
) -> DownloadReport:
    """Fetch datasets into `<data_root>/raw/<dataset>/`; files that are there are not fetched again.

    Args:
        datasets: names of datasets, `hf:owner/name`, or paths of recipes that name a dataset on the Hub.
        all_: fetch all datasets.
        data_root: the folder of the data.
        metadata_only: captions and other metadata, no audio.
        dataset_options: dataset -> name -> value: which parts to fetch, as in `{"fma": {"size": "large"}}`; see
            `Dataset.choices`.
        dry_run: only report what would be fetched.
        from_dir: a folder to take the files from, instead of the network.
        keep_archives: keep archives and shards after unpacking them.
        accept_new_checksum: accept a file that its publisher has changed since this version of unisono.
        jobs: files fetched and unpacked at the same time.
        timeout_s: seconds without a byte after which a connection is given up and made again.
        retries: failures in a row after which the next source of a file is tried.

    Raises:
        UsageError: no dataset is named, or a name or value does not exist.
        DownloadError: some of several datasets are incomplete.
        UnisonoError: the only dataset is incomplete.
    """
    asked = dataset_options or {}
    wanted = _asked_for(datasets, all_=all_)
    _refuse_idle(asked, wanted)
    for dataset in wanted:
        chosen(dataset, asked.get(dataset.name))  # wrong usage shows before the first byte
    settings = FetchSettings(
        jobs=jobs,
        timeout_s=timeout_s,
        retries=retries,
        from_dir=None if from_dir is None else as_path(from_dir),
        keep_archives=keep_archives,
        accept_new_checksum=accept_new_checksum,
    )
    done: list[DatasetDownload] = []
    failures: dict[str, UnisonoError] = {}
    for dataset in wanted:
        one = _Download(dataset, Workspace.at(data_root).release(dataset.name), asked.get(dataset.name), settings)
        try:
            done.append(one.planned(metadata_only) if dry_run else one.run(metadata_only, skip_unavailable=all_))
        except UsageError:
            raise
        except UnisonoError as failure:
            if len(wanted) == 1:
                raise
            log.error("%s: %s", dataset.name, failure.message)
            failures[dataset.name] = failure
    report = DownloadReport(datasets=tuple(done), dry_run=dry_run)
    if failures:
        raise DownloadError(failures, report)
    return report


def _asked_for(datasets: str | Sequence[str], *, all_: bool) -> list[Dataset]:
    if all_:
        return list(registry.usable())
    names = dict.fromkeys([datasets] if isinstance(datasets, str) else datasets)
    if not names:
        raise UsageError(
            "No dataset is named.", hint="Name some, or use --all; `unisono download --list` shows what there is."
        )
    return [registry.get(name) for name in names]


def _refuse_idle(asked: Asked, wanted: Sequence[Dataset]) -> None:
    """Refuse options of datasets that are not to be fetched."""
    for name in set(asked).difference(dataset.name for dataset in wanted):
        raise UsageError(f"dataset_options names {name!r}, which is not fetched.", parameter="dataset_options")


class _Download:
    """The download of one dataset."""

    def __init__(
        self, dataset: Dataset, folder: Path, choices: Mapping[str, Any] | None, settings: FetchSettings
    ) -> None:
        self.dataset, self.folder, self.choices, self.settings = dataset, folder, choices, settings

    def planned(self, metadata_only: bool) -> DatasetDownload:
        """Return what would be fetched, without asking the network."""
        return self._report(self._plan(Ledger(self.folder), metadata_only, ask_hub=False))

    def run(self, metadata_only: bool, *, skip_unavailable: bool) -> DatasetDownload:
        """Fetch what is missing."""
        dataset, folder = self.dataset, self.folder
        if not dataset.files:
            if skip_unavailable:
                return self._report(FetchPlan(folder, (), ()))
            raise UnisonoError(f"{dataset.title} cannot be fetched by a program.", hint=dataset.not_fetched)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with locked(folder), log_to(state_folder(folder) / "download.log"):
            ledger = Ledger(folder)
            plan = self._plan(ledger, metadata_only, ask_hub=True)
            for file in set(plan.wanted).difference(plan.missing):
                if isinstance(file, RemoteFile):
                    ledger.remove_archive(file)  # a run was killed between unpacking it and this
            before = self._report(plan)
            files = [file for file in plan.missing if isinstance(file, RemoteFile)]
            if files:
                self._refuse_full_disk(plan)
                count = f"{len(files):,} file{'s' if len(files) != 1 else ''}"
                log.info("%s: fetching %s, %s.", dataset.name, count, size_in_words(plan.to_fetch))
                try:
                    fetch_all(dataset.name, files, folder, ledger, self.settings)
                except OSError as error:
                    raise _write_failed(folder, error) from error
            already = "" if files else " already"
            log.info("%s: complete%s: %d files in %s.", dataset.name, already, len(plan.wanted), folder)
        return _with_bad_files(before, plan)

    def _plan(self, ledger: Ledger, metadata_only: bool, *, ask_hub: bool) -> FetchPlan:
        return make_plan(
            self.dataset, self.folder, ledger, choices=self.choices, metadata_only=metadata_only, ask_hub=ask_hub
        )

    def _report(self, plan: FetchPlan) -> DatasetDownload:
        missing = set(plan.missing)
        return DatasetDownload(
            name=self.dataset.name,
            title=self.dataset.title,
            folder=self.folder,
            files=tuple(
                FileState(
                    name=file.name if isinstance(file, RemoteFile) else f"{file.repo}: {', '.join(file.patterns)}",
                    size=size_of(file),
                    source=_source(file),
                    received=plan.received(file),
                    complete=file not in missing,
                )
                for file in plan.wanted
            ),
            bytes_to_fetch=plan.to_fetch,
            bytes_of_room=plan.room_needed(keep_archives=self.settings.keep_archives, jobs=self.settings.jobs),
            not_fetched=self.dataset.not_fetched,
        )

    def _refuse_full_disk(self, plan: FetchPlan) -> None:
        needed = plan.room_needed(keep_archives=self.settings.keep_archives, jobs=self.settings.jobs)
        free = shutil.disk_usage(plan.folder).free
        if needed > free:
            less = ["--metadata-only"]
            for option in self.dataset.choices:
                values = f" ({', '.join(map(str, option.values[:4]))}...)" if option.values else " N"
                less.append(f"--{(option.flag or option.name).replace('_', '-')}{values}")
            raise UnisonoError(
                f"{self.dataset.title} needs {size_in_words(needed)} in {plan.folder} while it is fetched and unpacked; "
                f"{size_in_words(free)} are free.",
                hint=f"Free some space, put the data elsewhere with --data-root, or fetch less: {', '.join(less)}.",
            )


def _source(file: RemoteFile | HubFiles) -> str:
    return "Hugging Face Hub" if isinstance(file, HubFiles) or file.hub else file.urls[0].split("/")[2]


def _with_bad_files(report: DatasetDownload, plan: FetchPlan) -> DatasetDownload:
    """Add the files on disk that are broken as published."""
    known_bad = {
        path: fault
        for file in plan.wanted
        if isinstance(file, RemoteFile)
        for path, fault in file.known_bad.items()
        if (plan.folder / path).exists()
    }
    return replace(report, known_bad=known_bad)


def _write_failed(folder: Path, error: OSError) -> UnisonoError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnisonoError(
            f"No space left on the disk while writing to {folder}; what was received is kept.",
            hint="Free some space and run the same command again: it goes on from there.",
        )
    where = os.fspath(error.filename) if isinstance(error.filename, (str, os.PathLike)) else str(folder)
    return UnisonoError(f"Cannot write {where}: {error.strerror or error}.", hint="What was received is kept.")
