"""Titles, addresses and licences of strangers stay text in the Markdown of attributions."""

from pathlib import Path

import pytest

from tests.making import make_track
from unisono.curation.license_terms import attribution_line, write_attributions


@pytest.mark.parametrize(
    "fields",
    [
        {"license": "CC-BY-x](javascript:alert(1))"},
        {"license": "CC-BY-4.0](javascript:alert(1)) <b>"},
        {"url": "javascript:alert(1)"},
        {"url": "https://a.example/><script>alert(1)</script>"},
        {"url": "data:text/html,<script>"},
        {"title": "<img src=x onerror=alert(1)>", "artist": "[x](javascript:alert(1))"},
        {"attribution": "[x](javascript:alert(1)) <b>"},
    ],
)
def test_nothing_in_a_record_becomes_markup(fields: dict[str, str]) -> None:
    line = attribution_line(make_track(id="a", audio_path="/a.mp3", caption="calm", duration=1, **fields))
    bare = line.replace("\\[", "").replace("\\]", "").replace("\\<", "").replace("\\>", "")
    assert "](javascript" not in bare and "<script" not in bare and "<img" not in bare and "<b>" not in bare
    assert "<javascript" not in bare and "<data:" not in bare


def test_usual_addresses_stay_links() -> None:
    url = "https://a.example/%C3%A9?x=1&y=(2)#z"
    track = make_track(id="a", audio_path="/a.mp3", caption="calm", duration=1, title="T", artist="A", url=url)
    line = attribution_line(track)
    assert f"<{url}>" in line


def test_characters_that_no_file_can_hold_are_replaced(tmp_path: Path) -> None:
    track = make_track(id="a", audio_path="/a.mp3", caption="calm", duration=1, title="T\ud800", artist="A")
    write_attributions([track], tmp_path / "a.md")
    assert "“T?” by A" in (tmp_path / "a.md").read_text(encoding="utf-8")
