"""`unisono check`: findings about the audio and the captions of a unified file, and a copy without them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unisono.audio.findings import HEARD, FindingKind
from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.files import write_whole
from unisono.base.table import Table
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.options import Count
from unisono.tracks.files import read_tracks, write_tracks

if TYPE_CHECKING:
    from unisono.curation.check import CheckReport
    from unisono.embeddings.verify import VerifiedEmbeddings
    from unisono.retrieval.checkpoint import CheckedCheckpoint

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
    json: Annotated[bool, Parameter(negative="")] = False
    """Print the findings as JSON."""


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
        _verify(path, as_json=options.json)
        return
    from unisono.curation import check as checking

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
    if options.json:
        console.print_json(content)
        return
    _show(found)
    console.say(f"All findings: {report}")
    if options.drop:
        console.say(f"{output} holds {counted(count, 'record')}; {len(dropped):,} left out.")


def _verify(path: Path, *, as_json: bool) -> None:
    """Compare an `embeddings.h5` or a checkpoint with its checksums."""
    found: VerifiedEmbeddings | CheckedCheckpoint
    if path.suffix == ".pt":
        with extra("train", f"Checking {path.name}"):
            from unisono.retrieval.checkpoint import verify as verify_checkpoint
        found = verify_checkpoint(path)
    else:
        with extra("embed", f"Checking {path.name}"):
            from unisono.embeddings.verify import verify
        found = verify(path)
    if as_json:
        console.print_json({**asdict(found), "path": str(found.path)})
    else:
        console.say(repr(found))


def _show(found: "CheckReport") -> None:
    records = counted(found.records, "record")
    if not found.findings:
        console.out.print(f"Nothing was found in {records}.")
        return
    rows = [
        (name, f"{len(its):,}", "\n".join(f"{track_id}: {detail}" for track_id, detail in list(its.items())[:EXAMPLES]))
        for name, its in found.findings.items()
    ]
    console.show(Table(f"Findings in {records}", ("finding", "records", "for example"), rows, words=(0, 2)))
