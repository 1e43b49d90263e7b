"""The card counts what was planted, and the page shows it and nothing that a file could smuggle in."""

import html.parser
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.loaded import unisono
from tests.making import make_track
from unisono.base.errors import DataError
from unisono.commands.report.card import render
from unisono.curation.statistics import Statistics, describe, quantiles
from unisono.tracks.files import write_tracks
from unisono.tracks.track import Track

VOID = {"meta", "br", "path", "use", "rect"}


def track(name: str, **fields: Any) -> Track:
    return make_track(**{"id": name, "audio_path": f"/{name}.mp3", "caption": "A calm song", "duration": 10.0} | fields)


TRACKS = [
    track("a1", dataset="a", split="train", recording="youtube:x@30", artist_id="r:1", license="CC-BY-4.0"),
    track(
        "a2", dataset="a", split="test", recording="youtube:x@60", artist_id="r:2", genre="Rock", tags=["loud", "fast"]
    ),
    track("a3", dataset="a", split="train", alt_captions=["Two words", "A calm song"], caption_origin="human"),
    track("b1", dataset="b", split="train", recording="youtube:x", artist_id="r:1", duration=30.0, tags=["fast"]),
    track("b2", dataset="b", audio_path="/a3.mp3", caption="Calm, CALM guitars; don't hurry", caption_origin="tags"),
]


@pytest.fixture(scope="module")
def card() -> Statistics:
    return describe(iter(TRACKS))


def test_counts(card: Statistics) -> None:
    assert (card.all.tracks, card.all.seconds, card.all.captions) == (5, 70.0, 7)
    assert {name: (part.tracks, part.seconds, part.captions) for name, part in card.datasets.items()} == {
        "a": (3, 30.0, 5),
        "b": (2, 40.0, 2),
    }
    assert {name: part.tracks for name, part in card.splits.items()} == {"train": 3, "test": 1, "(none)": 1}
    assert card.distinct == {"recordings": 1, "artists": 2, "files": 4}
    assert card.licenses == {"unknown": 4, "CC-BY-4.0": 1}
    assert card.tags == {"fast": 2, "loud": 1}
    assert card.genres == {"Rock": 1}
    assert card.filled["recording"] == 3
    assert card.filled["license"] == 1
    assert dict(card.all.origins) == {"unknown": 3, "human": 3, "tags": 1}


def test_words(card: Statistics) -> None:
    # "a calm song" five times, "two words", "calm calm guitars don't hurry"
    assert card.vocabulary.words == 5 * 3 + 2 + 5
    assert card.vocabulary.distinct == 8
    assert card.vocabulary.once == 5
    assert card.vocabulary.most_frequent[:2] == [("calm", 7), ("song", 5)]
    assert card.vocabulary.distinct_captions == 3
    assert sorted(card.all.caption_words) == [2, 3, 3, 3, 3, 3, 5]


def test_what_is_shared_between_datasets_and_between_splits(card: Statistics) -> None:
    found = {(each.by, each.first, each.second): each.shared for each in card.shared}
    assert found == {
        ("dataset", "a", "b"): {"recordings": 1, "artists": 1, "files": 1},
        ("split", "test", "train"): {"recordings": 1, "artists": 0, "files": 0},
        ("split", "(none)", "train"): {"recordings": 0, "artists": 0, "files": 1},
    }


def test_quantiles() -> None:
    assert quantiles(np.arange(101)) == {"shortest": 0, "5 %": 5, "median": 50, "95 %": 95, "longest": 100}


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize(
    "tracks",
    [TRACKS, TRACKS[:1], [track("<script>alert(1)</script>", dataset="<script>", tags=["$x^", "_", "<script>"])]],
)
def test_the_page_is_well_formed_and_stands_alone(tracks: list[Track]) -> None:
    page = render(describe(tracks), "my <b>file</b>")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert page == render(describe(tracks), "my <b>file</b>")
    assert "<script" not in page
    assert "<b>file" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert page.count("<svg") >= 4


def test_the_command(tmp_path: Path) -> None:
    write_tracks(tmp_path / "unified.jsonl", TRACKS)
    done = unisono("describe", "unified.jsonl", "--html", "card.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5 tracks, 0.02 hours, 7 captions" in done.stdout
    assert re.search(r"dataset a +b +1 +1 +1", done.stdout)
    assert "What is shared" in (tmp_path / "card.html").read_text()


def test_an_empty_file_has_no_card(tmp_path: Path) -> None:
    from unisono.commands.describe import describe as run

    write_tracks(tmp_path / "unified.json", [])
    with pytest.raises(DataError, match="holds no tracks"):
        run(tmp_path / "unified.json")


def test_nothing_is_cut_in_a_narrow_terminal(tmp_path: Path) -> None:
    tracks = [
        make_track(
            id=f"d_{number}",
            audio_path=f"/{number}",
            caption="x",
            duration=1,
            dataset=("jamendo_max_caps", "song_describer")[number % 2],
            caption_origin=("human", "model", "tags")[number % 3],
        )
        for number in range(12)
    ]
    write_tracks(tmp_path / "unified.json", tracks)
    said = unisono("describe", tmp_path / "unified.json", env={**os.environ, "COLUMNS": "80"}).stdout
    assert " ".join(said.split()).count("human 33%, ") == 3, said
