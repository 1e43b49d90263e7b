"""The verb `download`: fetch datasets, or show what there is to fetch and what is here."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from unisono.base.errors import UsageError
from unisono.base.table import Table
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.dataset_options import dataset_options, with_dataset_options
from unisono.commands.options import Continue, Count, Positive, StageOptions
from unisono.sources import registry

if TYPE_CHECKING:
    from unisono.sources.download.run import DatasetDownload, DownloadReport


@with_dataset_options("choices")
@dataclass(frozen=True, kw_only=True)
class DownloadOptions(StageOptions):
    """Options of `unisono download`."""

    datasets: tuple[str, ...] = ()
    """Datasets to fetch; any other of the Hugging Face Hub as `hf:owner/name`, or by a recipe that names one."""
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False
    """Fetch all datasets."""
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False
    """Show the datasets: size, tracks, captions by origin, licences, and what is here already. Fetch nothing."""
    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Print what would be fetched, fetch nothing."""
    metadata_only: Annotated[bool, Parameter(negative="")] = False
    """Captions and other metadata, no audio."""
    from_dir: Path | None = None
    """Take the files from this folder, where other means have put them, instead of the network."""
    keep_archives: Annotated[bool, Parameter(negative="")] = False
    """Keep archives and shards after unpacking them."""
    accept_new_checksum: Annotated[bool, Parameter(negative="")] = False
    """Accept a file that its publisher has changed since this version was made, and record what was got."""
    jobs: Count = 4
    """Files fetched and unpacked at the same time."""
    timeout: Positive = 60
    """Seconds without a byte after which a connection is given up and made again."""
    retries: Annotated[int, Parameter(validator=Number(gte=0))] = 8
    """How often in a row a source may fail without sending anything new before the next one is tried."""
    continue_: Continue = False
    """Go on where an interrupted run stopped; that is what it does anyway."""


def download(*names: str, options: DownloadOptions = DownloadOptions()) -> None:
    """Fetch datasets from their official sources into `<data-root>/raw/<dataset>/`."""
    if options.list_:
        _print_list(options.data_root)
        return
    from unisono.sources.download.run import DownloadError
    from unisono.sources.download.run import download as run

    try:
        report = run(
            asked := (*names, *options.datasets),
            all_=options.all_,
            data_root=options.data_root,
            metadata_only=options.metadata_only,
            dataset_options=_choices(options, list(registry.names()) if options.all_ else asked),
            dry_run=options.dry_run,
            from_dir=options.from_dir,
            keep_archives=options.keep_archives,
            accept_new_checksum=options.accept_new_checksum,
            jobs=options.jobs,
            timeout_s=options.timeout,
            retries=options.retries,
        )
    except DownloadError as error:
        _print_report(error.report)
        raise
    _print_report(report)


def _choices(options: DownloadOptions, names: list[str] | tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Return what is asked of the datasets that are fetched.

    Raises:
        UsageError: an option is given that none of them has.
    """
    asked = {name: values for name, values in dataset_options("choices", options).items() if name in names}
    has = {option.flag or option.name for name in asked for option in registry.get(name).choices}
    for flag in registry.flags("choices"):
        if getattr(options, flag) not in (None, ()) and flag not in has and names:
            raise UsageError(f"--{flag.replace('_', '-')} means nothing to {', '.join(names)}.")
    return asked


def _print_list(data_root: Path) -> None:
    from unisono.sources.download.listing import list_datasets
    from unisono.sources.download.plan import size_in_words

    found = [(each, each.dataset) for each in list_datasets(data_root)]
    sizes = [
        (
            dataset.name,
            f"{dataset.tracks:,}",
            dataset.captions_in_words + (" (for evaluation only)" if dataset.evaluation_only else ""),
            "\n".join(f"{size_in_words(size)} {what}".strip() for what, size in each.sizes) or "not by program",
            each.here,
        )
        for each, dataset in found
    ]
    licences = [(dataset.name, dataset.caption_license, dataset.audio_license) for _, dataset in found]
    console.show(Table("Datasets", ("dataset", "tracks", "captions", "to fetch", "here"), sizes, words=(0, 2, 3, 4)))
    console.show(Table("Licences", ("dataset", "captions", "audio"), licences, words=(0, 1, 2)))
    for error in registry.unusable():
        console.err.print(f"[bold red]{console.escape(error.message)}[/]", soft_wrap=True)


def _print_report(report: "DownloadReport") -> None:
    for each in report.datasets:
        if report.dry_run:
            _print_dry_run(each)
        if each.known_bad:
            lines = "".join(f"\n  {path}: {fault}" for path, fault in each.known_bad.items())
            console.out.print(
                console.escape(f"{each.name}: bad as published, {counted(len(each.known_bad), 'file')}:{lines}")
            )
        if each.not_fetched:
            console.say(f"{each.name}, not fetched: {each.not_fetched}")


def _print_dry_run(each: "DatasetDownload") -> None:
    from unisono.sources.download.plan import size_in_words

    rows = []
    for file in each.files:
        here = "complete" if file.complete else size_in_words(file.received) if file.received else "no"
        rows.append((file.name, size_in_words(file.size), file.source, here))
    if rows:
        title = f"{each.title} -> {each.folder}"
        console.show(Table(title, ("file", "size", "from", "here"), rows, words=(0, 2, 3)))
    to_fetch, room = size_in_words(each.bytes_to_fetch), size_in_words(each.bytes_of_room)
    console.out.print(
        f"{each.name}: {to_fetch} to fetch; {room} of room needed while unpacking."
        if each.missing
        else f"{each.name}: nothing to fetch."
    )
