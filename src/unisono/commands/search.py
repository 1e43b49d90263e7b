"""`unisono search`: descriptions -> the tracks that fit each best, as a table, as JSON, as a playlist, or on a web page."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from unisono.base.errors import DataError, UsageError
from unisono.base.extras import require
from unisono.base.path_map import PathMap
from unisono.base.words import as_typed, counted
from unisono.commands import console
from unisono.commands.music import music_of
from unisono.commands.options import Count, StageOptions
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.retrieval.collection import Hit, Hits, IndexedTrack
    from unisono.retrieval.models import JointModel
    from unisono.search.query import Query
    from unisono.search.service.music import Music


@dataclass(frozen=True, kw_only=True)
class QueryOptions(StageOptions):
    """Options that say what is searched for."""

    top: Count = 10
    """How many tracks to show."""
    also: tuple[str, ...] = ()
    """Further descriptions that the music should fit at the same time. A weight may end each: "flute^0.5"."""
    like: tuple[str, ...] = ()
    """Music that it should be like: an id, a path, a part of "artist - title" that only one track has, or a playlist: a file
    (.m3u8, .m3u), or one on a media server of the library (subsonic:"Quiet evening")."""
    not_: Annotated[tuple[str, ...], Parameter(name="--not")] = ()
    """Descriptions of what it should not be."""
    where: tuple[str, ...] = ()
    """Only tracks that fulfil all conditions: `year>=1990`, `duration=120..400`, `genre~=folk`, `license!=unknown`, ..."""
    keep: tuple[str, ...] = ()
    """Ids of tracks that were right: more like these."""
    reject: tuple[str, ...] = ()
    """Ids of tracks that were wrong: less like these."""
    max_per_artist: Count | None = None
    """The most tracks of one artist."""
    max_per_album: Count | None = None
    """The most tracks of one album."""
    one_per_recording: bool = False
    """Leave out further tracks of a recording, or of the same artist and title."""
    diversity: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.0
    """How much the tracks should differ from each other, from 0 to 1."""
    rerank: Literal["none", "maxsim"] = "none"
    """Order the first 200 hits of a single description again: `maxsim` compares each of its words with each window of a
    track, as a model trained with `train --maxsim` can, where windows were kept."""
    windows: Literal["best", "mean"] = "best"
    """What counts of a track whose windows are known: the one that fits best, or the mean of all."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions(QueryOptions):
    """Options of `unisono search`."""

    checkpoint: Path | None = None
    """The model that embeds the descriptions. Default: the only best checkpoint in `checkpoints/`."""
    model: str | None = None
    """Name of a model that needs no training (`unisono models list`), or a checkpoint."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `DATA-ROOT/processed_embeddings`."""
    library: tuple[str, ...] = ()
    """Names of the libraries to search (`unisono library`). Default: all that there are, unless --checkpoint, --data-dir or
    --split is given."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1, ..."""
    split: Literal["train", "val", "test"] | None = None
    """Search in this split only. Default: in all."""
    index: str = "exact"
    """What finds the nearest vectors: `exact` compares all, in memory; `exact:FOLDER` keeps them in files of a folder,
    `milvus:FILE.db` and `milvus://HOST:19530` in Milvus. Filled when needed, and again when something has changed."""
    playlist: str | None = None
    """Write the tracks found as a playlist: a file (.m3u8 or .m3u, UTF-8), or on a media server of the library, where it is
    made or replaced in place: subsonic:"Quiet evening"."""
    path_map: tuple[str, ...] = ()
    """Of a playlist in a file: FROM=TO, where paths that begin with FROM begin with TO on the machine that plays."""
    relative_to: Path | None = None
    """Of a playlist in a file: the folder that its paths are relative to."""
    json: bool = False
    """Print the result as JSON."""
    brief: bool = False
    """Print a line a track: place, how well it fits, artist and title."""
    serve: bool = False
    """Open a web page on this machine to search by description and listen to the results; Ctrl-C ends it."""
    port: int = 8765
    """Port of that page."""


def run(queries: Sequence[str], options: SearchOptions) -> "dict[str, Hits]":
    """Search for each query, show what was found and return it: query -> hits, best first.

    Raises:
        UsageError: a query is empty, or an option is not of the right form.
        DataError: no track is left to search among.
    """
    _check(queries, options)
    music, model = music_of(
        options.data_root,
        library=options.library,
        model=options.model,
        checkpoint=options.checkpoint,
        data_dir=options.data_dir,
        device=options.device,
        split=options.split,
        index=options.index,
    )
    if options.serve:
        _serve(music, model, options)
        return {}
    from unisono.search import run as searching
    from unisono.search.query import weighted

    collection = music.collection()
    if not len(collection) and options.split is None:
        raise DataError(f"Nothing of {music.label} is embedded yet.", hint="Embed it with: unisono library sync")
    playlists = music.tracks_of([weighted(named)[0] for named in options.like])
    asked = [query_of(text, options) for text in queries or [""]]
    found = {
        query.text[0] if query.text else str(query): searching.search(model, query, collection, playlists)
        for query in asked
    }
    if options.playlist:  # before anything is printed: whoever reads along may end early
        _write(options.playlist, found, options)
    if options.json:
        console.out.print_json(json.dumps(_plain(found), ensure_ascii=False))
    else:
        for hits in found.values():
            _show(hits, brief=options.brief)
    return found


def query_of(text: str, options: QueryOptions) -> "Query":
    """Return what a description and options ask for."""
    from unisono.search.query import Query

    return Query(
        text=tuple(map(as_typed, (*([text] if text else []), *options.also))),
        like=options.like,
        without=tuple(map(as_typed, options.not_)),
        where=options.where,
        keep=options.keep,
        reject=options.reject,
        top=options.top,
        max_per_artist=options.max_per_artist,
        max_per_album=options.max_per_album,
        one_per_recording=options.one_per_recording,
        diversity=options.diversity,
        rerank=options.rerank,
        windows=options.windows,
    )


def _write(target: str, found: "dict[str, Hits]", options: SearchOptions) -> None:
    tracks = [hit.track for hits in found.values() for hit in hits]
    if _is_server(target):
        _write_on_server(target, tracks, " / ".join(found), options)
        return
    from unisono.search.playlist import write_playlist

    path = Path(target)
    written = write_playlist(path, tracks, path_map=PathMap(options.path_map), relative_to=options.relative_to)
    console.log.info("Wrote %s: %s.", path, counted(written.files, "file"))
    for paths, what in ((written.missing, "not there now"), (written.left_out, "left out, as no absolute path")):
        if paths:
            console.log.warning("%s %s: %s%s", counted(len(paths), "file"), what, paths[0], " ..." if paths[1:] else "")


def _write_on_server(target: str, tracks: "Sequence[IndexedTrack]", comment: str, options: SearchOptions) -> None:
    from unisono.library.library import open_all
    from unisono.library.playlists import write

    with ExitStack() as stack:
        libraries = [stack.enter_context(library) for library in open_all(Workspace(options.data_root).library)]
        saved = write(libraries, target, tracks, comment=comment)
    console.log.info("Wrote the playlist %s: %s.", saved.name, counted(saved.tracks, "track"))
    if saved.left_out or not saved.tracks:
        stays = "; it stays as it was" if not saved.tracks else ""
        console.log.warning("%s left out: the server does not have them%s.", counted(saved.left_out, "track"), stays)


def _is_server(target: str) -> bool:
    """Whether a playlist is meant that is kept on a media server, and not a file."""
    return target.startswith(("subsonic:", "jellyfin:"))


def _check(queries: Sequence[str], options: SearchOptions) -> None:
    asked_otherwise = options.also or options.like or options.keep
    on_the_page = (*queries, *options.also, *options.like, *options.not_, *options.keep, *options.reject)
    if not options.serve and not (all(query.strip() for query in queries) and (queries or asked_otherwise)):
        raise UsageError(
            "There is no description to search for.", hint='Type one: unisono search "slow solemn choir" ...'
        )
    if options.serve and (on_the_page or options.json or options.playlist):
        raise UsageError("--serve takes what is searched for on the page, and excludes --json and --playlist.")
    if options.serve:
        require("serve", "The search page", ("starlette", "uvicorn", "prometheus_client", "tinytag"))
    if options.playlist:
        from unisono.search.playlist import check_ending

        if not _is_server(options.playlist):
            check_ending(Path(options.playlist))
            PathMap(options.path_map)


def _serve(music: "Music", model: "JointModel", options: SearchOptions) -> None:
    from unisono.search.service.searches import Searches
    from unisono.search.service.server import make_app, serve

    searches = Searches(
        model, music, where=options.where, top=options.top, max_per_artist=options.max_per_artist,
        feedback=options.data_root / "feedback.sqlite", playlists=options.data_root / "playlists",
    )  # fmt: skip

    searches.warm_up()

    def announce(address: str) -> None:
        tracks = counted(searches.tracks, "track")
        console.out.print(f"Searching {tracks} at [bold]{address}[/]; Ctrl-C ends it.", soft_wrap=True)

    serve(make_app(searches), port=options.port, announce=announce)
    console.out.print("Ended.")


def _plain(found: "dict[str, Hits]") -> list[dict[str, object]]:
    return [
        {
            "query": query,
            "searched": hits.searched,
            "fits": hits.fits,
            "notes": hits.notes,
            "hits": [*map(_record, hits)],
        }
        for query, hits in found.items()
    ]


def _record(hit: "Hit") -> dict[str, object]:
    """Return a hit as it is written: what is known of the track, and what the search says of it."""
    found = asdict(hit)
    track: dict[str, object] = found.pop("track")
    said = {name: value for name, value in found.items() if value not in (None, {}, ())}
    return track | said | {"score": round(hit.score, 6)}


def _show(hits: "Hits", *, brief: bool) -> None:
    """Print the hits; a path is on a line of its own, so that it can be copied whatever its length."""
    console.out.print(
        f"[bold]“{console.escape(hits.query)}”[/] among {counted(hits.searched, 'track')}", soft_wrap=True
    )
    for note in hits.notes:
        console.out.print(f"[yellow]{console.escape(note)}[/]", soft_wrap=True)
    for place, hit in enumerate(hits, 1):
        track = hit.track
        where = f" [dim]from {track.start_s:.0f} s[/]" if track.start_s else ""
        console.out.print(f"{place:3}. [cyan]{hit.shown:>6}[/]  {console.escape(track.name)}{where}", soft_wrap=True)
        if brief:
            continue
        for line in _because(hit):
            console.out.print(f"              {console.escape(line)}", soft_wrap=True)
        console.out.print(f"              [dim]{console.escape(track.audio_path)}[/]", soft_wrap=True)


def _because(hit: "Hit") -> list[str]:
    """Say why it was found: its tags, what each part of the query says, and the moment that fits best."""
    said = [", ".join(f"{tag} {part:.2f}" for tag, part in hit.why.items())]
    said.append(", ".join(f"{part} {round(says, 1) or 0:+.1f}" for part, says in hit.parts.items()))
    if hit.moment_s is not None:
        said.append(f"best at {int(hit.moment_s) // 60}:{int(hit.moment_s) % 60:02}")
    return [line for line in said if line]


def search(*queries: str, options: SearchOptions = SearchOptions()) -> None:
    """Find the tracks that fit a description best; several descriptions are searched for one after the other."""
    run(queries, options)
