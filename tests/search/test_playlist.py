import dataclasses
import os
from pathlib import Path

import pytest

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import UsageError
from unisono.base.path_map import PathMap
from unisono.search.playlist import read_playlist, write_playlist


def test_a_playlist_in_utf8_with_each_file_once(tmp_path):
    tracks = [
        dataclasses.replace(
            BLANK, id="1", artist="Дмитрий", title="Nr. 1\n#EXTM3U", audio_path="/a/ö.mp3", duration_s=29.6
        ),
        dataclasses.replace(BLANK, id="2", title="Two", audio_path="/a/2.mp3"),
        dataclasses.replace(BLANK, id="3", audio_path="/a/ö.mp3"),
        dataclasses.replace(BLANK, id="4", audio_path="/a/4.mp3"),
    ]
    path = tmp_path / "found.m3u8"
    found = write_playlist(path, tracks)
    assert (found.files, found.missing, found.left_out) == (3, ["/a/ö.mp3", "/a/2.mp3", "/a/4.mp3"], [])
    assert path.read_bytes().decode("utf-8").splitlines() == [
        "#EXTM3U",
        "#EXTINF:30,Дмитрий - Nr. 1 #EXTM3U",
        "/a/ö.mp3",
        "#EXTINF:1,Two",
        "/a/2.mp3",
        "#EXTINF:1,4",
        "/a/4.mp3",
    ]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.m3u8 or \.m3u"):
        write_playlist(tmp_path / "found.txt", [])


def test_what_is_no_path_is_left_out_and_what_is_not_there_is_said(tmp_path):
    there = tmp_path / "there.mp3"
    there.write_bytes(b"ID3")
    strange = ["http://elsewhere/x.mp3", "file:///etc/passwd", "relative.mp3", "", "/a\nhttp://x/", "/a\0b", "C:\\x"]
    paths = [str(there), "/gone.mp3", str(tmp_path), *strange]
    tracks = [dataclasses.replace(BLANK, id=str(row), audio_path=path) for row, path in enumerate(paths)]
    tracks.append(dataclasses.replace(BLANK, id="nan", audio_path="/nan.mp3", duration_s=float("nan")))
    found = write_playlist(tmp_path / "p.m3u8", tracks)
    lines = (tmp_path / "p.m3u8").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [str(there), "/gone.mp3", str(tmp_path), "/nan.mp3"]
    assert found.missing == ["/gone.mp3", str(tmp_path), "/nan.mp3"] and found.left_out == strange
    assert lines[-2].startswith("#EXTINF:-1,")


def test_file_names_that_are_no_text_come_back_as_their_bytes(tmp_path):
    name = os.fsdecode(b"/music/caf\xe9.mp3")
    write_playlist(tmp_path / "p.m3u8", [dataclasses.replace(BLANK, audio_path=name)])
    assert b"\n/music/caf\xe9.mp3\n" in (tmp_path / "p.m3u8").read_bytes()


def test_paths_of_another_machine_and_relative_ones(tmp_path):
    path = tmp_path / "p.m3u8"
    names = ["/srv/music/a.mp3", "/srv/musical/b.mp3", "/srv/music/#c.mp3", "/other/d.mp3"]
    tracks = [dataclasses.replace(BLANK, id=name, audio_path=name) for name in names]

    def written(pairs, relative_to=None):
        write_playlist(path, tracks, path_map=PathMap(pairs), relative_to=relative_to)
        return [line for line in path.read_text().splitlines() if not line.startswith("#EXT")]

    assert written(["/srv/music/=/music/"]) == ["/music/a.mp3", "/srv/musical/b.mp3", "/music/#c.mp3", "/other/d.mp3"]
    assert written(["/=/d", "/srv=/s"])[::3] == ["/s/music/a.mp3", "/d/other/d.mp3"], "the longest first"
    relative = written(["/srv/music=/music"], Path("/music/lists"))
    assert relative[:3] == ["../a.mp3", "../../srv/musical/b.mp3", "../#c.mp3"]
    assert written([], Path("/srv/music"))[2] == "./#c.mp3", "not a comment"
    for wrong in ("/srv/music", "=", "/a="):
        with pytest.raises(UsageError, match="which folder is which"):
            PathMap([wrong])


def test_an_empty_result_leaves_a_playlist_as_it_is(tmp_path):
    path = tmp_path / "p.m3u8"
    write_playlist(path, [dataclasses.replace(BLANK, audio_path="/a.mp3")])
    before = path.read_bytes()
    assert write_playlist(path, []).files == 0 and path.read_bytes() == before
    write_playlist(tmp_path / "new.m3u8", [])
    assert (tmp_path / "new.m3u8").read_text() == "#EXTM3U\n"


def test_relative_paths_of_windows_are_read(tmp_path):
    (tmp_path / "a\\b.mp3").touch()
    (tmp_path / "p.m3u").write_bytes(b".\\sub\\x.mp3\r\n..\\y.mp3\r\na\\b.mp3\r\n")
    assert read_playlist(tmp_path / "p.m3u") == [
        str(tmp_path / "sub" / "x.mp3"), str(tmp_path.parent / "y.mp3"), str(tmp_path / "a\\b.mp3"),
    ]  # fmt: skip
