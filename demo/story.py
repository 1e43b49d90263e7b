"""The page that the demo ends with: what was asked, what each model found, how good that is, and where to go from here."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from demo.targets import Outcome
from unisono.base.files import write_whole

PAGE = "index.html"
SHOWN = 3
"""Answers of each model to a query."""
CAPTIONS = {
    "trained": "trained on the demo's three datasets",
    "tags": "trained on none of this music",
}
"""Model -> what is said of it."""


def write(
    root: Path, queries: Sequence[str], answers: Mapping[str, str], outcomes: Mapping[str, Outcome], unisono: str
) -> Path:
    """Write the page below the demo's folder, and return its path.

    Args:
        root: folder of the demo.
        queries: what was asked.
        answers: model -> output of `unisono search --json` whose first answers are those to the queries.
        outcomes: model -> what it reached.
        unisono: the command as a user types it.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    look = jinja2.PackageLoader("unisono.retrieval.report", ".")
    page = jinja2.Environment(
        loader=jinja2.ChoiceLoader([loader, look]), autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("story.html.jinja")
    found = {name: json.loads(answer) for name, answer in answers.items()}
    asked = [
        (query, {name: [_hit(hit, root) for hit in its[place]["hits"][:SHOWN]] for name, its in found.items()})
        for place, query in enumerate(queries)
    ]
    path = root / PAGE
    write_whole(
        path,
        page.render(asked=asked, outcomes=dict(outcomes), captions=CAPTIONS, root=root.as_posix(), unisono=unisono),
    )
    return path


def _hit(hit: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return what is shown of a hit, with the address of its excerpt relative to the page."""
    file = Path(os.path.relpath(hit["audio_path"], root.resolve())).as_posix()
    start_s, end_s = hit["start_s"], hit["start_s"] + hit["duration_s"]
    return {
        "name": " – ".join(part for part in (hit["title"], hit["artist"]) if part),
        "address": f"{quote(file)}#t={start_s:g},{end_s:g}",
        "why": ", ".join(hit["why"]),
    }
