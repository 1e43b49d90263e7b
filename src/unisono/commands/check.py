"""`unisono check`: findings about the audio and the captions of a unified file, and a copy without them."""

import json
from collections import defaultdict
from pathlib import Path
from typing import get_args

from rich import box
from rich.table import Table

from unisono.audio.findings import FindingKind
from unisono.audio.quality import listen_all
from unisono.base.errors import UsageError
from unisono.base.files import write_whole
from unisono.commands import console
from unisono.commands.check_options import CheckOptions
from unisono.curation.caption_quality import contradiction, shared, short
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track

EXAMPLES = 3
HEARD: frozenset[FindingKind] = frozenset({"unreadable", "silent", "clipped", "speech", "duration"})
"""What only decoding finds."""

Findings = dict[str, dict[str, str]]
"""Finding -> id -> detail."""


def run(path: Path, options: CheckOptions) -> None:
    """Report what is found; with `drop`, write a copy without it.

    Raises:
        UsageError: what is to be dropped cannot be found without the audio, or there is no such file.
        DataError: the file is broken.
        UnisonoError: an output cannot be written.
    """
    if unheard := sorted(HEARD & set(options.drop)) if not options.audio else []:
        raise UsageError(f"--drop {' '.join(unheard)} needs the audio, and --no-audio says not to decode it.")
    tracks = read_tracks(path)
    findings = _find(tracks, options)
    _show(findings, len(tracks))
    report = options.report or path.with_suffix(".check.json")
    write_whole(report, json.dumps({"records": len(tracks), "findings": findings}, ensure_ascii=False, indent=1) + "\n")
    console.out.print(f"All findings: {report}", soft_wrap=True)
    if options.drop:
        dropped = {name for finding in options.drop for name in findings.get(finding, {})}
        output = options.output or path.with_suffix(f".checked{path.suffix}")
        count = write_tracks(output, (track for track in tracks if track.id not in dropped))
        console.out.print(f"{count:,} records are in {output}; {len(dropped):,} were left out.", soft_wrap=True)


def _find(tracks: list[Track], options: CheckOptions) -> Findings:
    findings: Findings = defaultdict(dict)
    for track in tracks:
        if said := contradiction(track):
            findings["contradiction"][track.id] = said
        if caption := short(track):
            findings["short-caption"][track.id] = caption
    for at, caption in shared(tracks, options.shared_from):
        findings["shared-caption"][tracks[at].id] = caption
    if options.audio:
        for track, heard in zip(tracks, listen_all(tracks, options.workers), strict=True):
            for item in heard:
                findings[item.kind][track.id] = item.detail
    return {name: findings[name] for name in get_args(FindingKind) if name in findings}


def _show(findings: Findings, records: int) -> None:
    if not findings:
        console.out.print(f"Nothing was found in {records:,} records.")
        return
    table = Table(title=f"Findings in {records:,} records", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("finding", no_wrap=True)
    table.add_column("records", justify="right")
    table.add_column("for example", overflow="fold")
    for name, its_records in findings.items():
        examples = [f"{track_id}: {detail}" for track_id, detail in list(its_records.items())[:EXAMPLES]]
        table.add_row(name, f"{len(its_records):,}", console.escape("\n".join(examples)))
    console.out.print(table)


def check(path: Path, *, options: CheckOptions = CheckOptions()) -> None:  # noqa: B008
    """Look for silence, clipping, wrong durations, and captions that cannot be meant so.

    Parameters
    ----------
    path
        Unified file.
    """
    run(path, options)
