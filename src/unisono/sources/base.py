"""The words that a dataset's file is written in: what its release consists of, how it is parsed, what is known of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisono.base.tally import Dropped
from unisono.tracks.track import CaptionOrigin, Track


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


@dataclass(frozen=True, kw_only=True)
class ParseOptions:
    """What a user may ask of the parsers; each looks at what concerns it."""

    valid_only: bool = False
    """Only captions that upstream has validated (Song Describer's `is_valid_subset`)."""
    mtg_split: int = 0
    """Which of MTG-Jamendo's five splits to keep; only split 0 has all songs of Song Describer in its test part."""
    lyrics: bool = False
    """Keep DALI's lyrics, line by line with their times."""
    years: bool = False
    """Keep the year that upstream gives a track, as the further field `year` of its record."""
    unpack_to: Path | None = None
    """For datasets that hold audio in their tables: it goes to a folder of the dataset's name in here. In a dry run there is
    none, and such tracks are left out."""


Parser = Callable[[Path, ParseOptions], Iterator[Track | Dropped]]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset of the family, as its module declares it."""

    name: str
    title: str
    homepage: str
    parse: Parser
    """Read the release in a folder; audio, network and other datasets are out of its reach.

    Yields tracks whose `audio_path` is relative to one of `audio_folders`, whose `duration` is what the release
    documents for the audio on disk (0 where it says nothing), whose `license` is as upstream spells it, and whose
    `caption` is empty where it is to be made from `genre` and `tags`.
    """
    asked_as: str = ""
    """What it is called on the command line, where that is not its name: `hf:owner/name`, or the path of a recipe."""
    root: Path | None = None
    """Where the release lies, if not in `<data-root>/raw/<name>`: the user's own music."""
    marker_files: tuple[str, ...]
    """Glob patterns relative to the dataset's folder: any match means that the release is there."""
    audio_folders: tuple[str, ...] = (".",)
    """Where audio lies, best first, relative to the dataset's folder; `**` at the end: anywhere below, by file name."""
    holds_audio: bool = False
    """Whether audio may be in its tables: `parse` then unpacks it, before it yields a track, to where its options say."""
    audio_names: Callable[[Track], Iterable[str]] | None = None
    """For a track whose audio users have under other names too: those paths, best first, tried after `audio_path`."""
    is_excerpt: Callable[[Track], bool] = lambda track: track.start > 0
    """Whether a track's `start` and `duration` are those of a described part of its file; otherwise the duration is the
    file's own, whatever the release documents."""
    captions: dict[CaptionOrigin, int]
    """How many captions the whole release holds, by origin; for captions made from tags, the number of tracks; 0 where
    the publisher does not say."""
    tracks: int
    """How many tracks the whole release holds."""
    caption_license: str
    audio_license: str
    """In words, e.g. "per track"."""
    evaluation_only: bool = False
    """The authors ask that nobody trains on it."""
    in_default_mix: bool = True
    """Whether it takes part when no datasets are named."""
    files: tuple[RemoteFile | HubFiles, ...] = ()
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Download options that select among `files`: option name -> the values of `parts`, the default first."""
    not_fetched: str = ""
    """What the release does not contain, and what to do about it."""

    options: tuple[Any, ...] = ()

    def records(
        self, root: Path, own: Mapping[str, Any] | None = None, *, years: bool = False, unpack_to: Path | None = None
    ) -> Iterator[Track | Dropped]:
        """Read the release in a folder, as `parse` does."""
        flags = {"mtg_split" if name == "split" else name: value for name, value in (own or {}).items()}
        return self.parse(root, ParseOptions(years=years, unpack_to=unpack_to, **flags))

    @property
    def captions_in_words(self) -> str:
        """Say how many captions there are and who made them, e.g. "1,106 by people"."""
        words = {"human": "by people", "model": "by a model", "tags": "made from tags"}
        return ", ".join(
            f"{count:,} {words[origin]}" if count else words[origin] for origin, count in self.captions.items()
        )
