"""Collections of tracks: what is read, filtered, sampled and split is what was asked for, and misuse is said in words."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.making import make_track
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.extras import MissingExtraError
from unisono.base.tally import Dropped, Tally
from unisono.curation.collection import Tracks, as_tracks, read_tracks, write_tracks
from unisono.curation.licensing import OPEN
from unisono.tracks.track import Caption, Track


def track(number: int, **fields: Any) -> Track:
    given = {"dataset": "a" if number % 3 else "b", "duration": 10.0 * number, "recording": f"r:{number}"}
    return make_track(
        **{"id": f"t_{number}", "audio_path": f"/{number}.mp3", "caption": f"About {number}"} | given | fields
    )


MANY = Tracks(track(number) for number in range(1, 101))


def test_it_is_a_sequence() -> None:
    assert len(MANY) == 100 and MANY[0].id == "t_1" and MANY[-1].id == "t_100"
    assert isinstance(MANY[:3], Tracks) and [each.id for each in MANY[:3]] == ["t_1", "t_2", "t_3"]
    assert MANY[:50] + MANY[50:] == MANY and MANY[:50] != MANY
    assert MANY[5] in MANY and track(500) not in MANY
    assert Tracks(list(MANY)) == MANY and list(MANY) != MANY
    assert hash(MANY) == hash(Tracks(list(MANY)))


def test_filter_and_sample() -> None:
    assert [each.id for each in MANY.filter(lambda each: each.duration > 980)] == ["t_99", "t_100"]
    few, more = MANY.sample(10), MANY.sample(20)
    assert len(few) == 10 and {each.id for each in few} < {each.id for each in more}
    assert MANY.sample(10, seed=1) != few == Tracks(reversed(MANY)).sample(10)[::-1]
    assert len(MANY.sample(1000)) == 100
    assert Counter(each.dataset for each in MANY.sample(20, stratify_by="dataset")) == {"a": 10, "b": 10}


def test_split_honours_what_tracks_bring_and_keeps_groups_together() -> None:
    brought = [track(1, split="test"), track(2, recording="r:1"), track(3, split="val")]
    parts = Tracks([*brought, *MANY[3:]]).split()
    assert sum(map(len, parts)) == 100
    assert {"t_1", "t_2"} <= {each.id for each in parts.test} and "t_3" in {each.id for each in parts.val}
    assert all(each.split == name for name, part in parts._asdict().items() for each in part)
    drawn = MANY.split(by="seed", seed=3)
    assert [len(part) for part in drawn] == [80, 10, 10]
    assert drawn.train is drawn[0] and drawn != MANY.split(by="seed", seed=4)


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.parquet"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    assert write_tracks(MANY, tmp_path / name) == 100
    assert read_tracks(tmp_path / name) == read_tracks(str(tmp_path / name)) == MANY
    content = (tmp_path / name).read_bytes()
    assert write_tracks((each for each in MANY), str(tmp_path / name)) == 100
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    ("tracks", "error", "said"),
    [
        ([track(1), {"id": "x"}], UsageError, "as item 2"),
        ([track(1), track(2), track(1)], DataError, "Tracks 1 and 3 have the same id 't_1';"),
        ([track(1, caption="")], DataError, "'t_1' has no caption"),
        ([track(1, audio_path="songs/1.mp3")], DataError, "audio_path must be absolute, found 'songs/1.mp3'"),
        ([track(1, duration=0)], DataError, "duration must be above 0"),
        (3, UsageError, "Expected tracks, found 3"),
        ("out.json", UsageError, "the tracks first"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is_left(
    tmp_path: Path, tracks: Any, error: type[UnisonoError], said: str
) -> None:
    with pytest.raises(error, match=said):
        write_tracks(tracks, tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_misuse_is_said_in_words(tmp_path: Path) -> None:
    for call, said in (
        (lambda: write_tracks(MANY, tmp_path / "x.csv"), "ends in .json, .jsonl or .parquet"),
        (lambda: write_tracks(MANY, 3), "Expected a path, found 3"),  # type: ignore[arg-type]
        (lambda: read_tracks(tmp_path / "none.json"), "There is no file"),
        (lambda: Tracks(["a"]), "as item 1"),  # type: ignore[list-item]
        (lambda: Tracks("abc"), "Expected tracks, found 'abc'"),  # type: ignore[arg-type]
        (lambda: MANY.sample(0), "n must be at least 1, found 0"),
        (lambda: MANY.sample("ten"), "n must be a whole number, found 'ten'"),  # type: ignore[arg-type]
        (lambda: MANY.sample(5, stratify_by="mood"), "one of 'dataset', 'duration'"),  # type: ignore[arg-type]
        (lambda: MANY.split(by="artist"), "one of 'upstream', 'seed'"),  # type: ignore[arg-type]
        (lambda: MANY.filter("a"), "filter expects a function"),  # type: ignore[arg-type]
        (lambda: (MANY + MANY).sample(3), "Tracks 1 and 101 have the same id"),
    ):
        with pytest.raises(UnisonoError, match=said):
            call()


def test_it_shows_itself() -> None:
    said = repr(MANY)
    assert said.startswith("100 tracks, 14.03 hours; 67 a, 33 b\n")
    assert "About 5" in said and "About 6" not in said
    tally = Tally()
    tally.drop("a", Dropped(id="x", reason="no caption"))
    assert repr(Tracks(MANY, dropped=tally)).endswith("dropped: 1 no caption")
    assert repr(Tracks()).startswith("0 tracks")
    assert "<td" in MANY._repr_html_() and "&lt;b&gt;" in Tracks([track(1, caption="<b>")])._repr_html_()


def test_describe_counts_origins_one_by_one() -> None:
    mixed = track(1).__class__(
        id="m",
        audio_path="/m",
        duration=1.0,
        captions=(Caption("By a person", "human"), Caption("A", "tags"), Caption("B", "tags"), Caption("C")),
    )
    assert dict(Tracks([mixed]).describe().all.origins) == {"tags": 2, "human": 1, "unknown": 1}
    assert Tracks().describe().all.tracks == 0 and repr(Tracks().describe()).startswith("0 tracks")


def test_to_pandas() -> None:
    pytest.importorskip("pandas")
    frame = Tracks([track(1, alt_captions=["Two"], caption_origin="human", extra={"mood": "x"}), track(2)]).to_pandas()
    assert frame["id"].tolist() == ["t_1", "t_2"]
    assert frame["caption"].tolist() == ["About 1", "About 2"]
    assert frame["alt_captions"].tolist() == [["Two"], []]
    assert frame["caption_origins"].tolist() == [["human", "human"], [None]]
    assert frame["mood"].isna().tolist() == [False, True] and frame["mood"][0] == "x"


def test_pandas_is_asked_for_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError) as error:
        MANY.to_pandas()
    assert "pandas" in error.value.hint


def test_open_licences() -> None:
    allowed = ("CC-BY-4.0", "CC-BY-SA-2.0-FR", "CC0-1.0", "public-domain", "LAL-1.3")
    refused = ("CC-BY-NC-4.0", "CC-BY-ND-3.0", "unknown", "all-rights-reserved", "", None, 4)
    assert all(license in OPEN for license in allowed)
    assert not any(license in OPEN for license in refused)


def test_functions_take_tracks_or_a_path(tmp_path: Path) -> None:
    write_tracks(MANY, tmp_path / "x.json")
    assert as_tracks(MANY) is MANY
    assert as_tracks(tmp_path / "x.json") == as_tracks(str(tmp_path / "x.json")) == as_tracks(iter(MANY)) == MANY
