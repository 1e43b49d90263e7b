"""What a release consists of, as data: the words that a dataset's file describes it in and that `download` reads."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a release, as its publisher serves it."""

    name: str
    """Where it goes, relative to the dataset's folder; for an archive, where it is kept until unpacked."""
    urls: tuple[str, ...]
    """Mirrors, best first."""
    size: int
    """Bytes; 0 where the publisher does not say."""
    checksum: str = ""
    """`md5:...`, `sha1:...` or `sha256:...` as published; empty where the publisher gives none."""
    unpack_to: str | None = None
    """For an archive: the folder, relative to the dataset's, that its members go to."""
    unpacked_size: int = 0
    """Bytes on disk once unpacked, roughly; 0 if it is no archive."""
    parts: frozenset[str] = frozenset()
    """Which choices ask for this file, e.g. {"small"} or {"07", "low"}; an empty set means that all do."""


@dataclass(frozen=True, kw_only=True)
class HubFiles:
    """Files of a dataset repository on the Hugging Face Hub, at a pinned revision."""

    repo: str
    revision: str
    patterns: tuple[str, ...]
    """Glob patterns of the paths wanted."""
    size: int = 0
    """Bytes altogether, roughly."""
    audio_column: str | None = None
    """For Parquet shards that hold audio: the column; its bytes become `audio/<name>`."""
    parts: frozenset[str] = frozenset()
