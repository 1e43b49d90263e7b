"""`unisono captions preview`: some tracks of a unified file, with the captions they have and those they would get, or with
what training makes of them."""

from dataclasses import dataclass
from pathlib import Path

from unisono.base.table import Table
from unisono.commands import console
from unisono.commands.caption_options import CaptionOptions
from unisono.commands.options import Count
from unisono.tracks.track import Track


@dataclass(frozen=True, kw_only=True)
class PreviewOptions(CaptionOptions):
    """Options of `unisono captions preview`."""

    count: Count = 10
    """How many tracks to show."""
    seed: int = 42
    """Seed of the choice of tracks, of `varied`, and of --views."""
    views: bool = False
    """Show what `train --views` and `train --hard-negatives` make of the captions that the tracks have: partial views, false
    captions, and how likely each is drawn."""


def preview_captions(path: Path, *, options: PreviewOptions = PreviewOptions()) -> None:
    """Show ten tracks with the captions they have and those they would get.

    Parameters
    ----------
    path
        Unified file.
    """
    from unisono.curation.preview import preview, preview_views

    if options.views:
        console.show(preview_views(path, count=options.count, seed=options.seed).table())
        return
    shown = preview(
        path,
        captions=options.captions,
        caption_all=options.caption_all,
        llm=options.language_model.with_cache_in(options.data_root),
        count=options.count,
        seed=options.seed,
    )
    for before, after in shown.tracks:
        _show(before, after)
    for item in shown.refused:
        text = f": {item['text']!r}" if item["text"] else ""
        console.out.print(console.escape(f"Refused for {item['id']} ({item['mode']}): {item['reason']}{text}"))


def _show(before: Track, after: Track) -> None:
    rows = [
        ("" if number else when, caption.origin or "unmarked", caption.text)
        for when, track in (("before", before), ("after", after))
        for number, caption in enumerate(track.captions)
    ]
    console.show(Table(before.id, ("when", "origin", "caption"), rows, words=(0, 1, 2)))
