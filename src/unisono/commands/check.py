"""`unisono check`: findings about the audio and the captions of a unified file, and a copy without them."""

import json
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter
from rich import box
from rich.table import Table

from unisono.audio.findings import HEARD, FindingKind
from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.files import write_whole
from unisono.commands import console
from unisono.commands.options import Count
from unisono.curation import check as checking
from unisono.tracks.files import read_tracks, write_tracks

EXAMPLES = 3


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Options of `unisono check`."""

    audio: bool = True
    """Decode the audio too; without, only the records are read."""
    shared_from: Count = 10
    """A caption is shared by many if at least this many recordings have it; captions made from tags are not counted."""
    drop: tuple[FindingKind, ...] = ()
    """Write a copy without the records that have one of these findings."""
    output: Path | None = None
    """Where that copy goes. Default: `<name>.checked.<ending>` in the file's folder."""
    report: Path | None = None
    """Where every finding is listed. Default: `<name>.check.json` in the file's folder."""
    workers: Count | None = None
    """Threads that decode. Default: the number of cores."""


def check(path: Path, *, options: CheckOptions = CheckOptions()) -> None:
    """Look for silence, clipping, speech, damage, wrong durations, and captions that cannot be right.

    Parameters
    ----------
    path
        Unified file; or an `embeddings.h5` or a checkpoint (.pt), which is read whole and compared with its checksums.

    Raises:
        UsageError: a finding to drop cannot be made without the audio, or there is no such file.
        DataError: the file is broken.
        UnisonoError: an output cannot be written.
    """
    if path.suffix in (".h5", ".pt"):
        console.out.print(_verify(path), soft_wrap=True, markup=False)
        return
    if unheard := sorted(HEARD & set(options.drop)) if not options.audio else []:
        raise UsageError(f"--drop {' '.join(unheard)} needs the audio, and --no-audio says not to decode it.")
    tracks = read_tracks(path)
    found = checking.check(tracks, audio=options.audio, shared_from=options.shared_from, workers=options.workers)
    report = options.report or path.with_suffix(".check.json")
    content = {"records": found.records, "findings": found.findings}
    write_whole(report, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    dropped = found.ids(*options.drop) if options.drop else set()
    output = options.output or path.with_suffix(f".checked{path.suffix}")
    count = write_tracks(output, (track for track in tracks if track.id not in dropped)) if options.drop else 0
    _show(found)
    console.out.print(f"All findings: {report}", soft_wrap=True)
    if options.drop:
        console.out.print(f"{count:,} records are in {output}; {len(dropped):,} were left out.", soft_wrap=True)


def _verify(path: Path) -> str:
    """Compare an `embeddings.h5` or a checkpoint with its checksums."""
    with extra("embed", f"Checking {path.name}"):
        if path.suffix == ".pt":
            from unisono.retrieval.checkpoint import verify as verify_checkpoint

            return repr(verify_checkpoint(path))
        from unisono.embeddings.verify import verify
    return repr(verify(path))


def _show(found: checking.CheckReport) -> None:
    if not found.findings:
        console.out.print(f"Nothing was found in {found.records:,} records.")
        return
    table = Table(title=f"Findings in {found.records:,} records", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("finding", no_wrap=True)
    table.add_column("records", justify="right")
    table.add_column("for example", overflow="fold")
    for name, its_records in found.findings.items():
        examples = [f"{track_id}: {detail}" for track_id, detail in list(its_records.items())[:EXAMPLES]]
        table.add_row(name, f"{len(its_records):,}", console.escape("\n".join(examples)))
    console.out.print(table)
