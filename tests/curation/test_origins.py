"""The origin of each caption counts in every stage, not only that of the primary caption."""

from pathlib import Path

import pytest

from tests.curation.listed import merge_duplicates
from tests.making import make_track, origins
from unisono.curation.collection import Tracks, write_tracks
from unisono.curation.dedupe import dedupe
from unisono.curation.statistics import describe
from unisono.curation.unify_report import summarise
from unisono.tracks.track import Caption, Track

MIXED = Track(
    id="m_1",
    audio_path="/m.mp3",
    duration=5.0,
    captions=(Caption("A slow waltz", "human"), Caption("A Waltz track", "tags"), Caption("Waltz", "tags")),
    dataset="m",
    recording="r:1",
)


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.parquet"])
def test_describe_counts_as_unify_does(tmp_path: Path, name: str) -> None:
    write_tracks([MIXED], tmp_path / name)
    assert dict(describe(tmp_path / name).all.origins) == {"tags": 2, "human": 1}
    assert summarise([MIXED], ["m"])["m"].captions == {"tags": 2, "human": 1}


def test_the_primary_caption_after_merging_is_the_most_trusted_one_with_its_own_origin(tmp_path: Path) -> None:
    by_model = make_track(
        id="a_1", audio_path="/a.mp3", duration=9.0, caption="Made up", caption_origin="model", recording="r:1"
    )
    hidden = Track(  # a human caption behind one of a model
        id="b_1",
        audio_path="/b.mp3",
        duration=7.0,
        captions=(Caption("Also made up", "model"), Caption("Heard by a person", "human"), Caption("Unsaid")),
        recording="r:1",
    )
    [merged], _ = merge_duplicates([by_model, hidden, MIXED])
    assert merged.audio_path == "/a.mp3"
    assert list(zip(merged.texts, origins(merged), strict=True)) == [
        ("A slow waltz", "human"),
        ("Heard by a person", "human"),
        ("Made up", "model"),
        ("Also made up", "model"),
        ("A Waltz track", "tags"),
        ("Waltz", "tags"),
        ("Unsaid", None),
    ]
    write_tracks([by_model, hidden, MIXED], tmp_path / "x.json")
    report = dedupe(tmp_path / "x.json", output=tmp_path / "y.json")
    assert report.tracks == Tracks([merged]) and report.came == 3


def test_a_text_of_two_origins_keeps_the_more_trusted_one() -> None:
    same = make_track(
        id="a_1", audio_path="/a.mp3", duration=9.0, caption="A slow waltz", caption_origin="model", recording="r:1"
    )
    [merged], _ = merge_duplicates([same, MIXED])
    assert merged.captions[0] == Caption("A slow waltz", "human") and len(merged.captions) == 3
