"""Real rows of the releases, committed in tests/real: what is read from them, written down by hand from the files."""

import shutil
from pathlib import Path

from tests.conftest import REPOSITORY
from unisono.sources import registry as datasets
from unisono.tracks.track import Track

REAL = REPOSITORY / "tests" / "real"


def read(name: str, root: Path | None = None) -> dict[str, Track]:
    items = list(datasets.get(name).records(root or REAL / name))
    assert all(isinstance(item, Track) for item in items), items
    return {item.id: item for item in items if isinstance(item, Track)}


def test_source_and_licence_of_each_folder_are_named():
    table = (REAL / "README.md").read_text()
    for folder in REAL.iterdir():
        assert not folder.is_dir() or f"| `{folder.name}` |" in table


def test_musiccaps():
    tracks = read("musiccaps")
    assert len(tracks) == 5
    ballad = tracks["musiccaps_-0Gj8-vB1q4"]
    assert ballad.caption.startswith("The low quality recording features a ballad song that contains")
    assert (ballad.split, ballad.duration, ballad.recording) == ("test", 10.0, "youtube:-0Gj8-vB1q4")
    assert ballad.url.endswith("watch?v=-0Gj8-vB1q4&t=30")
    assert {"sustained strings melody", "sad", "soulful"} <= set(ballad.tags)
    assert '"4 on the floor" kick pattern' in tracks["musiccaps_-M6K3QoHh40"].caption
    assert "melancholic,\nromantic" in tracks["musiccaps_3OUNEL8XaR0"].caption
    assert tracks["musiccaps_-0SdAVK79lg"].split == "train"


def test_song_describer():
    tracks = read("song_describer")
    assert len(tracks) == 3
    stars = tracks["song_describer_1093795"]
    assert stars.caption == "This is an energetic and positive electronic pop song that features autotuned male vocals."
    assert len(stars.captions) == 3 and stars.extra["caption_valid"] == [True, False, False]
    assert (stars.artist, stars.title) == ("JekK", "Reach the Stars")
    assert (stars.recording, stars.artist_id) == ("jamendo:1093795", "jamendo-artist:440692")
    assert "licenses/by-nc-nd/3.0" in stars.license
    assert stars.duration == 120.0  # the song has 160 s, the release its first two minutes
    assert tracks["song_describer_1122012"].caption.endswith('Youtube video for "studywithme"')


def test_fma():
    tracks = read("fma")
    assert len(tracks) == 5
    food = tracks["fma_2"]
    assert (food.artist, food.title, food.genre) == ("AWOL", "Food", "Hip-Hop")
    assert (food.audio_path, food.artist_id) == ("000/000002.mp3", "fma-artist:1")
    assert food.license.startswith("Attribution-NonCommercial-ShareAlike 3.0")
    assert [tracks[f"fma_{number}"].split for number in (2, 148, 182)] == ["train", "val", "test"]
    assert {"Experimental Pop", "Singer-Songwriter"} <= {tracks["fma_20"].genre, *tracks["fma_20"].tags}
    bare = tracks["fma_613"]  # without any genre
    assert (bare.genre, bare.tags) == ("", [])


def test_mtg_jamendo():
    tracks = read("mtg_jamendo")
    assert len(tracks) == 5
    first = tracks["mtg_jamendo_214"]
    assert (first.artist, first.title, first.duration) == ("David TMX", "Intro chiante", 124.6)
    assert (first.split, first.genre, first.recording) == ("test", "Punk Rock", "jamendo:214")
    lounge = tracks["mtg_jamendo_775"]
    assert lounge.split == "val"
    assert {"Easy Listening", "Electronic", "Lounge"} <= {lounge.genre, *lounge.tags}
    assert not any("\r" in tag for track in tracks.values() for tag in [track.genre, *track.tags])


def test_jamendo_max_caps(tmp_path: Path):
    shutil.copyfile(REAL / "jamendo_max_caps" / "2021-03-27.jsonl", tmp_path / "2021-03-27.jsonl")
    rows = [
        f'{{"id": "{number}", "caption": "Invented: none is free", "start_time": 30.0, "end_time": 60.0}}\n'
        for number in (1214935, 26738, 5340, 135660, 1206096)
    ]
    (tmp_path / "final_caption30sec.jsonl").write_text("".join(rows))
    tracks = {track.recording: track for track in read("jamendo_max_caps", tmp_path).values()}
    assert len(tracks) == 5
    wish = tracks["jamendo:1214935"]
    assert (wish.artist, wish.title, wish.artist_id) == (
        "The.madpix.project",
        "Wish You Were Here",
        "jamendo-artist:441585",
    )
    assert wish.license == "http://creativecommons.org/licenses/by-nc-sa/3.0/"
    assert {"Dance", "Electronic", "House"} <= {tag.title() for tag in [wish.genre, *wish.tags]}
    assert "artlibre.org" in tracks["jamendo:5340"].license and tracks["jamendo:5340"].title == "Réalité"
    assert tracks["jamendo:135660"].title.strip() == "Over Me"  # upstream writes a blank before it


def test_dali():
    tracks = read("dali")
    assert len(tracks) == 5
    woman = tracks["dali_001940b614eb43f4a0c826d49a67d66d"]
    assert (woman.artist, woman.title) == ("Barbra Streisand", "Woman In Love")
    assert woman.caption == "A Pop, Rock and Soundtrack track featuring vocals sung in English"
    assert woman.recording == "youtube:Qhm9V7YBOQI"
    assert tracks["dali_022411a432334ca2800c07dfc81848a2"].caption == "A track featuring vocals sung in Polish"
    assert tracks["dali_022411a432334ca2800c07dfc81848a2"].artist == "Czesław Niemen"


def test_musicbench_before_its_release(tmp_path: Path):
    source = REAL / "musicbench"
    shutil.copyfile(source / "mustango_precursor_train.json", tmp_path / "MusicBench_train.json")
    shutil.copyfile(source / "mustango_100test_musiccaps_ep4.json", tmp_path / "MusicBench_test_A.json")
    tracks = read("musicbench", tmp_path)
    assert sorted(str(track.split) for track in tracks.values()) == ["test", "train", "train", "train", "train"]
    bells = next(track for track in tracks.values() if track.split == "test")
    assert bells.recording.startswith("youtube:-FEPOSP7ay0")
    assert bells.caption.startswith("The low quality recording features loud bells and metallic squeaking sounds.")
    assert bells.extra["bpm"] == 153.0
    train = [track for track in tracks.values() if track.split == "train"]
    assert len({track.recording for track in train}) == 2  # two clips, two copies of each
