"""Findings about tracks: silence, clipping, wrong durations, and captions that cannot be right."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from unisono.audio.findings import FindingKind
from unisono.audio.quality import listen_all
from unisono.base.arguments import Count, checked
from unisono.base.table import Table
from unisono.curation.caption_quality import contradiction, shared, short
from unisono.tracks.track import Track


@dataclass(frozen=True, repr=False)
class CheckReport:
    """What `check` found."""

    records: int
    """Number of tracks that were checked."""
    findings: dict[FindingKind, dict[str, str]]
    """Finding -> id of the track -> detail."""

    def ids(self, *kinds: FindingKind) -> set[str]:
        """Return the ids of the tracks that have one of these findings; without arguments, any finding."""
        return {track_id for kind in kinds or self.findings for track_id in self.findings.get(kind, {})}

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind} {len(found):,}" for kind, found in self.findings.items())
        return f"<CheckReport: {self.records:,} tracks; {counts or 'nothing found'}>"

    def _repr_html_(self) -> str:
        rows = [
            (kind, f"{len(found):,}", ": ".join(next(iter(found.items())))) for kind, found in self.findings.items()
        ]
        return Table("", ("finding", f"tracks of {self.records:,}", "for example"), rows, words=(0, 2)).html()


@checked
def check(
    tracks: Sequence[Track], *, audio: bool = True, shared_from: Count = 10, workers: Count | None = None
) -> CheckReport:
    """Look for silence, clipping, speech, damage, wrong durations, and captions that cannot be right.

    Without `audio`, only captions and tags are read. A caption is shared by many if at least `shared_from` recordings
    have it; captions made from tags are not counted. `workers` threads decode; by default, as many as there are cores.

    Raises:
        UsageError: an argument is of another type, or out of its bounds.
    """
    findings: dict[FindingKind, dict[str, str]] = defaultdict(dict)
    for track in tracks:
        if contradicted := contradiction(track):
            findings["contradiction"][track.id] = contradicted
        if caption := short(track):
            findings["short-caption"][track.id] = caption
    for at, detail in shared(tracks, shared_from):
        findings["shared-caption"][tracks[at].id] = detail
    if audio:
        for track, found in zip(tracks, listen_all(tracks, workers), strict=True):
            for finding in found:
                findings[finding.kind][track.id] = finding.detail
    return CheckReport(len(tracks), {kind: findings[kind] for kind in get_args(FindingKind) if kind in findings})
