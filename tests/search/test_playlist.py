import dataclasses

import pytest

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import UsageError
from unisono.search.playlist import write_playlist


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
    assert write_playlist(path, tracks) == 3
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
