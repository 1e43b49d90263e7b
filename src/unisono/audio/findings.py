"""What `check` may find wrong with a track."""

from typing import Literal, NamedTuple

FindingKind = Literal[
    "unreadable",
    "damaged",
    "silent",
    "clipped",
    "speech",
    "duration",
    "contradiction",
    "shared-caption",
    "short-caption",
]


HEARD: frozenset[FindingKind] = frozenset({"unreadable", "damaged", "silent", "clipped", "speech", "duration"})
"""Findings that need decoded audio."""


class Finding(NamedTuple):
    """One thing that is wrong with one track."""

    kind: FindingKind
    detail: str
