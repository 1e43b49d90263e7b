import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.making import make_track
from tests.releases import song_describer as release
from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.sources.datasets.song_describer import DATASET
from unisono.tracks.track import Track

parse = DATASET.records


def read(root: Path, **options: bool) -> dict[str, Track | Dropped]:
    return {item.id: item for item in parse(root, options)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    release.write_csv(tmp_path / "song_describer.csv")
    release.write_side_files(tmp_path)
    return tmp_path


def test_a_song_with_all_its_captions(root: Path) -> None:
    assert read(root)["song_describer_1009671"] == make_track(
        id="song_describer_1009671",
        audio_path="71/1009671.2min.mp3",
        caption="Uplifting English rock  and roll song with a positive feeling.",
        alt_captions=[
            'A rock song with a "country" vibe,\nmale vocals and acoustic guitar',
            "A classic chord progression, used playfully",
        ],
        duration=120,
        dataset="song_describer",
        artist="The Country Vibe",
        title="Positive Feeling",
        tags=["Rock", "Rock and Roll", "positive"],
        license="Available under a Creative Commons license: http://creativecommons.org/licenses/by-nc-sa/3.0/",
        recording="jamendo:1009671",
        artist_id="jamendo-artist:7063",
        caption_origin="human",
        attribution="Positive Feeling by The Country Vibe from Jamendo: http://www.jamendo.com/track/1009671",
        url="http://www.jamendo.com/track/1009671",
        extra={"caption_valid": [True, None, False]},
    )


def test_only_validated_captions(root: Path) -> None:
    items = read(root, valid_only=True)
    song = items["song_describer_1009671"]
    assert isinstance(song, Track)
    assert (song.texts, song.extra) == ([song.caption], {"caption_valid": [True]})
    left_out = [item for item in items.values() if isinstance(item, Dropped)]
    assert {item.id for item in left_out} == {"song_describer_24837", "song_describer_3453"}
    assert {item.fault for item in left_out} == {False}


def test_the_order_of_rows_does_not_matter(root: Path) -> None:
    items = list(parse(root))
    header, *rows = (root / "song_describer.csv").read_text().replace("vibe,\n", "vibe, ").splitlines()
    (root / "song_describer.csv").write_text("\n".join([header, *reversed(rows)]))
    for item, other in zip(items, parse(root), strict=True):
        assert isinstance(item, Track) and isinstance(other, Track)
        assert [text.replace("\n", " ") for text in item.texts] == other.texts


def test_short_songs_are_as_long_as_they_are(root: Path) -> None:
    song = read(root)["song_describer_226"]
    assert isinstance(song, Track)
    assert song.duration == 44.5


def test_title_and_artist(root: Path) -> None:
    def names(number: int) -> tuple[str, str]:
        song = read(root)[f"song_describer_{number}"]
        assert isinstance(song, Track)
        return song.title, song.artist

    # audio_metadata.tsv counts; without it the licence line does, unless " by " occurs in it twice
    assert names(24837) == ("Stand by Me by Bill", "Bob")
    (root / "audio_metadata.tsv").unlink()
    assert names(24837) == ("", "")
    assert names(1004034) == ("Casual", "Ünïted")


def test_the_csv_alone_is_enough(root: Path) -> None:
    for path in [*root.glob("*.t??")]:
        path.unlink()
    song = read(root)["song_describer_226"]
    assert isinstance(song, Track)
    assert (song.license, song.tags, song.artist) == ("", [], "")


def test_other_names_of_the_excerpt(root: Path) -> None:
    song = read(root)["song_describer_226"]
    assert DATASET.audio_names is not None and isinstance(song, Track)
    assert list(DATASET.audio_names(song)) == ["26/226.mp3", "226.2min.mp3", "226.mp3"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_plain_variant(tmp_path: Path, wrapped: bool) -> None:
    release.build_json(tmp_path, wrapped=wrapped)
    items = read(tmp_path)
    assert sorted(items) == sorted(release.JSON_GOOD)
    first, second, third = (items[track_id] for track_id in release.JSON_GOOD)
    assert isinstance(first, Track) and isinstance(second, Track) and isinstance(third, Track)
    assert first.texts == ["A calm flute", "Somebody plays a flute"]
    assert (first.audio_path, first.duration, first.recording) == ("audio/one.mp3", 3.0, "")
    assert (second.texts, second.audio_path, second.recording) == (["Fast metal"], "audio/226.mp3", "jamendo:226")
    assert (third.audio_path, third.recording) == ("audio/-0Gj8_vB1q4.mp3", "youtube:-0Gj8_vB1q4")


def test_faults_of_the_plain_variant(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps([{"caption": "no id"}, {"id": "a", "caption": 3}, {"id": 7, "caption": "good"}]))
    assert [(item.id, getattr(item, "reason", "")) for item in parse(tmp_path)] == [
        ("metadata.json: item 1", "no id"),
        ("metadata.json: item 2", "malformed row"),
        ("song_describer_7", ""),
    ]
    path.write_text('[{"id": "a"},\n{')
    with pytest.raises(DataError, match="line 2, column 2: not valid JSON"):
        list(parse(tmp_path))


def test_bad_rows_are_dropped_with_their_line(root: Path) -> None:
    with (root / "song_describer.csv").open("a", newline="") as file:
        csv.writer(file).writerows(
            [
                [1, "x7", "A caption", "True", 1, 1, 1, "07/7.mp3", 3],
                [2, 7, "  ", "True", 1, 1, 1, "07/7.mp3", 3],
                [3, 8, "A caption", "maybe", 1, 1, 1, "08/8.mp3", 3],
                [4, "9.0", "A caption", "", 1, "", 1, "09/9.mp3", "nan"],
            ]
        )
    items = read(root)
    reasons = Counter(item.reason for item in items.values() if isinstance(item, Dropped))
    assert reasons == {"malformed row": 2, "empty caption": 1}
    assert {item.id for item in items.values() if isinstance(item, Dropped)} == {
        f"song_describer.csv:{number}" for number in (14, 15, 16)
    }
    nine = items["song_describer_9"]
    assert isinstance(nine, Track)
    assert (nine.duration, nine.artist_id) == (0, "")


def test_a_missing_column_is_named(root: Path) -> None:
    path = root / "song_describer.csv"
    path.write_text(path.read_text().replace("caption,is_valid", "text,is_valid"))
    with pytest.raises(DataError, match="line 1: the column 'caption' is missing"):
        list(parse(root))


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
rows = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "2.0", "x", "", "-4"]),
        text,
        st.sampled_from(["True", "False", "", "TRUE", "?"]),
        st.sampled_from(["10", "nan", "", "1e999", "-5"]),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows, st.booleans())
def test_hostile_rows_are_read_or_dropped(tmp_path: Path, rows: list[tuple[str, ...]], valid_only: bool) -> None:
    with (tmp_path / "song_describer.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["duration", "is_valid_subset", "extra", "caption", "track_id"])
        writer.writerows([length, valid, "", text, track_id] for track_id, text, valid, length in rows)
    items = list(parse(tmp_path, {"valid_only": valid_only}))
    songs = [item for item in items if isinstance(item, Track)]
    readable = [
        (int(float(track_id)), text.strip(), valid.lower())
        for track_id, text, valid, _ in rows
        if track_id in ("1", "2", "2.0") and text.strip() and valid != "?"
    ]
    expected = {(number, text) for number, text, valid in readable if not valid_only or valid == "true"}
    assert {(int(song.id.rpartition("_")[2]), text) for song in songs for text in song.texts} == expected
    for song in songs:
        assert 0 <= song.duration <= 120
        assert len(song.extra["caption_valid"]) == len(song.texts)


def test_the_real_release(shared_data: Path, tmp_path: Path) -> None:
    for path in (shared_data / "song_describer").iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    songs = [item for item in parse(tmp_path) if isinstance(item, Track)]
    assert len(songs) == DATASET.tracks == 706
    assert sum(len(song.texts) for song in songs) == DATASET.captions["human"] == 1106
    valid = Counter(valid for song in songs for valid in song.extra["caption_valid"])
    assert valid == {True: 746, None: 332, False: 28}
    assert Counter(len(song.texts) for song in songs) == {1: 476, 2: 127, 3: 57, 4: 25, 5: 21}
    assert len({song.artist_id for song in songs}) == 191
    assert sum(song.duration < 120 for song in songs) == 44
    assert all(song.license and song.attribution and song.url for song in songs)
    assert sum(not song.artist for song in songs) < 12
    strict = list(parse(tmp_path, {"valid_only": True}))
    kept = [item for item in strict if isinstance(item, Track)]
    assert (len(kept), sum(len(song.texts) for song in kept), len(strict)) == (547, 746, 706)
