"""`unisono leaks`: what the second file, a benchmark, shares with the first, which is trained on."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from unisono.base.errors import UnisonoError
from unisono.base.table import Table
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.options import Count, StageOptions

if TYPE_CHECKING:
    from unisono.curation.leaks import LeakReport

SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class LeaksOptions(StageOptions):
    """Options of `unisono leaks`."""

    match: tuple[Literal["ids", "sha256", "decoded", "audio", "artists", "text"], ...] = ()
    """What counts: the same recording by id, the same file by hash, the same samples once decoded (other tags, another
    lossless format), the same sound (encoded again, trimmed, made louder), the same artist, the same title or caption.
    Default: ids, sha256 and text; of these, matches by text alone are reported but not removed. `decoded` and `audio` decode
    all files; `audio` includes what `decoded` finds."""
    remove: bool = False
    """Write a copy of the first file without what leaks."""
    output: Path | None = None
    """Where that copy goes. Default: `<name>.clean.<ending>` next to the first file."""
    report: Path | None = None
    """Write every match with its evidence to this JSON file."""
    sha256_lists: tuple[Path, ...] = ()
    """Published lists of `<sha256> NN/<Jamendo id>.mp3`. Default: those of the datasets under `<data-root>/raw`."""
    workers: Count | None = None
    """Threads that decode, with `--match decoded` or `audio`. Default: the number of cores."""
    strict: bool = False
    """Fail if a record could not be listened to: it may leak unnoticed."""
    all_splits: bool = False
    """Compare the val and test splits of the first file too; by default only what may be trained on counts."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print every match with its evidence as JSON."""


class LeaksFoundError(UnisonoError):
    """There is something to find: exit code 1."""


def leaks(trained_on: Path, benchmark: Path, *, options: LeaksOptions = LeaksOptions()) -> None:
    """Find what a benchmark shares with the data that a model is trained on; exit code 1 if there is anything.

    Parameters
    ----------
    trained_on
        Unified file that is trained on.
    benchmark
        Unified file that is evaluated on.
    """
    from unisono.curation import leaks as leaking

    with _failing_with(3):
        report = leaking.leaks(
            trained_on,
            benchmark,
            match=options.match,
            all_splits=options.all_splits,
            sha256_lists=options.sha256_lists,
            data_root=options.data_root,
            workers=options.workers,
        )
        _report(report, trained_on, benchmark, options)


@contextmanager
def _failing_with(code: int) -> Iterator[None]:
    """Keep a failure apart from exit code 1, which says that something was found."""
    try:
        yield
    except LeaksFoundError:
        raise
    except Exception as error:
        if getattr(error, "exit_code", 1) == 1:
            error.exit_code = code  # type: ignore[attr-defined]  # of any exception: see console.failed_unexpectedly
        raise


def _report(report: "LeakReport", trained_on: Path, benchmark: Path, options: LeaksOptions) -> None:
    """Write what is asked for, then print it.

    Raises:
        LeaksFoundError: there are matches, and --remove is not given.
    """
    if options.report:
        report.write(options.report)
    said = (
        _remove(report, options.output or trained_on.with_suffix(f".clean{trained_on.suffix}"))
        if options.remove
        else ""
    )
    if options.json:
        console.print_json(report.content)
    else:
        _show(report, trained_on, benchmark)
        if said:
            console.say(said)
    if report.unheard and options.strict:
        raise UnisonoError(
            f"--strict: {counted(len(report.unheard), 'record')} could not be listened to.",
            hint="See why each of them could not: --report FILE lists them.",
        )
    if report.matches and not options.remove:
        count = len({match.first for match in report.matches})
        chosen = f" --match {' '.join(options.match)}" if options.match else ""
        raise LeaksFoundError(
            f"{count:,} of the {len(report.first):,} records of {trained_on} match {benchmark}.",
            hint=f"Write a copy without them: unisono leaks {trained_on} {benchmark}{chosen} --remove",
        )


def _remove(report: "LeakReport", output: Path) -> str:
    """Write the copy, and return what to say about it."""
    from unisono.curation.collection import write_tracks

    count = write_tracks(report.clean(), output)
    doubtful = (
        f", {report.doubtful:,} more match by text alone and are still there (--match text removes them)."
        if report.doubtful
        else "."
    )
    return f"{output} holds {counted(count, 'record')}; {len(report.leaking):,} removed{doubtful}"


def _show(report: "LeakReport", trained_on: Path, benchmark: Path) -> None:
    if not report.matches:
        console.say(
            f"No leaks: {trained_on} ({counted(len(report.first), 'record')}) shares nothing with {benchmark} "
            f"({counted(len(report.second), 'record')})."
        )
        return
    headings = ("by", f"records of {trained_on.name}", f"of {benchmark.name}")
    counts = [(kind, f"{first:,}", f"{second:,}") for kind, first, second in report.counts()]
    console.show(Table(f"What {trained_on.name} shares with {benchmark.name}", headings, counts))
    examples, shown = [], Counter[str]()
    for match in report.matches:
        shown[match.kind] += 1
        if shown[match.kind] <= SHOWN:
            ids = report.first[match.first].id, report.second[match.second].id
            examples.append((match.kind, *ids, match.evidence))
    console.show(
        Table("For example", ("by", trained_on.name, benchmark.name, "evidence"), examples, words=(0, 1, 2, 3))
    )
