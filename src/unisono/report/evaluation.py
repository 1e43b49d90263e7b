"""The result of an evaluation as one HTML page: numbers, plots, and the audio of the best and the worst queries.

The page stands alone but for the audio, which it plays from where it lies on this machine.
"""

from pathlib import Path

import jinja2

from unisono.evaluate.pairing import MUSIC_TO_TEXT, TEXT_TO_MUSIC
from unisono.evaluate.result import MEASURES, Found, Measured, Result
from unisono.evaluate.table import TITLES, say, say_interval
from unisono.files import write_whole
from unisono.report import plots


def write(path: Path, result: Result) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, render(result))


def render(result: Result) -> str:
    """Make the page."""
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("unisono.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("evaluation.html.jinja")
    return template.render(
        result=result,
        measures=MEASURES,
        titles=TITLES,
        directions={TEXT_TO_MUSIC: "text to music", MUSIC_TO_TEXT: "music to text"},
        lines=_lines(result),
        say=say,
        say_interval=say_interval,
        audio=audio_address,
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


def audio_address(found: Found) -> str:
    """Give the address of an excerpt's file, to be played from its beginning to its end."""
    return f"{Path(found.audio_path).as_uri()}#t={found.start_s:g},{found.start_s + found.duration_s:g}"
