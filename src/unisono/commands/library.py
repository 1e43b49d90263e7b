"""`unisono library`: follow your music, wherever it lies, so that it can be searched."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unisono.base.errors import UnisonoError
from unisono.base.extras import extra, require
from unisono.base.progress import time_in_words
from unisono.base.table import Table
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.options import Count, Positive, StageOptions
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.library.library import Library, LibraryStatus, SyncReport
    from unisono.library.sync import SourceChanges

MOST_SHOWN = 5
Switch = Annotated[bool, Parameter(negative="")]


@dataclass(frozen=True, kw_only=True)
class LibraryOptions(StageOptions):
    """Options of all verbs of `unisono library`."""

    library: str = "music"
    """Name of the library: one file, `<data-root>/library/NAME.sqlite`."""


@dataclass(frozen=True, kw_only=True)
class SyncOptions(LibraryOptions):
    """Options of `unisono library sync` and `watch`."""

    remove_missing: Switch = False
    """Remove the tracks of a folder or server that lists fewer than half of them, too; else they are kept, as it may be
    away."""
    device: str = "auto"
    """Where the encoder runs: auto, cpu, cuda, cuda:1, ..."""
    workers: Count | None = None
    """Threads that look into files, decode and embed them. Default: the number of cores."""


def opened(options: LibraryOptions, *, create: bool = False) -> "Library":
    """Open the library that the options name."""
    with extra("embed", "A library"):
        from unisono.library.library import Library
    require("folder", "A library", ("tinytag",))
    return Library.open(Workspace(options.data_root).library, options.library, create=create)


def add_library(
    source: str, *, model: str | None = None, path_map: tuple[str, ...] = (), options: LibraryOptions = LibraryOptions()
) -> None:
    """Add a folder or a media server to the library; `unisono library sync` then brings in its music.

    Parameters
    ----------
    source
        A folder, or a server such as subsonic:https://someone@music.example.org
    model
        The model that the whole library is embedded for, by name (`unisono models list`) or checkpoint. What another one
        embedded is kept. Default: `tags`, or the one that was chosen before.
    path_map
        Of a server: FROM=TO, where its folder FROM is TO on this machine; what is found there is not fetched.
    """
    with extra("embed", "A library"):
        from unisono.library.library import log_in
    log_in(Workspace(options.data_root).library, source, console.ask_secret, path_map)
    with opened(options, create=True) as library:
        is_new = library.add(source, model)
        sync = f"unisono library sync{_options(options)}"
        said = f"Added {source}" if is_new else f"{source} is in the library"
        console.say(f"{said}, which is embedded for the model {library.model_name}.")
        console.say(f"Bring in its music with: {sync}")


def remove_library(source: str, *, options: LibraryOptions = LibraryOptions()) -> None:
    """Remove a folder or server from the library; its files stay as they are, and `undo` brings it back."""
    with opened(options) as library:
        count = library.remove(source)
        console.say(
            f"Removed {source} with {counted(count, 'track')}; for 30 days, unisono library undo{_options(options)} "
            "brings them back."
        )


def undo_library(*, options: LibraryOptions = LibraryOptions()) -> None:
    """Bring back the tracks that the last removal took out of the library."""
    with opened(options) as library:
        tracks = library.undo()
        console.out.print(f"Brought back {counted(len(tracks), 'track')}.")
        _show_paths("", (track.path for track in tracks), len(tracks))


def sync_library(
    *,
    dry_run: Switch = False,
    strict: Switch = False,
    json: Switch = False,
    options: SyncOptions = SyncOptions(),
) -> None:
    """Bring the library up to date: embed what is new, follow what moved or was tagged again, remove what is gone.

    Parameters
    ----------
    dry_run
        Show what would change, and change nothing.
    strict
        Fail if a track cannot be embedded.
    json
        Print the result as JSON.
    """
    with opened(options) as library:
        report = _synced(library, options, dry_run=dry_run)
        if json:
            console.print_json(plain(report))
        else:
            show(report)
        problems = report.problems + ([] if dry_run else refreshed(library))
        if problems:
            raise UnisonoError(
                "The library is not up to date: " + "; ".join(problem.rstrip(".") for problem in problems) + ".",
                hint="Is a disk not mounted, or a server away? If the music is really gone: "
                f"unisono library sync{_options(options)} --remove-missing",
            )
        faults = len(report.embedding.faults) + sum(len(each.unread) for each in report.sources)
        if strict and faults:
            raise UnisonoError(f"{counted(faults, 'track')} cannot be embedded, and --strict was given.")


def watch_library(*, every: Positive = 60.0, options: SyncOptions = SyncOptions()) -> None:
    """Keep the library up to date until Ctrl-C: look for changes again and again.

    Changes in folders of this machine are seen some seconds after they happen (with the package watchfiles, on Linux by
    inotify); media servers and folders of the network are looked at from time to time.

    Parameters
    ----------
    every
        The most seconds from one look to the next.
    """
    with opened(options) as library:
        from unisono.library.watch import looks

        addresses = _addresses(library)
        console.out.print(f"Looking every {every:g} s at {', '.join(addresses)}; Ctrl-C ends it.", soft_wrap=True)
        last: list[str] = []
        try:
            for _ in looks([Path(each) for each in addresses if Path(each).is_absolute()], every, library.root):
                try:
                    report = _synced(library, options)
                    problems = report.problems
                    if is_change(report):
                        show(report)
                        problems = problems + refreshed(library)
                except UnisonoError as error:  # a server may come back, another process may end
                    problems = [error.message]
                if problems and problems != last:
                    console.log.warning("%s", "; ".join(problems))
                last = problems
        except KeyboardInterrupt:
            console.out.print("Ended.")


def status_library(*, faults: Switch = False, json: Switch = False, options: LibraryOptions = LibraryOptions()) -> None:
    """Show the folders and servers of the library, how much of it is embedded, and what cannot be.

    Parameters
    ----------
    faults
        List all tracks that cannot be embedded, with their reasons.
    json
        Print it as JSON.
    """
    with opened(options) as library:
        found = library.status()
    if json:
        console.print_json(
            {
                "name": found.name,
                "path": str(found.path),
                "model": found.model,
                "sources": [vars(each) for each in found.sources],
                "removed": found.removed,
                "faults": [{"path": each.path, "reason": each.fault, "detail": each.detail} for each in found.faults],
            }
        )
        return
    _show_status(found, options, everything=faults)


def _show_status(found: "LibraryStatus", options: LibraryOptions, *, everything: bool) -> None:
    rows = [
        (
            each.address,
            *(f"{count:,}" for count in (each.tracks, each.embedded, each.waiting, each.faults)),
            f"{each.hours:,.1f}",
            each.synced[:16].replace("T", " ") or "never",
        )
        for each in found.sources
    ]
    columns = ("source", "tracks", "embedded", "waiting", "not playable", "hours", "synced (UTC)")
    console.show(Table(f"The library {found.name}, for the model {found.model}", columns, rows, words=(0, 6)))
    if found.removed:
        console.out.print(
            f"{counted(found.removed, 'track')} removed; for 30 days: unisono library undo{_options(options)}"
        )
    if everything:
        for track in found.faults:
            console.say(f"  {track.path}: {track.fault} ({track.detail})")
    elif found.faults:
        _show_reasons([(track.path, track.fault, track.detail) for track in found.faults])
        console.out.print(f"All of them: unisono library status{_options(options)} --faults")


def _synced(library: "Library", options: SyncOptions, *, dry_run: bool = False) -> "SyncReport":
    return library.sync(
        dry_run=dry_run, remove_missing=options.remove_missing, device=options.device, workers=options.workers
    )


def is_change(report: "SyncReport") -> bool:
    """Return whether a sync changed anything."""
    return bool(report.embedding.embedded or report.embedding.known or any(map(any, map(_lists, report.sources))))


def _lists(changes: "SourceChanges") -> tuple[list[str], ...]:
    moved = [f"{old} -> {new}" for old, new in changes.moved]
    followed = (changes.added, moved, changes.restored, changes.replaced, changes.retagged, changes.removed)
    return (*followed, changes.kept, changes.unread)


_WORDS = (
    "added",
    "moved",
    "restored",
    "replaced by other music",
    "tagged again",
    "removed",
    "gone, but kept",
    "not readable now",
)


def show(report: "SyncReport") -> None:
    """Print what a sync did, or would do."""
    would = "would be " if report.dry_run else ""
    for changes in report.sources:
        console.out.print(
            f"[bold]{console.escape(changes.address)}[/]: {counted(changes.listed, 'track')}", soft_wrap=True
        )
        for word, paths in zip(_WORDS, _lists(changes), strict=True):
            if paths:
                _show_paths(f"{counted(len(paths), 'track')} {would}{word}", paths, len(paths))
    result = report.embedding
    if report.dry_run:
        console.out.print("Nothing was changed.")
        return
    _show_reasons([(path, fault.reason, fault.detail) for path, fault in result.faults])
    said = [f"{counted(result.embedded, 'track')} embedded"]
    said += [f"{counted(result.known, 'track')} known by the content"] if result.known else []
    said += [f"{counted(report.waiting, 'track')} still to be embedded"] if report.waiting else []
    console.out.print(f"{', '.join(said)}, in {time_in_words(report.seconds)}.")


def _show_paths(heading: str, paths: Iterable[str], count: int) -> None:
    if heading:
        console.out.print(f"  {heading}", markup=False)
    for number, path in enumerate(paths):
        if number == MOST_SHOWN:
            console.out.print(f"    ... and {count - MOST_SHOWN:,} more")
            return
        console.out.print(f"    {path}", soft_wrap=True, markup=False, style="dim")


def _show_reasons(faults: list[tuple[str, str, str]]) -> None:
    """Print why tracks cannot be embedded, by reason with an example each."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for path, reason, detail in faults:
        by_reason.setdefault(reason, []).append((path, detail))
    for reason, found in sorted(by_reason.items(), key=_count_first):
        path, detail = found[0]
        console.say(f"  {counted(len(found), 'track')}: {reason}, such as {path} ({detail})")


def _count_first(item: tuple[str, list[tuple[str, str]]]) -> tuple[int, str]:
    return -len(item[1]), item[0]


def refreshed(library: "Library", names: Sequence[str] = ()) -> list[str]:
    """Refresh the playlists of saved searches, say what became of them, and return what kept some as they were."""
    from unisono.library.playlists import refresh

    done = refresh(library, names)
    for each in done:
        if each.playlist:
            left = f", {each.playlist.left_out:,} left out, as they are not there" if each.playlist.left_out else ""
            console.log.info("%s: %s%s.", each.search.target, counted(each.playlist.tracks, "track"), left)
    return [f"the playlist {each.search.name} stayed as it was: {each.problem}" for each in done if each.problem]


def plain(report: "SyncReport") -> dict[str, object]:
    """Return a report as JSON values."""
    return {
        "sources": [
            {
                "address": each.address,
                "known": each.known,
                "listed": each.listed,
                **{
                    name: getattr(each, name)
                    for name in ("added", "restored", "replaced", "retagged", "removed", "kept", "unread")
                },
                "moved": [{"from": old, "to": new} for old, new in each.moved],
                "unlisted": [part.reason for part in each.unlisted],
                "away": each.away,
            }
            for each in report.sources
        ],
        "embedded": report.embedding.embedded,
        "known": report.embedding.known,
        "faults": [
            {"path": path, "reason": fault.reason, "detail": fault.detail} for path, fault in report.embedding.faults
        ],
        "waiting": report.waiting,
        "seconds": round(report.seconds, 3),
        "dry_run": report.dry_run,
    }


def _addresses(library: "Library") -> list[str]:
    return [row.address for row in library.catalogue.sources()]


def _options(options: LibraryOptions) -> str:
    """Return the options that lead to the same library."""
    name = f" --library {options.library}" if options.library != LibraryOptions().library else ""
    return Workspace(Path(options.data_root)).root_option + name
