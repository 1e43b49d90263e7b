"""Duplicates become one record: nothing that was said about the music is lost, and every choice is listed."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.listed import merge_duplicates
from tests.making import make_track, origins
from unisono.cli import main
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track


def track(name: str, **fields) -> Track:
    return make_track(
        **{"id": name, "audio_path": f"/{name}.mp3", "caption": f"About {name}", "duration": 1.0} | fields
    )


def test_captions_are_merged_with_their_origins_and_the_best_audio_is_kept(tmp_path: Path) -> None:
    (tmp_path / "small.mp3").write_bytes(bytes(10))
    (tmp_path / "large.mp3").write_bytes(bytes(20))
    tracks = [
        track("x", recording="jamendo:9"),
        track("tags", recording="jamendo:1", caption_origin="tags", duration=200.2, audio_path=str(tmp_path / "small.mp3"),
              tags=["rock"], split="train"),
        track("human", recording="jamendo:1", caption_origin="human", duration=120, alt_captions=["Twice"], artist="A",
              tags=["rock", "loud"], split="test", license="CC-BY-3.0"),
        track("model", recording="jamendo:1", caption_origin="model", duration=200, audio_path=str(tmp_path / "large.mp3"),
              title="T", license="CC-BY-3.0"),
        track("excerpt", recording="jamendo:1", start=30.0),
    ]  # fmt: skip
    found, choices = merge_duplicates(tracks)
    kept = list(found)
    assert [item.id for item in kept] == ["x", "model", "excerpt"]
    merged = kept[1]
    assert merged.audio_path == str(tmp_path / "large.mp3")
    assert merged.texts == ["About human", "Twice", "About model", "About tags"]
    assert origins(merged) == ["human", "human", "model", "tags"]
    assert merged.extra["merged"] == ["human", "tags"]
    assert (merged.captions[0].origin, merged.artist, merged.title, merged.split) == ("human", "A", "T", "test")
    assert sorted(merged.tags) == ["loud", "rock"]
    assert [(choice.kept, choice.merged, choice.by) for choice in choices] == [
        ("model", ("human", "tags"), ("jamendo:1",))
    ]


def test_hashes_join_too_and_chains_are_followed() -> None:
    tracks = [
        track("a", recording="jamendo:1"),
        track("b", recording="jamendo:2"),
        track("c", sha256="FF", duration=9),
        track("d", recording="jamendo:3", sha256="ee"),
    ]
    kept = list(merge_duplicates(tracks, {"jamendo:1": ("aa",), "jamendo:2": ("aa", "ff")})[0])
    assert {item.id for item in kept} == {"c", "d"}


names = st.sampled_from(["", "r:1", "r:2", "r:3", "r:4"])


@given(
    st.lists(st.tuples(names, st.sampled_from(["", "s1", "s2"]), st.sampled_from([0.0, 30.0])), max_size=15),
    st.randoms(),
)
def test_no_caption_is_lost_nothing_stays_double_and_order_does_not_matter(rows, random) -> None:
    tracks = [
        track(f"t{n}", recording=recording, sha256=sha256, start=start)
        for n, (recording, sha256, start) in enumerate(rows)
    ]
    found, choices = merge_duplicates(tracks)
    kept = list(found)
    assert sorted(text for item in kept for text in item.texts) == sorted(item.caption for item in tracks)
    assert len(kept) + sum(len(choice.merged) for choice in choices) == len(tracks)
    for field in ("recording", "sha256"):
        seen = [(getattr(item, field), item.start) for item in kept if getattr(item, field)]
        if field == "recording":
            assert len(seen) == len(set(seen))
    again = list(merge_duplicates(random.sample(tracks, len(tracks)))[0])
    assert sorted(kept, key=lambda item: item.id) == sorted(again, key=lambda item: item.id)


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "unified.jsonl"
    write_tracks(path, [track("a", recording="r:1", duration=5), track("b", recording="r:1"), track("c")])
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(["dedupe", str(path)])
    assert not end.value.code
    assert "kept a (5 s" in said.getvalue() and "2 records left" in said.getvalue()
    assert [item.id for item in read_tracks(tmp_path / "unified.deduped.jsonl")] == ["a", "c"]
    report = json.loads((tmp_path / "unified.deduped.report.json").read_text())
    assert report["choices"][0]["merged"] == ["b"]
