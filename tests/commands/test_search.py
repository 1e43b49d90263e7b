"""`unisono search` as a user runs it, on a small world without audio."""

import json

import pytest

from tests.loaded import python, unisono
from tests.synthetic import make
from unisono.base.errors import DataError, UsageError
from unisono.commands.search import SearchOptions, run

# As `| head -0`.
NOBODY_READS = """
import os, sys
from unisono.cli import main
read, write = os.pipe()
os.dup2(write, 1), os.dup2(write, 2), os.close(read), os.close(write)
sys.stdout, sys.stderr = open(1, "w"), open(2, "w")
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make(tmp_path_factory.mktemp("world"))


def options(world, **more):
    return SearchOptions(checkpoint=world.checkpoint, data_dir=world.data_dir, **more)


def test_the_command_prints_score_artist_title_and_path(world, tmp_path):
    done = unisono(
        "search", "A sad Rock piece number 7 for trumpet", "sad jazz",
        "--checkpoint", world.checkpoint, "--data-dir", world.data_dir,
        "--top", 2, "--where", "split=test", "--playlist", tmp_path / "p.m3u8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "“A sad Rock piece number 7 for trumpet” among 24 tracks"
    place, share, _, name = lines[1].split(maxsplit=3)
    assert place == "1."
    assert 90 < float(share) < 100  # better than so many percent of the music
    assert name == "Artist 2 - [test] Piece 7"
    assert lines[3].strip().endswith("Stück test 7.wav")
    assert "“sad jazz” among 24 tracks" in lines
    assert "Stück test 7.wav" in (tmp_path / "p.m3u8").read_text(encoding="utf-8")


def test_json_is_json_and_nothing_else(world, capsys):
    run(["violin"], options(world, json=True))
    (found,) = json.loads(capsys.readouterr().out)
    assert found["query"] == "violin"
    assert len(found["hits"]) == 10
    assert [hit["score"] for hit in found["hits"]] == sorted((hit["score"] for hit in found["hits"]), reverse=True)
    assert {"id", "artist", "title", "audio_path", "dataset", "license", "split"} <= set(found["hits"][0])


def test_all_splits_are_searched_unless_one_is_named(world):
    everything = run(["flute"], options(world, top=1000))["flute"]
    assert {hit.track.split for hit in everything} == {"train", "val", "test"}
    assert len(everything) == 36
    assert {hit.track.split for hit in run(["flute"], options(world, split="val"))["flute"]} == {"val"}


def test_conditions_and_artists(world):
    hits = run(["flute"], options(world, where=("dataset=fma", "tags=trumpet"), max_per_artist=1))["flute"]
    assert hits
    assert all(hit.track.dataset == "fma" and "trumpet" in hit.track.tags for hit in hits)
    assert len({hit.track.artist_id for hit in hits}) == len(hits)


@pytest.mark.parametrize(
    ("queries", "more", "message"),
    [
        ([], {}, "no description"),
        (["  "], {}, "no description"),
        (["flute"], {"where": ("colour=blue",)}, "colour=blue"),
    ],
)
def test_wrong_usage_is_refused(world, queries, more, message):
    with pytest.raises(UsageError, match=message):
        run(queries, options(world, **more))


@pytest.mark.parametrize("option", ["--top", "--max-per-artist"])
def test_numbers_out_of_bounds_are_refused(world, option):
    done = unisono("search", "flute", "--checkpoint", world.checkpoint, "--data-dir", world.data_dir, option, 0)
    assert done.returncode == 2 and option in done.stderr and "1" in done.stderr


def test_nothing_left_to_search_among(world):
    with pytest.raises(DataError, match=r"None of the 36 tracks fulfils 'dataset=none'"):
        run(["flute"], options(world, where=("dataset=none",)))


def test_a_missing_checkpoint_is_refused(world, tmp_path):
    with pytest.raises(UsageError, match="There is no checkpoint"):
        run(["flute"], SearchOptions(checkpoint=tmp_path / "none.pt", data_dir=world.data_dir))


def test_a_reader_that_ends_early_loses_no_file(world, tmp_path):
    words = ["--checkpoint", world.checkpoint, "--data-dir", world.data_dir]
    for verb, more, file in (
        ("search", ["flute", "--top", 36, "--playlist", tmp_path / "p.m3u8"], tmp_path / "p.m3u8"),
        ("evaluate", ["--output", tmp_path / "r.json"], tmp_path / "r.json"),
    ):
        python("-c", NOBODY_READS, verb, *more, *words)
        assert file.read_bytes()


def test_one_track_is_one_track_and_missing_files_are_said(world, tmp_path):
    done = unisono(
        "search", "flute", "--checkpoint", world.checkpoint, "--data-dir", world.data_dir,
        "--where", "id=fma_test5", "--playlist", tmp_path / "p.m3u8",
    )  # fmt: skip
    assert done.returncode == 0 and "among 1 track\n" in done.stdout
    said = " ".join(done.stderr.split())
    assert "p.m3u8: 1 file." in said and "1 file not there now" in said
