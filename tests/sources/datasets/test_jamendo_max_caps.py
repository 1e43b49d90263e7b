import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.making import make_track
from tests.releases import jamendo_max_caps as release
from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.sources.datasets.jamendo_max_caps import DATASET
from unisono.tracks.track import Track

parse = DATASET.records


def read(root: Path) -> dict[str, Track | Dropped]:
    return {item.id: item for item in parse(root)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    keys = ("id", "caption", "start_time", "end_time")
    release.write_jsonl(
        tmp_path / "final_caption30sec.jsonl", [dict(zip(keys, row, strict=True)) for row in release.CAPTIONS]
    )
    for name, rows in release.METADATA.items():
        release.write_jsonl(tmp_path / name, rows)
    return tmp_path


def test_an_excerpt_with_all_its_captions(root: Path) -> None:
    assert read(root)["jamendo_max_caps_1001_0-30"] == make_track(
        id="jamendo_max_caps_1001_0-30",
        audio_path="1001.mp3",
        caption="An energetic electronic track with synthesizers",
        alt_captions=["Driving synthesizer arpeggios over a four-on-the-floor beat"],
        duration=30,
        dataset="jamendo_max_caps",
        artist="Robo",
        title="Drop",
        genre="Electronic",
        tags=["synthesizer", "energetic", "fast", "instrumental"],
        license="http://creativecommons.org/licenses/by-sa/2.0/fr/",
        start=0,
        recording="jamendo:1001",
        artist_id="jamendo-artist:301001",
        caption_origin="model",
        attribution="Drop by Robo (Jamendo)",
        url="https://www.jamendo.com/track/1001",
    )


def test_the_end_is_clamped_and_what_is_left_may_be_too_short(root: Path) -> None:
    items = read(root)
    last, solo = items["jamendo_max_caps_1001_60-90"], items["jamendo_max_caps_1003_0-30"]
    assert isinstance(last, Track) and isinstance(solo, Track)
    assert (last.start, last.duration) == (60, 5)
    assert DATASET.is_excerpt(last) and DATASET.is_excerpt(solo)
    assert solo.duration == 20
    short = items["jamendo_max_caps_1002_30-60"]
    assert short == Dropped(short.id, "excerpt shorter than 5 s", "from 30 s of 32 s", fault=False)


def test_captions_without_metadata_and_metadata_without_captions(root: Path) -> None:
    items = read(root)
    lone = items["jamendo_max_caps_1005_0-12"]
    assert isinstance(lone, Track)
    assert (lone.license, lone.artist, lone.recording, lone.duration) == ("", "", "jamendo:1005", 12)
    assert items["jamendo_max_caps_1008"] == Dropped("jamendo_max_caps_1008", "no caption", "upstream has none", False)


def test_entities_are_letters(root: Path) -> None:
    track = read(root)["jamendo_max_caps_1004_0-30"]
    assert isinstance(track, Track) and track.title == "Titles & Themes"


def test_the_order_of_rows_does_not_matter(root: Path) -> None:
    items = read(root)
    for path in root.glob("*.jsonl"):
        path.write_text("\n".join(reversed(path.read_text().splitlines())))
    assert read(root) == items


def test_the_captions_alone_are_enough(root: Path) -> None:
    (root / "2008-01-01.jsonl").unlink()
    (root / "2021-03-27.jsonl").unlink()
    assert len([item for item in read(root).values() if isinstance(item, Track)]) == 10


def test_captions_may_lie_in_data(root: Path) -> None:
    (root / "data").mkdir()
    shutil.move(root / "final_caption30sec.jsonl", root / "data")
    assert "jamendo_max_caps_1001_0-30" in read(root)


def test_the_simpler_export(tmp_path: Path) -> None:
    release.build_export(tmp_path)
    items = read(tmp_path)
    assert sorted(items) == sorted(release.EXPORT_GOOD)
    track = items["jamendo_max_caps_2003"]
    assert track == make_track(
        id="jamendo_max_caps_2003",
        audio_path="audio/2003.mp3",
        caption="A slow song with flute and harp",
        duration=6,
        dataset="jamendo_max_caps",
        artist="Artist 2003",
        title="Title 2003",
        tags=["flute", "harp"],
        license="CC BY-SA 3.0",
        recording="jamendo:2003",
        split="val",
        caption_origin="model",
    )
    for item in items.values():
        assert isinstance(item, Track) and not DATASET.is_excerpt(item)
        assert (tmp_path / item.audio_path).exists()


def test_faults_of_the_simpler_export(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    path = tmp_path / "metadata" / "train.json"
    path.write_text(
        json.dumps([{"caption": "no id"}, {"id": 7, "caption": None, "tags": "piano, sad", "duration": "6.5"}])
    )
    first, second = parse(tmp_path)
    assert isinstance(first, Dropped) and first.id == "metadata/train.json: item 1"
    assert isinstance(second, Track)
    assert (second.captions, second.tags, second.duration) == ((), ["piano", "sad"], 6.5)
    path.write_text('[{"id": 3},\n{"id"}]')
    with pytest.raises(DataError, match=r"train\.json: line 2, column 6: not valid JSON"):
        list(parse(tmp_path))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "abc", "caption": "x", "start_time": 0, "end_time": 30}, "malformed row"),
        ({"id": "5", "caption": "x", "start_time": 30, "end_time": 0}, "malformed row"),
        ({"id": "5", "caption": "x", "start_time": -1, "end_time": 30}, "malformed row"),
        ({"id": "5", "caption": "x", "start_time": "soon", "end_time": 30}, "malformed row"),
        ({"id": "5", "caption": "x", "start_time": 0}, "malformed row"),
        ({"id": "5", "caption": " ", "start_time": 0, "end_time": 30}, "empty caption"),
        ({"id": "5", "caption": None, "start_time": 0, "end_time": 30}, "empty caption"),
        ({"id": 5.0, "caption": "x", "start_time": "0", "end_time": "30.0"}, ""),
        ({"id": 5, "caption": "x", "start_time": 0, "end_time": 30}, ""),
    ],
)
def test_a_bad_row_is_dropped_with_its_line(tmp_path: Path, row: dict, reason: str) -> None:
    release.write_jsonl(tmp_path / "final_caption30sec.jsonl", [row])
    (item,) = parse(tmp_path)
    if reason:
        assert isinstance(item, Dropped)
        assert (item.id, item.reason) == ("final_caption30sec.jsonl:1", reason)
    else:
        assert isinstance(item, Track) and item.id == "jamendo_max_caps_5_0-30"


values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 400), st.floats(), st.text(max_size=10), st.sampled_from(["1", "2", 1, 2]),
    st.lists(st.text(max_size=5), max_size=2), st.just({"tags": {"genres": ["rock"], "vartags": ["sad"]}}),
)  # fmt: skip
captions = st.lists(
    st.fixed_dictionaries({"id": values, "caption": values, "start_time": values, "end_time": values}), max_size=6
)
metadata = st.lists(
    st.dictionaries(
        st.sampled_from(["id", "name", "duration", "artist_id", "artist_name", "license_ccurl", "musicinfo"]), values
    ),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(captions, metadata)
def test_hostile_rows_are_read_or_dropped(tmp_path: Path, captions: list[dict], metadata: list[dict]) -> None:
    release.write_jsonl(tmp_path / "final_caption30sec.jsonl", captions)
    release.write_jsonl(tmp_path / "2008-01-01.jsonl", metadata)
    items = list(parse(tmp_path))
    assert len({item.id for item in items}) == len(items)
    for item in items:
        if isinstance(item, Track):
            assert 5 <= item.duration < float("inf") and 0 <= item.start < float("inf")
            assert all(text.strip() for text in item.texts)


def test_real_metadata(shared_data: Path, tmp_path: Path) -> None:
    name = "2021-03-27.jsonl"
    shutil.copyfile(shared_data / "jamendo_max_caps" / name, tmp_path / name)
    rows = [json.loads(line) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
    release.write_jsonl(
        tmp_path / "final_caption30sec.jsonl",
        [
            {"id": row["id"], "caption": f"Part {part}", "start_time": 30.0 * part, "end_time": 30.0 * part + 30}
            for row in rows
            for part in range(3)
        ],
    )
    items = list(parse(tmp_path))
    tracks = [item for item in items if isinstance(item, Track)]
    assert len({track.recording for track in tracks}) == 120
    assert Counter(isinstance(item, Track) for item in items)[True] >= 355
    assert all(track.artist and track.title and track.license and track.artist_id for track in tracks)
    assert sum(bool(track.tags) for track in tracks) > 300
    names = {track.artist.casefold() for track in tracks}
    assert not [tag for track in tracks for tag in track.tags if tag.casefold() in names]
