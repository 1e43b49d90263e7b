from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.making import make_track
from tests.releases import fma as release
from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.captions.ways.template import caption
from unisono.sources.datasets.fma import DATASET, SHORT_CLIPS_S
from unisono.tracks.track import Track

parse = DATASET.records


def read(root: Path) -> dict[str, Track | Dropped]:
    return {item.id: item for item in parse(root)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    release.write_metadata(tmp_path / "fma_metadata")
    return tmp_path


def test_a_track(root: Path) -> None:
    assert read(root)["fma_10"] == make_track(
        id="fma_10",
        audio_path="000/000010.mp3",
        caption="",
        duration=30,
        dataset="fma",
        artist="Kurt Vile",
        title="Food",
        genre="Pop",
        tags=["electric guitar"],
        license="Attribution-Noncommercial-No Derivative Works 2.0 UK: England & Wales",
        recording="fma:10",
        artist_id="fma-artist:6",
        split="test",
        attribution="Food by Kurt Vile (Free Music Archive)",
    )


def test_a_genre_that_is_missing_is_the_root_of_the_first(root: Path) -> None:
    track = read(root)["fma_20"]
    assert isinstance(track, Track)
    assert track.genre == "Pop"
    assert track.tags == ["Experimental Pop", "Singer-Songwriter", "tabla"]
    assert caption(track.genre, track.tags) == (
        "A Pop track with Experimental Pop and Singer-Songwriter elements, featuring tabla"
    )


def test_a_track_without_any_genre_or_tag_says_nothing(root: Path) -> None:
    track = read(root)["fma_155320"]
    assert isinstance(track, Track)
    assert caption(track.genre, track.tags) == ""


def test_the_artist_is_never_a_tag(root: Path) -> None:
    for track in read(root).values():
        assert isinstance(track, Track)
        assert not {tag.casefold() for tag in track.tags} & {
            "awol",
            "kurt vile",
            "nicky",
            "cook",
            "nicky cook",
            "zzzone",
        }


@pytest.mark.parametrize(
    ("folders", "subsets"),
    [
        ((), {"small", "medium", "large"}),
        (("fma_small",), {"small"}),
        (("fma_small", "fma_medium"), {"small", "medium"}),
        (("fma_large",), {"small", "medium", "large"}),
        (("fma_small", "fma_full"), {"small", "medium", "large"}),
    ],
)
def test_the_subset_on_disk_is_read(root: Path, folders: tuple[str, ...], subsets: set[str]) -> None:
    for folder in folders:
        (root / folder).mkdir()
    items = read(root)
    for number, row in release.ROWS.items():
        item = items[f"fma_{number}"]
        if row["set", "subset"] in subsets:
            assert isinstance(item, Track)
        else:
            assert isinstance(item, Dropped) and not item.fault


def test_documented_durations(root: Path) -> None:
    def duration(track_id: str) -> float:
        track = read(root)[track_id]
        assert isinstance(track, Track)
        return track.duration

    assert duration("fma_2") == 30
    assert duration("fma_98565") == 1.6  # known to be short, though the csv says 1832
    assert duration("fma_99134") == 0  # known to hold nothing
    (root / "fma_full").mkdir()
    assert duration("fma_2") == 168


def test_metadata_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    release.write_metadata(tmp_path)
    assert len(read(tmp_path)) == len(release.ROWS)


def test_a_bad_row_is_dropped_with_its_line(tmp_path: Path) -> None:
    rows = {2: release.row(), 3: release.row(track__genres="[21"), 4: release.row(track__tags="lafms")}
    release.write_metadata(tmp_path / "fma_metadata", rows)
    path = tmp_path / "fma_metadata" / "tracks.csv"
    path.write_text(path.read_text().replace("\n2,", "\ntwo,"))
    items = list(parse(tmp_path))
    assert all(isinstance(item, Dropped) for item in items)
    lines = path.read_text().splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line.startswith(("two,", "3,", "4,"))]
    assert [item.id for item in items] == [f"fma_metadata/tracks.csv:{number}" for number in starts]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.split("\n", 2)[2], "line 3: the column 'track_id' is missing"),
        (lambda text: text.replace("license", "licence"), "line 3: the column 'track.license' is missing"),
        (lambda text: "", "expected 3 header rows"),
    ],
)
def test_a_malformed_table_is_refused(root: Path, change, message: str) -> None:
    path = root / "fma_metadata" / "tracks.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        read(root)


def test_missing_genres_are_said(root: Path) -> None:
    (root / "fma_metadata" / "genres.csv").unlink()
    with pytest.raises(DataError, match=r"genres\.csv is missing"):
        read(root)


hostile = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=30),  # which csv does not quote
    st.sampled_from(
        ["[]", "['x']", "[21]", "nan", "", "['a\\'b']", "[[[", "1e400", "-1", "<p>\n\"'</p>", "__import__('os')"]
    ),
)
columns = [("track", name) for name in ("genres", "tags", "title", "duration", "license", "genre_top")]
columns += [("artist", "tags"), ("artist", "name"), ("artist", "id"), ("set", "split")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(st.sampled_from(columns), hostile), min_size=1, max_size=4))
def test_hostile_rows_are_read_or_dropped_and_none_is_lost(tmp_path: Path, rows: list[dict]) -> None:
    release.write_metadata(tmp_path / "fma_metadata", {n: {**release.row(), **row} for n, row in enumerate(rows, 10)})
    items = list(parse(tmp_path))
    assert len(items) == len(rows)
    for item in items:
        if isinstance(item, Track):
            assert item.artist not in item.tags or not item.artist
            assert 0 <= item.duration <= 30
            caption(item.genre, item.tags)
        else:
            assert item.id.startswith("fma_metadata/tracks.csv:")


def test_the_real_slice(shared_data: Path) -> None:
    source = shared_data / "fma"
    items = list(parse(source))
    assert Counter(isinstance(item, Track) for item in items) == {True: 33, False: 367}  # it holds fma_small only
    assert {item.reason for item in items if isinstance(item, Dropped)} == {"not in the subset on disk"}


def test_the_real_slice_without_audio(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "fma_metadata").symlink_to(shared_data / "fma" / "fma_metadata")
    tracks = [item for item in parse(tmp_path) if isinstance(item, Track)]
    assert len(tracks) == 400
    assert Counter(track.split for track in tracks) == {"train": 369, "test": 16, "val": 15}
    # 44 rows have no genre_top; only one of them has no genre at all
    assert sum(not track.genre for track in tracks) == 1
    assert {track.duration for track in tracks} == {15.0, *[30.0]} | {
        track.duration for track in tracks if track.duration < 30
    }
    texts = [caption(track.genre, track.tags) for track in tracks]
    assert texts.count("") <= 1
    for track in tracks:
        words = track.artist.casefold().split()
        assert not any(tag.casefold().split() == words for tag in track.tags)


def test_known_short_clips_are_upstreams(shared_data: Path) -> None:
    lines = (shared_data / "fma" / "known_short_clips.csv").read_text().split()[1:]
    assert {int(line.split(",")[1]): float(line.split(",")[2]) for line in lines} == SHORT_CLIPS_S
