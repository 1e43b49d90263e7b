"""The page that the demo ends with."""

import json
import re
from pathlib import Path

from demo import story
from demo.targets import Outcome
from unisono.retrieval.evaluate.measured import Estimate

QUERIES = ("slow choir", "fast fiddle")


def write(root: Path, title: str = "Chorale [choir]") -> Path:
    """Write a page whose models found the second excerpt of a file in the demo's folder."""
    hit = {
        "title": title, "artist": "Bach", "audio_path": str(root.resolve() / "raw/fma/a #1.mp3"), "start_s": 9.0,
        "duration_s": 9.0, "why": {"choir": 3.1, "slow": 2.0},
    }  # fmt: skip
    answer = json.dumps([{"query": query, "hits": [hit] * 5} for query in (*QUERIES, "choir music")])
    outcomes = {
        name: Outcome(Estimate(value, 0.4, 1, 0.11), None) for name, value in (("tags", 0.5), ("trained", 0.98))
    }
    return story.write(root, QUERIES, {"tags": answer, "trained": answer}, outcomes, ".venv/bin/unisono")


def test_it_plays_what_each_model_found(tmp_path: Path) -> None:
    page = write(tmp_path).read_text(encoding="utf-8")
    assert re.findall(r'<audio[^>]* src="(.*?)"', page) == ["raw/fma/a%20%231.mp3#t=9,18"] * 12
    assert all(f"“{query}”" in page for query in QUERIES) and "choir music" not in page
    assert "98 %" in page and "50 %" in page and "11 %" in page


def test_what_tracks_are_called_cannot_change_it(tmp_path: Path) -> None:
    page = write(tmp_path, "<script>alert(1)</script>").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page
