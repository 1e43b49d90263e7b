"""`unisono playlist`: searches that are saved, and whose playlists are refreshed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unisono.base.errors import UnisonoError
from unisono.base.table import Table
from unisono.commands import console
from unisono.commands.library import LibraryOptions, opened, refreshed
from unisono.commands.options import Count
from unisono.commands.search import QueryOptions, query_of

if TYPE_CHECKING:
    from unisono.library.library import Library


@dataclass(frozen=True, kw_only=True)
class PlaylistOptions(LibraryOptions):
    """Options of the verbs that take no search."""


@dataclass(frozen=True, kw_only=True)
class SavedOptions(QueryOptions):
    """Options of `unisono playlist add`."""

    library: str = LibraryOptions.library
    """Name of the library that is searched."""
    top: Count = 50
    """The most tracks of the playlist."""


def add_playlist(
    name: str,
    query: str = "",
    *,
    to: str = "",
    path_map: Sequence[str] = (),
    relative_to: Path | None = None,
    options: SavedOptions = SavedOptions(),
) -> None:
    """Save a search, write its playlist now, and again at each `unisono library sync`.

    Parameters
    ----------
    name
        Of the saved search; one of the same name is replaced.
    query
        The description; options say more, as in `unisono search`.
    to
        Where the playlist is kept: found.m3u8, or on a media server of the library: subsonic:"Quiet evening". Default: a
        file of this name in `DATA-ROOT/playlists`, where the page keeps its own.
    path_map
        Of a file: FROM=TO, where paths that begin with FROM begin with TO on the machine that plays.
    relative_to
        Of a file: the folder that paths are relative to.
    """
    with opened(LibraryOptions(data_root=options.data_root, library=options.library)) as library:
        from unisono.library import playlists
        from unisono.search.playlist import file_name

        to = to or str(options.data_root / "playlists" / f"{file_name(name)}.m3u8")
        target = to if playlists.is_server(to) else str(Path(to).absolute())
        saved = playlists.SavedSearch(
            name=name,
            query=query_of(query, options),
            target=target,
            path_map=list(path_map),
            relative_to=str(relative_to.absolute()) if relative_to else "",
        )
        playlists.save(library, saved)
        _refresh(library, [name])


def list_playlist(*, options: PlaylistOptions = PlaylistOptions()) -> None:
    """Show the saved searches, and where their playlists are kept."""
    with opened(options) as library:
        from unisono.library.playlists import saved_searches

        rows = [
            (saved.name, saved.query.with_conditions(), saved.target, saved.refreshed[:16].replace("T", " ") or "never")
            for saved in saved_searches(library)
        ]
    if not rows:
        return console.say('No search is saved. Save one with: unisono playlist add NAME "calm piano"')
    return console.show(Table("Saved searches", ("name", "search", "playlist", "written (UTC)"), rows, words=(0, 1, 2)))


def remove_playlist(name: str, *, options: PlaylistOptions = PlaylistOptions()) -> None:
    """Forget a saved search; its playlist stays where it is."""
    with opened(options) as library:
        from unisono.library.playlists import remove

        remove(library, name)
    console.say(f"Forgot {name}; its playlist stays.")


def refresh_playlist(*names: str, options: PlaylistOptions = PlaylistOptions()) -> None:
    """Search again, and write the playlists of the saved searches that are named, or of all."""
    with opened(options) as library:
        _refresh(library, names)


def _refresh(library: "Library", names: Sequence[str]) -> None:
    if problems := refreshed(library, names):
        raise UnisonoError(f"Not everything was written: {'; '.join(problems).rstrip('.')}.")
