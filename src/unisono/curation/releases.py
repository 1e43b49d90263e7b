"""The releases of datasets on this machine: which are there, and where."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.base.tally import Dropped
from unisono.sources import own, registry
from unisono.sources.base import Dataset
from unisono.tracks.track import Track
from unisono.tracks.workspace import Workspace

Options = Mapping[str, Mapping[str, Any]]
"""Name of a dataset -> its own options."""


@dataclass(frozen=True, kw_only=True)
class Parsing:
    """What all parsers are asked for."""

    workspace: Workspace = field(default_factory=Workspace)
    options: Options = field(default_factory=dict)
    years: bool = False
    """Whether to keep the year of a track, which captions by `metadata` name."""
    unpack_to: Path | None = None
    """Where audio in tables is unpacked to; None if it is not."""

    def release(self, name: str, root: Path | None = None, *, suffix: str = "") -> "Release":
        """Return the release of a dataset, which may not be there; by default in its usual folder.

        Raises:
            UsageError: there is no such dataset.
        """
        dataset = registry.get(name, suffix)
        root = root or dataset.root or self.workspace.release(dataset.name)
        return Release(dataset, root, self.options.get(dataset.name, {}), self, own.one_spelling(name))


@dataclass(frozen=True)
class Release:
    """A dataset in a folder, and how its parser is asked to read it."""

    dataset: Dataset
    root: Path
    options: Mapping[str, Any]
    """Values of the dataset's own options."""
    parsing: "Parsing"
    spelling: str = ""
    """What it was asked for as, in one spelling."""

    def parse(self, *, planning: bool = False) -> Iterator[Track | Dropped]:
        """Parse the metadata of the release; for a plan, of tracks whose audio is not on disk, too.

        Raises:
            UsageError: the dataset has no such option, or it cannot have such a value.
            DataError: the release is malformed or incomplete.
        """
        return self.dataset.records(
            self.root,
            self.options,
            years=self.parsing.years,
            unpack_to=self.parsing.unpack_to,
            planning=planning,
        )

    @property
    def is_incomplete(self) -> bool:
        """Whether its folder holds something, but nothing by which the release is recognised."""
        try:
            return not self.is_there and any(not path.name.startswith(".") for path in self.root.iterdir())
        except OSError:
            return False

    @property
    def expected(self) -> str:
        """The files by which the release is recognised, in words."""
        return " or ".join(self.dataset.marker_files)

    @property
    def is_there(self) -> bool:
        """Whether a file is there by which the release is recognised."""
        return self.dataset.is_in(self.root)

    @property
    def download_command(self) -> str:
        """The command that fetches the release."""
        return f"unisono download {self.dataset.asked_as or self.dataset.name}{self.parsing.workspace.root_option}"

    def refuse_absent(self) -> None:
        """Refuse a release that is not there.

        Raises:
            UsageError: it is not; the hint says how to get it.
        """
        if self.is_there:
            return
        if self.dataset.root:
            raise UsageError(
                f"There is nothing in {self.root}, where the audio of {self.dataset.name} should be.",
                hint="Bring it there, or correct audio_root in the recipe.",
            )
        raise UsageError(
            f"The release of {self.dataset.name} is not in {self.root}: expected {self.expected} there.",
            hint=f"Fetch it with: {self.download_command}",
        )


def find_releases(names: Iterable[str] | None, parsing: Parsing, *, hold_out: Collection[str] = ()) -> list[Release]:
    """Find the releases to unify, in alphabetical order, with those that are only held out.

    Args:
        names: of datasets; by default, all that are found in `<data_root>/raw` and that belong to the default mix.
        parsing: where the data is, and what the parsers are asked for.
        hold_out: datasets that nobody trains on.

    Raises:
        UsageError: there is no such dataset, or a release is not there.
    """
    for name in parsing.options:
        if name not in (*registry.names(), *(names or ())):
            raise UsageError(
                f"dataset_options names {name!r}, which is not a dataset.{nearest(name, registry.names())}",
                parameter="dataset_options",
            )
    chosen = [] if names else _all_there(parsing)
    there = {release.dataset.name for release in chosen}
    chosen += _named([*(names or ()), *(name for name in hold_out if name not in there)], parsing)
    held_out = names_of(hold_out, chosen)
    for release in chosen:
        if release.dataset.evaluation_only and release.dataset.name not in held_out:
            log.warning(
                "The authors of %s ask that nobody trains on it: hold it out with --hold-out %s",
                release.dataset.title,
                release.dataset.name,
            )
    return sorted(chosen, key=lambda release: release.dataset.name)


def _named(names: Iterable[str], parsing: Parsing) -> list[Release]:
    """Return the releases of names, each once; folders of one name become datasets of distinct names.

    Raises:
        UsageError: two recipes have one name, or a release is not there.
    """
    asked: dict[str, str] = {}
    for name in sorted(set(names)):
        asked.setdefault(own.one_spelling(name), name)
    same: dict[str, list[str]] = defaultdict(list)
    for name in asked.values():
        same[registry.get(name).name].append(name)
    found = []
    for dataset, its_names in same.items():
        suffixes = own.distinct_suffixes(its_names) if len(its_names) > 1 else [""]
        if len(its_names) > 1 and not all(suffixes):
            raise UsageError(
                f"{' and '.join(its_names)} are both called {dataset!r}.",
                hint='Add a line such as name = "another" to the recipe of one of them.',
            )
        for name, suffix in zip(its_names, suffixes, strict=True):
            found.append(parsing.release(name, suffix=suffix))
    for release in found:
        release.refuse_absent()
    return found


def names_of(asked: Iterable[str], releases: Iterable[Release]) -> set[str]:
    """Return the names of the datasets that were asked for by name, path, or `folder:<path>`."""
    spellings = {spelling for name in asked for spelling in (name, own.one_spelling(name))}
    return {release.dataset.name for release in releases if {release.dataset.name, release.spelling} & spellings}


def _all_there(parsing: Parsing) -> list[Release]:
    known = [parsing.release(dataset.name) for dataset in registry.usable()]
    there = [release for release in known if release.dataset.in_default_mix and release.is_there]
    for release in known:
        if release.is_incomplete:
            log.warning(
                "%s is left out: %s is there, but not %s. Fetch it with: %s",
                release.dataset.name,
                release.root,
                release.expected,
                release.download_command,
            )
    if not there:
        names = [release.dataset.name for release in known]
        example = known[0].root if known else "..."
        raise UsageError(
            f"No release was found in {parsing.workspace.raw}: expected folders such as {example}.",
            hint=f"Fetch one with: unisono download NAME{parsing.workspace.root_option}, where NAME is one of "
            + ", ".join(names),
        )
    return there
