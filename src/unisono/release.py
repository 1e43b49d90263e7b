"""What a release consists of, as data: the words that a dataset's file describes it in and that `download` reads."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a release, as its publisher serves it."""

    name: str
    """Where it goes, relative to the dataset's folder; for an archive, where it is kept until unpacked."""
    urls: tuple[str, ...]
    """Mirrors, best first."""
    size: int = 0
    """Bytes, exactly; 0 where the publisher does not say."""
    about: int = 0
    """Bytes, roughly, where they are not known exactly: for planning only."""
    checksum: str = ""
    """`md5:...`, `sha1:...`, `sha256:...` or `git:...` (a git blob id); empty where the publisher gives none."""
    unpack_to: str | None = None
    """For an archive: the folder, relative to the dataset's, that its members go to."""
    audio_column: str | None = None
    """For a Parquet table that holds audio: the column. Its bytes become `audio/<name>`."""
    unpacked_size: int = 0
    """Bytes on disk once unpacked, roughly; 0 if it is no archive."""
    audio: bool = False
    """It brings audio: `--metadata-only` leaves it out."""
    hub: bool = False
    """The Hugging Face Hub serves it: the user's token, if any, is sent along."""
    parts: frozenset[str] = frozenset()
    """Which choices ask for this file, e.g. {"small"} or {"07", "low"}; it is fetched if all of them are chosen."""
    known_bad: dict[str, str] = field(default_factory=dict, hash=False)
    """Files in the archive that are broken as published: path below the dataset's folder -> what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class HubFiles:
    """Files of a dataset repository on the Hugging Face Hub, at a pinned revision.

    The Hub tells which files match, their sizes and checksums; each then is a `RemoteFile` of the same name.
    """

    repo: str
    revision: str
    """A commit. Where a branch is named instead, the commit it stood at when first fetched is kept to."""
    patterns: tuple[str, ...]
    """Glob patterns of the paths wanted."""
    checksums: dict[str, str] = field(default_factory=dict, hash=False)
    """Checksums that are known beforehand, by path: they, not the Hub, say what is right."""
    size: int = 0
    """Bytes altogether, roughly: for planning before the Hub has been asked."""
    unpack_to: str | None = None
    audio_column: str | None = None
    unpacked_size: int = 0
    """Bytes on disk once unpacked, roughly; of shards, all of them together."""
    audio: bool = False
    optional: bool = False
    """There may be none."""
    parts: frozenset[str] = frozenset()
