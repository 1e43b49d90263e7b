"""The types that a dataset's module is written with: the files that its authors publish, options, parser, facts.

A dataset's *release* is the set of files that its authors publish; on disk it lies in `<data-root>/raw/<dataset>/`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.base.tally import Dropped
from unisono.tracks.track import CaptionOrigin, Track


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a release, as its publisher serves it."""

    name: str
    """Path relative to the dataset's folder; an archive is kept there until it is unpacked."""
    urls: tuple[str, ...]
    """Mirrors, best first."""
    size: int = 0
    """Bytes, exactly; 0 if the publisher does not say."""
    about: int = 0
    """Bytes, roughly, if `size` is not known; for planning only."""
    checksum: str = ""
    """`md5:...`, `sha1:...`, `sha256:...` or `git:...` (a git blob id); empty if none is published."""
    unpack_to: str | None = None
    """For an archive: the folder of its members, relative to the dataset's folder."""
    audio_column: str | None = None
    """For a Parquet table that holds audio: the column. Its bytes become files `audio/<name>`."""
    unpacked_size: int = 0
    """Bytes on disk once unpacked, roughly; 0 if it is not an archive."""
    audio: bool = False
    """It contains audio, which `--metadata-only` leaves out."""
    hub: bool = False
    """The Hugging Face Hub serves it; the user's token, if there is one, is sent along."""
    parts: frozenset[str] = frozenset()
    """Values of `Dataset.choices`, such as {"small"} or {"07", "low"}; the file is fetched if all of them are chosen."""
    known_bad: dict[str, str] = field(default_factory=dict, hash=False)
    """Files in the archive that are broken as published: path in the dataset's folder -> the fault."""


@dataclass(frozen=True, kw_only=True)
class HubFiles:
    """Files of a dataset repository on the Hugging Face Hub, at a pinned revision.

    The Hub is asked which files match, and for their sizes and checksums. Each becomes a `RemoteFile` with the fields below.
    """

    repo: str
    revision: str
    """A commit, or a branch. Of a branch, all downloads take the commit that the first one found."""
    patterns: tuple[str, ...]
    """Glob patterns of the wanted paths."""
    checksums: dict[str, str] = field(default_factory=dict, hash=False)
    """Path -> a checksum that is known beforehand and counts instead of the Hub's."""
    size: int = 0
    """Bytes of all files, roughly; for planning before the Hub is asked."""
    unpack_to: str | None = None
    audio_column: str | None = None
    unpacked_size: int = 0
    """Bytes on disk once unpacked, roughly; for shards, of all of them."""
    audio: bool = False
    optional: bool = False
    """There may be no such files."""
    parts: frozenset[str] = frozenset()
    limit: str = ""
    """The name of a choice: the number of files to fetch, from the first one on."""


MOST_NAMED = 8
"""The number of values that a message lists."""
Value = bool | int | str | tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of one dataset: of reading its release (`Dataset.options`), or of downloading it (`Dataset.choices`).

    On the command line it is a flag; in Python `dataset_options={"<dataset>": {"<name>": value}}`.
    """

    name: str
    """Its name in Python, such as `split`."""
    help: str
    default: Value = None
    """The value if none is passed. True or False makes the option a switch; None means no limit."""
    values: tuple[int | str, ...] = ()
    """The values to choose from. If empty, the option is a switch (see `default`) or a whole number from 1 on."""
    several: bool = False
    """Several values can be chosen at once; they are passed as a tuple."""
    flag: str = ""
    """Its name on the command line, if another: `mtg_split` stands for `--mtg-split`."""

    def check(self, value: Any) -> Any:
        """Return a value that a caller passed; the default for None.

        Raises:
            UsageError: the option cannot have it; the message says what is expected.
        """
        if value is None:
            return self.default
        if self.several:
            value = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        for each in value if self.several else (value,):
            if not self._accepts(each):
                raise UsageError(
                    f"{self.name} must be {self._expected}, found {each!r}.", parameter=self.flag or self.name
                )
        return value

    def _accepts(self, value: Any) -> bool:
        if isinstance(value, bool) or isinstance(self.default, bool):
            return isinstance(value, bool) and isinstance(self.default, bool)
        return value in self.values if self.values else isinstance(value, int) and value >= 1

    @property
    def _expected(self) -> str:
        if isinstance(self.default, bool):
            return "True or False"
        if not self.values:
            return "a whole number from 1 on"
        named = ", ".join(map(str, self.values[:MOST_NAMED]))
        return f"one of {named}" + (f", ..., {self.values[-1]}" if len(self.values) > MOST_NAMED else "")


@dataclass(frozen=True, kw_only=True)
class ParseOptions:
    """What a parser is asked for."""

    years: bool = False
    """Keep the year that is published for a track, as the further field `year` of its record."""
    unpack_to: Path | None = None
    """Where audio that tables contain is unpacked: a folder of the dataset's name in this one. None in a dry run: tracks
    with such audio are left out."""
    planning: bool = False
    """The audio need not be there: yield all tracks of the release, not only those of the parts on disk."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Name -> value, of all of the dataset's own options."""


Parser = Callable[[Path, ParseOptions], Iterator[Track | Dropped]]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset, as its module declares it."""

    name: str
    title: str
    homepage: str
    parse: Parser
    """Read the release in a folder. A parser opens no audio, no network connection and no other dataset.

    It yields tracks: `audio_path` relative to one of `audio_folders`, `duration` as published for the audio on disk (0 if
    unknown), `license` as published, no captions if they are to be made from `genre` and `tags`. Rows that cannot be
    read are yielded as `Dropped`.
    """
    options: tuple[Option, ...] = ()
    """Its own options of reading; `parse` finds their values in `options.own`."""
    hash_lists: tuple[str, ...] = ()
    """Glob patterns, relative to the dataset's folder, of published lists of `<sha256> NN/<Jamendo id>.mp3`."""
    asked_as: str = ""
    """Its name on the command line, if another: `hf:owner/name`, or the path of a recipe."""
    root: Path | None = None
    """The folder of the release, if not `<data-root>/raw/<name>`: for a user's own music."""
    marker_files: tuple[str, ...]
    """Glob patterns relative to the dataset's folder; the release is there if one of them matches."""
    audio_folders: tuple[str, ...] = (".",)
    """Folders of audio, best first, relative to the dataset's folder. With `**` at the end, audio is found by file name
    anywhere below."""
    holds_audio: bool = False
    """Its tables may contain audio; `parse` unpacks it to `options.unpack_to` before it yields the track."""
    audio_names: Callable[[Track], Iterable[str]] | None = None
    """Return other paths under which users have the audio of a track, best first; tried after `audio_path`."""
    is_excerpt: Callable[[Track], bool] = lambda track: track.start > 0
    """Return whether a track's `start` and `duration` are those of an excerpt of its file. If not, the duration is
    measured, whatever is published."""
    typical_s: float = 0
    """Seconds that its audio lasts, roughly. A plan without audio states them, marked by the further field
    `duration_unknown`, for tracks whose duration is not published; 0 leaves such tracks out."""
    captions: dict[CaptionOrigin, int]
    """Origin -> number of captions in the whole release; for captions made from tags, the number of tracks; 0 if unknown."""
    tracks: int
    """The number of tracks in the whole release."""
    caption_license: str
    audio_license: str
    """In words, such as "per track"."""
    evaluation_only: bool = False
    """The authors ask not to train on it."""
    in_default_mix: bool = True
    """It is read if no datasets are named."""
    files: tuple[RemoteFile | HubFiles, ...] = ()
    choices: tuple[Option, ...] = ()
    """Its own options of downloading; they select from `files` by `parts` and `limit`."""
    not_fetched: str = ""
    """What cannot be downloaded, and how to get it."""

    def records(
        self,
        root: Path,
        own: Mapping[str, Any] | None = None,
        *,
        years: bool = False,
        unpack_to: Path | None = None,
        planning: bool = False,
    ) -> Iterator[Track | Dropped]:
        """Yield the tracks of the release in a folder, and `Dropped` for rows that cannot be read.

        Args:
            root: the dataset's folder.
            own: name -> value, of the dataset's own options; the others have their defaults.
            years: see `ParseOptions`.
            unpack_to: see `ParseOptions`.
            planning: see `ParseOptions`.

        Raises:
            UsageError: there is no such option, or it cannot have such a value.
            DataError: the release is malformed.
        """
        values = self.complete(self.options, own or {})
        return self.parse(root, ParseOptions(years=years, unpack_to=unpack_to, planning=planning, own=values))

    def complete(self, options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
        """Check values of this dataset's options and add the defaults of those that are not given.

        Raises:
            UsageError: there is no such option, or it cannot have such a value.
        """
        known = [option.name for option in options]
        for name in given:
            if name not in known:
                raise UsageError(
                    f"{self.name} has no option {name!r}.{nearest(name, known)}",
                    hint=f"It has: {', '.join(known) or 'none'}",
                )
        return {option.name: option.check(given.get(option.name)) for option in options}

    def is_in(self, folder: Path) -> bool:
        """Return whether the release, or a part of it, is in a folder."""
        return any(next(folder.glob(pattern), None) is not None for pattern in self.marker_files)

    @property
    def captions_in_words(self) -> str:
        """Return the number of captions and who made them, for example "1,106 by people"."""
        words = {"human": "by people", "model": "by a model", "tags": "made from tags"}
        return ", ".join(
            f"{count:,} {words[origin]}" if count else words[origin] for origin, count in self.captions.items()
        )
