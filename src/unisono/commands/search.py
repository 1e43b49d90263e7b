"""The stage: descriptions -> the tracks that fit each best, as a table, as JSON or as a playlist."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from unisono.base.errors import DataError, UsageError
from unisono.commands import console
from unisono.retrieval.checkpoint import load_model
from unisono.retrieval.train.distributed import local_device
from unisono.search.filters import matching
from unisono.search.index import Hit, read_index
from unisono.search.options import SearchOptions
from unisono.search.playlist import refuse_other_endings, write_playlist


def run(queries: Sequence[str], options: SearchOptions) -> dict[str, list[Hit]]:
    """Search for each query, show what was found and return it: query -> hits, best first.

    Raises:
        UsageError: a query is empty, or an option cannot be understood.
        DataError: no track is left to search among.
    """
    _refuse_wrong(queries, options)
    model = load_model(options.checkpoint, str(local_device(options.device)))
    index = read_index(model, options.data_path, options.split)
    among = matching(index.tracks, options.where)
    if not len(among):
        said = " ".join(f"--where {text!r}" for text in options.where)
        raise DataError(f"None of the {len(index.tracks):,} tracks of {options.data_path} fulfils {said or 'this'}.")
    if options.serve:
        from unisono.search.serve import serve

        serve(
            model,
            index,
            among,
            options,
            lambda address: console.out.print(
                f"Searching {len(among):,} tracks at [bold]{address}[/]; Ctrl-C ends it.", soft_wrap=True
            ),
        )
        console.out.print("Ended.")
        return {}
    found = {
        query: index.search(vector, options.top, among, options.max_per_artist)
        for query, vector in zip(queries, model.embed_text(list(queries)), strict=True)
    }
    if options.json:
        console.out.print_json(json.dumps(_plain(found), ensure_ascii=False))
    else:
        for query, hits in found.items():
            _show(query, hits, len(among))
    if options.playlist:
        count = write_playlist(options.playlist, [hit.track for hits in found.values() for hit in hits])
        console.log.info("Wrote %s: %d files.", options.playlist, count)
    return found


def _refuse_wrong(queries: Sequence[str], options: SearchOptions) -> None:
    if not options.serve and (not queries or not all(query.strip() for query in queries)):
        raise UsageError("What to search for?", hint='Type a description: unisono search "slow solemn choir" ...')
    for name, value in (("--top", options.top), ("--max-per-artist", options.max_per_artist)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value}: expected at least 1.")
    if options.serve and (queries or options.json or options.playlist):
        raise UsageError(
            "--serve takes its descriptions on the page: give none here, and neither --json nor --playlist."
        )
    if options.playlist:
        refuse_other_endings(options.playlist)


def _plain(found: dict[str, list[Hit]]) -> list[dict[str, object]]:
    return [
        {"query": query, "hits": [{"score": round(hit.score, 6), **asdict(hit.track)} for hit in hits]}
        for query, hits in found.items()
    ]


def _show(query: str, hits: list[Hit], searched: int) -> None:
    """Print the hits; a path stands on a line of its own, so that it can be copied whatever its length."""
    console.out.print(f"[bold]“{console.escape(query)}”[/] among {searched:,} tracks", soft_wrap=True)
    for place, hit in enumerate(hits, 1):
        track = hit.track
        name = " - ".join(part for part in (track.artist, track.title) if part) or track.id
        where = f" [dim]from {track.start_s:.0f} s[/]" if track.start_s else ""
        console.out.print(f"{place:3}. [cyan]{hit.score:.3f}[/]  {console.escape(name)}{where}", soft_wrap=True)
        console.out.print(f"            [dim]{console.escape(track.audio_path)}[/]", soft_wrap=True)


def search(*queries: str, options: SearchOptions) -> None:
    """Find the tracks that fit a description best; several descriptions are searched for one after the other."""
    run(queries, options)
