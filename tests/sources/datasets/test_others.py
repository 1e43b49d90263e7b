"""What is particular to the datasets beyond the first three, and their real files."""

import gzip
import pickle
import shutil
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.releases import clotho, dali, fmacaps, lp_musiccaps, mtg_jamendo, musicbench, musiccaps
from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.captions.ways.template import caption
from unisono.sources import registry as datasets
from unisono.sources.datasets.dali import load_annotation
from unisono.tracks.track import Track


def read(name: str, root: Path, **options: Any) -> dict[str, Track]:
    parsed = datasets.get(name).records(root, options)
    return {item.id: item for item in parsed if isinstance(item, Track)}


# MusicCaps


def test_musiccaps(tmp_path: Path) -> None:
    musiccaps.build(tmp_path)
    tracks = read("musiccaps", tmp_path)
    slow = tracks["musiccaps_-0SdAVK79lg"]
    assert (slow.tags, slow.split, slow.recording) == (["electric guitar", "it's slow"], "train", "youtube:-0SdAVK79lg")
    assert tracks["musiccaps___aaaaaaaaa"].extra == {"is_balanced_subset": True}
    assert tracks["musiccaps_-0Gj8-vB1q4"].caption == "A ballad,\nsung softly"


def test_real_musiccaps(shared_data: Path) -> None:
    items = list(datasets.get("musiccaps").records(shared_data / "musiccaps"))
    tracks = [item for item in items if isinstance(item, Track)]
    assert len(items) == len(tracks) == 2760
    assert {track.duration for track in tracks} == {10.0}
    assert len({track.recording for track in tracks}) == 2760
    assert sum("\n" in track.caption for track in tracks) == 2
    assert all(track.extra == {} or track.split == "test" for track in tracks)
    assert all(track.tags and track.caption for track in tracks)


# MusicBench and FMACaps


def test_musicbench(tmp_path: Path) -> None:
    musicbench.build(tmp_path)
    tracks = read("musicbench", tmp_path)
    guitar = tracks["musicbench_data_aug2_-0SdAVK79lg_1"]
    assert guitar.texts == [
        "A guitar plays, rephrased",
        "A guitar plays. The bpm is 118.",
        "A guitar plays, rephrased again",
    ]
    assert guitar.extra == {"bpm": 118.0, "key": "E major", "chords": ["E", "B"]}
    assert guitar.recording == tracks["musicbench_data_-0SdAVK79lg"].recording == "youtube:-0SdAVK79lg"
    assert tracks["musicbench_data_-0SdAVK79lg"].extra["is_audioset_eval"] is True
    harp = tracks["musicbench_data_ccccccccccc"]
    assert (harp.split, harp.texts) == ("test", ["A harp", "A harp. The key is E major."])


def test_real_files_from_before_musicbench(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "musicbench"
    shutil.copyfile(source / "mustango_precursor_train.json", tmp_path / "MusicBench_train.json")
    shutil.copyfile(source / "mustango_100test_musiccaps_ep4.json", tmp_path / "MusicBench_test_A.json")
    tracks = read("musicbench", tmp_path)
    assert Counter(track.split for track in tracks.values()) == {"train": 1100, "test": 100}
    train = [track for track in tracks.values() if track.split == "train"]
    assert len({track.recording for track in train}) == 100  # eleven copies of each
    assert all(len(track.texts) >= 2 for track in train)


def test_fmacaps(tmp_path: Path) -> None:
    fmacaps.build(tmp_path)
    tracks = read("fmacaps", tmp_path)
    assert len(tracks["fmacaps_2"].texts) == 3
    assert tracks["fmacaps_977"].texts == ["Noise"]
    assert tracks["fmacaps_2"].recording == "fma:2"


# MTG-Jamendo


def test_mtg_jamendo(tmp_path: Path) -> None:
    mtg_jamendo.build(tmp_path)
    tracks = read("mtg_jamendo", tmp_path)
    dark = tracks["mtg_jamendo_215"]
    assert (dark.genre, dark.tags, dark.artist_id) == ("Metal", ["electric guitar", "dark"], "jamendo-artist:14")
    assert caption(dark.genre, dark.tags) == "A dark Metal track featuring electric guitar"
    assert tracks["mtg_jamendo_948"].tags == ["Easy Listening", "Lounge", "background music"]
    assert tracks["mtg_jamendo_1003"].split is None
    assert tracks["mtg_jamendo_1001"].license == ""


def test_songs_with_the_same_tags_share_no_list(tmp_path: Path) -> None:
    rows = ["track_1\tartist_1\talbum_1\t01/1.mp3\t30.0\tgenre---rock\tmood/theme---sad"]
    rows.append(rows[0].replace("track_1", "track_2").replace("01/1", "02/2"))
    (tmp_path / "autotagging.tsv").write_text("\n".join(rows) + "\n")
    one, other = read("mtg_jamendo", tmp_path).values()
    assert one.tags == other.tags == ["sad"]
    assert one.tags is not other.tags


@pytest.mark.parametrize(("number", "column"), [(0, 3), (1, 4)])
def test_each_split_of_mtg_jamendo(tmp_path: Path, number: int, column: int) -> None:
    mtg_jamendo.build(tmp_path)
    names = {"train": "train", "validation": "val", "test": "test", "": None}
    for track in read("mtg_jamendo", tmp_path, split=number).values():
        song = mtg_jamendo.SONGS[int(track.id.rpartition("_")[2])]
        assert track.split == names[str(song[column])]


def test_a_link_that_became_text_is_explained(tmp_path: Path) -> None:
    mtg_jamendo.build(tmp_path)
    (tmp_path / "data" / "raw_30s_cleantags_50artists.tsv").unlink()
    with pytest.raises(DataError, match="a link that became a text file"):
        read("mtg_jamendo", tmp_path)


def test_real_mtg_jamendo(shared_data: Path) -> None:
    tracks = read("mtg_jamendo", shared_data / "mtg_jamendo")
    splits = Counter(track.split for track in tracks.values())
    assert (splits["test"], splits["val"]) == (11_565, 11_101)
    assert sum(bool(track.license) for track in tracks.values()) == 4000
    assert all(caption(track.genre, track.tags) for track in tracks.values())
    parts: dict[str, set[str | None]] = {}
    for track in tracks.values():
        if track.split:
            parts.setdefault(track.artist_id, set()).add(track.split)
    assert all(len(splits_of_artist) == 1 for splits_of_artist in parts.values())
    lines = (shared_data / "mtg_jamendo" / "autotagging_moodtheme.tsv").read_text().splitlines()
    assert len({line.split("\t")[0] for line in lines[1:]} - {f"track_{int(i[12:]):07}" for i in tracks}) == 0


def test_song_describer_is_in_the_test_part_of_split_0(shared_data: Path) -> None:
    mtg = read("mtg_jamendo", shared_data / "mtg_jamendo")
    split_of = {track.recording: track.split for track in mtg.values()}
    songs = read("song_describer", shared_data / "song_describer")
    assert Counter(split_of[song.recording] for song in songs.values()) == {"test": 706}


# Clotho


def test_clotho_names_stay_as_they_are(tmp_path: Path) -> None:
    clotho.build(tmp_path)
    tracks = read("clotho", tmp_path)
    porto = tracks["clotho_development_ typical neighborhood in Porto.wav"]
    assert porto.audio_path == "development/ typical neighborhood in Porto.wav"
    assert len(porto.texts) == 4  # one of the five is written twice
    assert (porto.artist, porto.tags, porto.recording) == ("José", ["rain", "café"], "freesound:1000")
    elevator = tracks["clotho_development_Chris&#39; Elevator.wav"]
    assert (elevator.recording, elevator.url, elevator.duration) == ("", "", 15.0)
    rain = [track for track in tracks.values() if track.audio_path.endswith("Rain, 100%.wav")]
    assert [track.split for track in rain] == ["train", "val"]
    assert not datasets.get("clotho").in_default_mix


def test_real_clotho(shared_data: Path, tmp_path: Path) -> None:
    tracks = read("clotho", shared_data / "clotho")
    assert Counter(track.split for track in tracks.values()) == {"train": 3839, "val": 1045}
    assert sum("&" in track.id and ";" in track.id for track in tracks.values()) >= 60
    assert all(len(track.texts) >= 4 for track in tracks.values())
    wrong = shared_data / "clotho" / "captionamerica_v1_clotho_captions_evaluation.cp949.csv"
    shutil.copyfile(wrong, tmp_path / "clotho_captions_evaluation.csv")
    # further columns in an encoding of their own do no harm
    assert len(read("clotho", tmp_path)) == 1045


# DALI


def test_dali(tmp_path: Path) -> None:
    dali.build(tmp_path)
    tracks = read("dali", tmp_path)
    song = tracks["dali_4b196e6c99574dd49ad00d56e132712b"]
    assert song.caption == "A Rock and Hard Rock track featuring vocals sung in English"
    assert tracks["dali_" + "b" * 32].caption == "A track featuring vocals"
    assert tracks["dali_" + "a" * 32].caption == "A Chanson track featuring vocals sung in French"
    assert song.extra == {}
    lines = read("dali", tmp_path, lyrics=True)["dali_4b196e6c99574dd49ad00d56e132712b"].extra["lyrics"]
    assert lines == [{"text": "la la la", "time": [1.0, 2.5]}]


def test_nothing_in_an_annotation_is_executed(tmp_path: Path) -> None:
    dali.build(tmp_path)
    hostile = tmp_path / "DALI_v1.0" / f"{'e' * 32}.gz"
    with pytest.raises(pickle.UnpicklingError, match="refused to load"):
        load_annotation(hostile)
    assert not (tmp_path / "executed").exists()
    pickle.loads(gzip.decompress(hostile.read_bytes()))  # the test would notice
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch executed'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cDALI.Annotations\nAnnotations.__init__.__globals__\n.",
        b"cDALI.Annotations\nAnnotations\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        pickle.dumps({"info": {"id": "a"}}),
        b"",
        b"(" * 100_000,
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "DALI_v1.0"
    folder.mkdir()
    (folder / "x.gz").write_bytes(gzip.compress(content))
    (item,) = datasets.get("dali").records(tmp_path)
    assert isinstance(item, Dropped) and item.reason == "unreadable annotation"


def test_a_pickle_cannot_change_how_others_are_read(tmp_path: Path) -> None:
    dali.build(tmp_path)
    folder = tmp_path / "DALI_v1.0"
    # BUILD on the class itself: sets attributes of what stands in for it
    content = b"cDALI.Annotations\nAnnotations\n(N}S'__new__'\nI1\nstb."
    (folder / "0.gz").write_bytes(gzip.compress(content))
    assert len(read("dali", tmp_path)) == len(dali.SONGS)


def test_a_bomb_and_a_cut_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisono.sources.datasets.dali.LARGEST_ANNOTATION_BYTES", 10_000)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"0" * 1_000_000))
    with pytest.raises(ValueError, match="unpacks to more than 10,000 bytes"):
        load_annotation(path)
    path.write_bytes(dali.annotation("a" * 32)[:-20])
    with pytest.raises((OSError, zlib.error)):
        load_annotation(path)


def test_real_dali(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "dali"
    (tmp_path / "DALI_v1.0").mkdir()
    name = "4b196e6c99574dd49ad00d56e132712b"
    shutil.copyfile(source / f"mirdata_sample_{name}.gz", tmp_path / "DALI_v1.0" / f"{name}.gz")
    shutil.copyfile(source / "gt_v1.0.gz", tmp_path / "DALI_v1.0" / "gt_v1.0.gz")
    (song,) = datasets.get("dali").records(tmp_path, {"lyrics": True})
    assert isinstance(song, Track)
    assert (song.title, song.artist, song.recording) == ("B.Y.O.B.", "System Of A Down", "youtube:zUzd9KyIDrM")
    shutil.copyfile(source / "dali_v1_metadata.json", tmp_path / "dali_v1_metadata.json")
    shutil.rmtree(tmp_path / "DALI_v1.0")
    songs = read("dali", tmp_path)
    assert len(songs) == 1500
    assert sum("sung in English" in song.caption for song in songs.values()) == 1153
    assert all(song.caption.startswith("A") for song in songs.values())


# LP-MusicCaps


def test_lp_musiccaps(tmp_path: Path) -> None:
    lp_musiccaps.build(tmp_path)
    tracks = read("lp_musiccaps", tmp_path)
    assert tracks["lp_musiccaps_10"].texts == ["An aria", "In short: An aria"]
    assert (tracks["lp_musiccaps_10"].split, tracks["lp_musiccaps_10"].recording) == ("val", "magnatagatune:10")
    assert tracks["lp_musiccaps_-0Gj8-vB1q4"].duration == 10
    assert tracks["lp_musiccaps_TRIHXPZ128F1466744"].tags == ["Rock"]
    assert tracks["lp_musiccaps_11"].texts == []


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match="not a Parquet file that can be read"):
        read("lp_musiccaps", tmp_path)
