"""What listening to an excerpt, or reading its captions, may find wrong with it."""

from typing import Literal, NamedTuple

FindingKind = Literal[
    "unreadable", "silent", "clipped", "speech", "duration", "contradiction", "shared-caption", "short-caption"
]


class Finding(NamedTuple):
    """Something that is wrong with a track."""

    kind: FindingKind
    detail: str
