"""`unisono leaks`: what the second file, a benchmark, shares with the first, which is trained on."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.table import Table

from unisono.base.errors import UnisonoError
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

    report = leaking.leaks(
        trained_on,
        benchmark,
        match=options.match,
        all_splits=options.all_splits,
        sha256_lists=options.sha256_lists,
        data_root=options.data_root,
        workers=options.workers,
    )
    _show(report, trained_on, benchmark)
    if options.report:
        report.write(options.report)
    if report.unheard and options.strict:
        raise UnisonoError(
            f"--strict: {len(report.unheard):,} records could not be listened to.",
            hint="See why each of them could not: --report FILE lists them.",
        )
    if options.remove:
        _remove(report, options.output or trained_on.with_suffix(f".clean{trained_on.suffix}"))
    elif report.matches:
        count = len({match.first for match in report.matches})
        chosen = f" --match {' '.join(options.match)}" if options.match else ""
        raise UnisonoError(
            f"{count:,} of the {len(report.first):,} records of {trained_on} match {benchmark}.",
            hint=f"Write a copy without them: unisono leaks {trained_on} {benchmark}{chosen} --remove",
        )


def _remove(report: "LeakReport", output: Path) -> None:
    from unisono.curation.collection import write_tracks

    count = write_tracks(report.clean(), output)
    doubtful = (
        f", {report.doubtful:,} more match by text alone and are still there (--match text removes them)."
        if report.doubtful
        else "."
    )
    console.out.print(
        f"{count:,} records are in {output}; {len(report.leaking):,} were removed{doubtful}", soft_wrap=True
    )


def _show(report: "LeakReport", trained_on: Path, benchmark: Path) -> None:
    if not report.matches:
        console.out.print(
            f"No leaks: {len(report.first):,} records of {trained_on} share nothing with {len(report.second):,} of "
            f"{benchmark}.",
            soft_wrap=True,
        )
        return
    counts = Table(
        title=f"What {trained_on.name} shares with {benchmark.name}", title_justify="left", box=box.SIMPLE_HEAD
    )
    for heading in ("by", f"records of {trained_on.name}", f"of {benchmark.name}"):
        counts.add_column(heading)
    for kind, first, second in report.counts():
        counts.add_row(kind, f"{first:,}", f"{second:,}")
    examples = Table(title="For example", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("by", trained_on.name, benchmark.name, "evidence"):
        examples.add_column(heading, overflow="fold")
    shown: Counter[str] = Counter()
    for match in report.matches:
        shown[match.kind] += 1
        if shown[match.kind] <= SHOWN:
            row = (match.kind, report.first[match.first].id, report.second[match.second].id, match.evidence)
            examples.add_row(*map(console.escape, row))
    console.out.print(counts)
    console.out.print(examples)
