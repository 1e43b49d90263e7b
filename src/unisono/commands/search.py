"""`unisono search`: descriptions -> the tracks that fit each best, as a table, as JSON, as a playlist, or on a web page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unisono.base.errors import UsageError
from unisono.base.extras import extra, require
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.options import Count, StageOptions, model_of
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.retrieval.collection import Collection, Hits
    from unisono.retrieval.models import JointModel


@dataclass(frozen=True, kw_only=True)
class SearchOptions(StageOptions):
    """Options of `unisono search`."""

    checkpoint: Path | None = None
    """The model that embeds the descriptions. Default: the only best checkpoint in `checkpoints/`."""
    model: str | None = None
    """Name of a model that needs no training (`unisono models list`), or a checkpoint."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `DATA-ROOT/processed_embeddings`."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1, ..."""
    top: Count = 10
    """How many tracks to show."""
    split: Literal["train", "val", "test"] | None = None
    """Search in this split only. Default: in all."""
    where: tuple[str, ...] = ()
    """Only tracks with this value, such as `dataset=fma`, `tags=flute`, `license!=unknown`; all conditions must hold."""
    max_per_artist: Count | None = None
    """The most tracks of one artist."""
    playlist: Path | None = None
    """Write the tracks found as a playlist (.m3u8 or .m3u, UTF-8)."""
    json: bool = False
    """Print the result as JSON."""
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
    with extra("train", "Searching"):
        from unisono.retrieval.models import load_model, names
        from unisono.search import run as searching
    if options.model not in names():  # those need no torch
        require("train", "Searching", ("torch",))
    _check(queries, options)
    model = load_model(model_of(options.model, options.checkpoint), options.device)
    data = options.data_dir or Workspace(options.data_root).embeddings
    collection = model.collection(data, split=options.split)
    if options.serve:
        _serve(model, collection, options)
        return {}
    found = searching.search(
        model, queries, collection, top=options.top, where=options.where, max_per_artist=options.max_per_artist
    )
    if options.playlist:  # before anything is printed: whoever reads along may end early
        _write(options.playlist, found)
    if options.json:
        console.out.print_json(json.dumps(_plain(found), ensure_ascii=False))
    else:
        for query, hits in found.items():
            _show(query, hits)
    return found


def _write(path: Path, found: "dict[str, Hits]") -> None:
    from unisono.search.playlist import write_playlist

    written = write_playlist(path, [hit.track for hits in found.values() for hit in hits])
    console.log.info("Wrote %s: %s.", path, counted(written.files, "file"))
    for paths, what in ((written.missing, "not there now"), (written.left_out, "left out, as no absolute path")):
        if paths:
            console.log.warning("%s %s: %s%s", counted(len(paths), "file"), what, paths[0], " ..." if paths[1:] else "")


def _check(queries: Sequence[str], options: SearchOptions) -> None:
    if not options.serve and (not queries or not all(query.strip() for query in queries)):
        raise UsageError(
            "There is no description to search for.", hint='Type one: unisono search "slow solemn choir" ...'
        )
    if options.serve and (queries or options.json or options.playlist):
        raise UsageError("--serve takes its descriptions on the page, and excludes --json and --playlist.")
    if options.serve:
        require("serve", "The search page", ("starlette", "uvicorn"))
    if options.playlist:
        from unisono.search.playlist import check_ending

        check_ending(options.playlist)


def _serve(model: "JointModel", collection: "Collection", options: SearchOptions) -> None:
    from unisono.search import run as searching
    from unisono.search.serve import SearchService, serve  # needs the packages of an extra

    among = searching.narrowed(collection, options.where)
    service = SearchService(model, collection, among, top=options.top, max_per_artist=options.max_per_artist)

    def announce(address: str) -> None:
        tracks = counted(service.tracks, "track")
        console.out.print(f"Searching {tracks} at [bold]{address}[/]; Ctrl-C ends it.", soft_wrap=True)

    serve(service, port=options.port, announce=announce)
    console.out.print("Ended.")


def _plain(found: "dict[str, Hits]") -> list[dict[str, object]]:
    return [
        {
            "query": query,
            "hits": [
                {"score": round(hit.score, 6), **asdict(hit.track), **({"why": hit.why} if hit.why else {})}
                for hit in hits
            ],
        }
        for query, hits in found.items()
    ]


def _show(query: str, hits: "Hits") -> None:
    """Print the hits; a path is on a line of its own, so that it can be copied whatever its length."""
    console.out.print(f"[bold]“{console.escape(query)}”[/] among {counted(hits.searched, 'track')}", soft_wrap=True)
    for place, hit in enumerate(hits, 1):
        track = hit.track
        where = f" [dim]from {track.start_s:.0f} s[/]" if track.start_s else ""
        console.out.print(f"{place:3}. [cyan]{hit.score:.3f}[/]  {console.escape(track.name)}{where}", soft_wrap=True)
        if hit.why:
            because = ", ".join(f"{tag} {part:.2f}" for tag, part in hit.why.items())
            console.out.print(f"            {console.escape(because)}", soft_wrap=True)
        console.out.print(f"            [dim]{console.escape(track.audio_path)}[/]", soft_wrap=True)


def search(*queries: str, options: SearchOptions = SearchOptions()) -> None:
    """Find the tracks that fit a description best; several descriptions are searched for one after the other."""
    run(queries, options)
