"""`unisono captions preview`: some tracks of a unified file, with the captions they have and those they would get."""

from pathlib import Path

from rich.table import Table

from unisono.base.errors import UsageError
from unisono.base.seeded import rank_key
from unisono.captions.describe import describe
from unisono.captions.options import PreviewOptions
from unisono.commands import console
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track


def run(path: Path, options: PreviewOptions) -> None:
    """Show them; nothing is written but the answers of a language model.

    Raises:
        UsageError: the options contradict each other, or there is nothing to show.
    """
    options.check_captions()
    if options.count < 1:
        raise UsageError(f"--count must be at least 1, found {options.count}.")
    tracks = read_tracks(path)
    made = {track.id for track in tracks if {caption.origin for caption in track.captions} == {"tags"}}
    candidates = [track for track in tracks if options.caption_all or track.id in made]
    if not candidates:
        raise UsageError(
            f"{path}: every track has captions that were not made from tags, and those stay as they are.",
            hint="See what would be added to them with --caption-all",
        )
    before = sorted(candidates, key=lambda track: rank_key(options.seed, "preview", track.id))[: options.count]
    after = describe(before, made, options, options.seed)
    for was, becomes in zip(before, after.tracks, strict=True):
        _show(was, becomes)
    for item in (after.llm or {}).get("refused", []):
        text = f": {item['text']!r}" if item["text"] else ""
        console.out.print(console.escape(f"Refused for {item['id']} ({item['mode']}): {item['reason']}{text}"))


def _show(was: Track, becomes: Track) -> None:
    table = Table(title=console.escape(was.id), title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for when, track in (("before", was), ("after", becomes)):
        for number, caption in enumerate(track.captions):
            table.add_row("" if number else when, caption.origin or "unmarked", console.escape(caption.text))
    console.out.print(table)


def preview_captions(path: Path, *, options: PreviewOptions = PreviewOptions()) -> None:  # noqa: B008
    """Show ten tracks with the captions they have and those they would get.

    Parameters
    ----------
    path
        Unified file.
    """
    run(path, options)
