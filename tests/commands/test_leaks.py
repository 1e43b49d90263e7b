"""Leaks are found by id, hash, artist and text; the real cases of Song Describer and MTG-Jamendo among them."""

import csv
import io
import json
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.listed import components, find_matches
from tests.making import make_track
from unisono.cli import main
from unisono.curation.matching import Kind, read_published
from unisono.curation.wording import words
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track


def track(name: str, **fields) -> Track:
    return make_track(**{"id": name, "audio_path": f"/{name}.mp3", "caption": "a", "duration": 1.0} | fields)


def leaks(*options: str | Path, code: int = 0) -> str:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(["leaks", *map(str, options)])
    assert (end.value.code or 0) == code, said.getvalue()
    return said.getvalue()


def found(first: list[Track], second: list[Track], *kinds: Kind, published=None) -> set[tuple[str, str, str]]:
    default: tuple[Kind, ...] = ("ids", "sha256", "artists", "text")
    matches = find_matches(first, second, kinds or default, published)
    return {(first[match.first].id, second[match.second].id, match.kind) for match in matches}


def test_each_kind_of_evidence() -> None:
    first = [
        track("a1", recording="jamendo:1"),
        track("a2", recording="youtube:abc@30"),
        track("a3", sha256="FF"),
        track("a4", recording="jamendo:4"),
        track("a5", artist_id="jamendo-artist:5"),
        track("a6", artist="Zoë & the Band", title="Été — No. 1"),
        track("a7", caption="A slow and calm piano piece with a soft voice"),
        track("a8", caption="An upbeat Electronic track featuring synthesizer", caption_origin="tags"),
        track("a9", audio_path="/shared.mp3"),
        track("same"),
        track("lonely", recording="jamendo:99", artist="x", title="y", caption="Nothing like it was ever heard before"),
    ]
    second = [
        track("b1", recording="jamendo:1"),
        track("b2", recording="youtube:abc@45"),
        track("b3", sha256="ff"),
        track("b4", recording="jamendo:44"),
        track("b5", artist_id="jamendo-artist:5"),
        track("b6", artist="zoe the band", title="ETE no 1"),
        track("b7", caption="a slow and calm piano piece, with a soft voice!"),
        track("b8", caption="An upbeat Electronic track featuring synthesizer"),
        track("b9", audio_path="/shared.mp3"),
        track("same", audio_path="/other.mp3"),
    ]
    published = {"jamendo:4": ("aa",), "jamendo:44": ("bb", "aa")}
    assert found(first, second, published=published) == {
        ("a1", "b1", "ids"),
        ("a2", "b2", "ids"),
        ("a3", "b3", "sha256"),
        ("a4", "b4", "sha256"),
        ("a5", "b5", "artists"),
        ("a7", "b7", "text"),
        ("a9", "b9", "ids"),
        ("same", "same", "ids"),
    } | ({("a6", "b6", "text")} if words("Zoë & the Band") == words("zoe the band") else set())


caption_words = st.lists(st.sampled_from([f"w{n}" for n in range(30)]), min_size=1, max_size=24)


@given(st.lists(caption_words, max_size=12), st.lists(caption_words, max_size=12))
def test_similar_captions_are_those_that_comparing_all_pairs_finds(left, right) -> None:
    first = [track(f"a{n}", caption=" ".join(caption)) for n, caption in enumerate(left)]
    second = [track(f"b{n}", caption=" ".join(caption)) for n, caption in enumerate(right)]
    expected = {
        f"a{n}"
        for n, a in enumerate(left)
        for b in right
        if len(a) >= 5 and len(b) >= 5 and len({*a} & {*b}) >= 0.9 * len({*a} | {*b})
    }
    assert {name for name, _, _ in found(first, second, "text")} == expected


def test_the_command_reports_removes_and_exits(tmp_path: Path) -> None:
    train, benchmark = tmp_path / "train.json", tmp_path / "benchmark.parquet"
    write_tracks(
        train,
        [
            track("a1", recording="jamendo:1"),
            track("a2", title="Song", artist="Band"),
            track("a3"),
            track("a4", recording="jamendo:1", split="test"),
        ],
    )
    write_tracks(benchmark, [track("b1", recording="jamendo:1"), track("b2", title="song", artist="band")])
    said = leaks(train, benchmark, "--report", tmp_path / "report.json", code=1)
    assert "2 of the 3 records" in said and "jamendo:1" in said and "--remove" in said
    report = json.loads((tmp_path / "report.json").read_text())["matches"]
    assert {(row["first"], row["certain"]) for row in report} == {("a1", True), ("a2", False)}
    said = leaks(train, benchmark, "--remove")
    assert [item.id for item in read_tracks(tmp_path / "train.clean.json")] == ["a2", "a3", "a4"]
    assert "1 more match by text alone" in " ".join(said.split())
    leaks(train, benchmark, "--remove", "--match", "ids", "text", "--output", tmp_path / "out.jsonl", "--all-splits")
    assert [item.id for item in read_tracks(tmp_path / "out.jsonl")] == ["a3"]
    assert "No leaks" in leaks(tmp_path / "out.jsonl", benchmark)
    leaks(train, tmp_path / "none.json", code=2)


def mtg(path: Path) -> list[Track]:
    """Read a table of MTG-Jamendo."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        track(
            f"mtg_jamendo_{int(cells[0].removeprefix('track_'))}",
            recording=f"jamendo:{int(cells[0].removeprefix('track_'))}",
            artist_id=f"jamendo-artist:{int(cells[1].removeprefix('artist_'))}",
        )
        for cells in (line.split("\t") for line in lines[1:])
    ]


@pytest.fixture(scope="module")
def described(shared_data: Path) -> list[Track]:
    with (shared_data / "song_describer/song_describer.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["track_id"]: row for row in csv.DictReader(file)}
    return [
        track(f"song_describer_{name}", recording=f"jamendo:{name}", artist_id=f"jamendo-artist:{row['artist_id']}")
        for name, row in rows.items()
    ]


def published(shared_data: Path) -> dict[str, tuple[str, ...]]:
    return read_published(sorted((shared_data / "mtg_jamendo/download").glob("*_audio*_sha256_tracks.txt")))


def test_only_published_hashes_find_the_leak_of_split_0(shared_data: Path, described: list[Track]) -> None:
    train = mtg(shared_data / "mtg_jamendo/splits/split-0/autotagging_moodtheme-train.tsv")
    assert found(train, described, "ids", "artists") == set()
    assert found(train, described, published=published(shared_data)) == {
        ("mtg_jamendo_17155", "song_describer_24837", "sha256")
    }


@pytest.mark.parametrize(("split", "leaking"), [(0, 0), (1, 475), (2, 412)])
def test_the_recordings_that_other_splits_leak(
    shared_data: Path, described: list[Track], split: int, leaking: int
) -> None:
    rows = (shared_data / "mtg_jamendo/sdd_in_splits.tsv").read_text().splitlines()
    column = rows[0].split("\t").index(f"split_{split}")
    train = [
        track(f"mtg_{cells[0]}", recording=f"jamendo:{cells[0]}")
        for cells in (row.split("\t") for row in rows[1:])
        if cells[column] == "train"
    ]
    assert len(found(train, described, "ids")) == leaking


@pytest.mark.parametrize(("split", "train", "validation", "test"), [(0, 0, 0, 299), (1, 197, 45, 57), (2, 156, 79, 64)])
def test_the_recordings_that_the_published_mood_and_theme_splits_leak(
    shared_data: Path, described: list[Track], split: int, train: int, validation: int, test: int
) -> None:
    """The same from the split files themselves: they hold 299 of the 706 recordings."""
    for part, leaking in (("train", train), ("validation", validation), ("test", test)):
        path = shared_data / f"mtg_jamendo/splits/split-{split}/autotagging_moodtheme-{part}.tsv"
        assert len({recording for recording, _, _ in found(mtg(path), described, "ids")}) == leaking


def test_all_that_song_describer_describes_is_in_the_test_part_of_split_0(
    shared_data: Path, described: list[Track]
) -> None:
    for part, shared in (("test", 706), ("validation", 0)):
        path = shared_data / f"mtg_jamendo/splits/split-0/autotagging-{part}.tsv"
        assert len(found(mtg(path), described, "ids")) == shared
    assert len(found(mtg(path), described, "artists")) == 0


def test_the_duplicates_of_the_mood_and_theme_set(shared_data: Path) -> None:
    folder = shared_data / "mtg_jamendo"
    tracks = mtg(folder / "autotagging_moodtheme.tsv")
    hashes = read_published([folder / "download/autotagging_moodtheme_audio_sha256_tracks.txt"])
    groups: dict[int, list[Track]] = defaultdict(list)
    for item, group in zip(
        tracks, components([("sha256", sha) for sha in hashes[item.recording]] for item in tracks), strict=True
    ):
        groups[group].append(item)
    duplicates = [members for members in groups.values() if len(members) > 1]
    assert len(duplicates) == 117
    assert sum(len({member.artist_id for member in members}) > 1 for members in duplicates) == 10
