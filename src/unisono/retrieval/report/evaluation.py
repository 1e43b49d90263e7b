"""The result of an evaluation as an HTML page: metrics, plots, and the audio of the best and the worst queries.

The page is one file, except for the audio: it plays the files where they are on this machine, or clips in a folder next to
the page.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

import jinja2

from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.files import write_whole
from unisono.retrieval.evaluate.measured import Measured
from unisono.retrieval.evaluate.result import FoundExcerpt, Result
from unisono.retrieval.evaluate.tables import GRADED, TITLES, say, say_interval
from unisono.retrieval.metrics import DIRECTIONS, TEXT_TO_MUSIC
from unisono.retrieval.report import plots
from unisono.retrieval.report.clips import folder_of, write_clips

LISTENED = {
    "worst": "The captions that find their music worst",
    "best": "The captions that find their music best",
}
"""Kind of examples -> how they are headed."""
UNFOLDED = 3
"""Examples of a kind that are shown; the others are folded."""


@checked
def write_report(result: Result, path: AnyPath, *, clips: bool = False) -> None:
    """Write the page, whole or not at all; with `clips` next to it, instead of playing the files where they are."""
    page = as_path(path)
    write_whole(page, render(result, write_clips(folder_of(page), _excerpts(result)) if clips else None))


def render(result: Result, clips: Mapping[FoundExcerpt, str] | None = None) -> str:
    """Return the page; `clips` are the addresses of the clips, if there are any."""
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("unisono.retrieval.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("evaluation.html.jinja")
    return template.render(
        result=result,
        measures=GRADED,
        titles=TITLES,
        directions=DIRECTIONS,
        lines=_lines(result),
        say=say,
        say_interval=say_interval,
        audio=partial(audio_address, clips=clips),
        clips=clips,
        listened=LISTENED,
        unfolded=UNFOLDED,
        recall_curve=plots.recall_curve(result),
        slices=plots.slices(result),
        ranks=plots.ranks(result),
        robustness=plots.edits(result.robustness) if result.robustness else "",
        tags={name: plots.tags(name, found) for name, found in result.tagging.items()},
    )


def _lines(result: Result) -> list[tuple[str, dict[str, Measured]]]:
    """Return slices, then baselines: (name, direction -> metrics)."""
    slices = result.retrieval[TEXT_TO_MUSIC]
    return [
        *((name, {direction: found[name] for direction, found in result.retrieval.items()}) for name in slices),
        *((f"baseline: {name}", found) for name, found in result.baselines.items()),
    ]


def _excerpts(result: Result) -> Iterable[FoundExcerpt]:
    for kind in result.examples.values():
        for example in kind:
            yield example.right
            yield from example.found


def audio_address(found: FoundExcerpt, clips: Mapping[FoundExcerpt, str] | None = None) -> str:
    """Return the address of the clip of an excerpt, or of the place of the excerpt in its file.

    If there are clips, but none of this excerpt, the address is empty.
    """
    if clips is not None:
        return quote(clips.get(found, ""))
    return f"{Path(found.audio_path).as_uri()}#t={found.start_s:g},{found.start_s + found.duration_s:g}"
