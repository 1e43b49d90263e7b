"""The result of an evaluation as one HTML page: numbers, plots, and the audio of the best and the worst queries.

The page stands alone but for the audio, which it plays from where it lies on this machine, or from clips beside the page.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

import jinja2

from unisono.base.files import write_whole
from unisono.commands.evaluate_table import TITLES, say, say_interval
from unisono.commands.report import plots
from unisono.commands.report.clips import folder_of, write_clips
from unisono.retrieval.evaluate.result import MEASURES, Found, Measured, Result
from unisono.retrieval.pairing import MUSIC_TO_TEXT, TEXT_TO_MUSIC


def write(path: Path, result: Result, *, clips: bool = False) -> None:
    """Write the page, whole or not at all.

    Args:
        path: of the page.
        result: what it shows.
        clips: write what it plays beside it, instead of playing the files where they lie.
    """
    write_whole(path, render(result, write_clips(folder_of(path), _excerpts(result)) if clips else None))


def render(result: Result, clips: Mapping[Found, str] | None = None) -> str:
    """Make the page; `clips` are the addresses of what it plays, if that lies beside the page."""
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("unisono.commands.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("evaluation.html.jinja")
    return template.render(
        result=result,
        measures=MEASURES,
        titles=TITLES,
        directions={TEXT_TO_MUSIC: "text to music", MUSIC_TO_TEXT: "music to text"},
        lines=_lines(result),
        say=say,
        say_interval=say_interval,
        audio=partial(audio_address, clips=clips),
        clips=clips,
        recall_curve=plots.recall_curve(result),
        slices=plots.slices(result),
        ranks=plots.ranks(result),
        tags={name: plots.tags(name, found) for name, found in result.tagging.items()},
    )


def _lines(result: Result) -> list[tuple[str, dict[str, Measured]]]:
    """List slices, then baselines: (name, direction -> numbers)."""
    slices = result.retrieval[TEXT_TO_MUSIC]
    return [
        *((name, {direction: found[name] for direction, found in result.retrieval.items()}) for name in slices),
        *((f"baseline: {name}", found) for name, found in result.baselines.items()),
    ]


def _excerpts(result: Result) -> Iterable[Found]:
    for kind in result.examples.values():
        for example in kind:
            yield example.right
            yield from example.found


def audio_address(found: Found, clips: Mapping[Found, str] | None = None) -> str:
    """Give the address of an excerpt's clip, or of its file, to be played from the excerpt's beginning to its end.

    An excerpt that has no clip although there are clips has no address.
    """
    if clips is not None:
        return quote(clips.get(found, ""))
    return f"{Path(found.audio_path).as_uri()}#t={found.start_s:g},{found.start_s + found.duration_s:g}"
